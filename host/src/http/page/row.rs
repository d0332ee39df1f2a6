//! A repo's row on the page of all repos, and what it shows when it is opened.

use jiff::Timestamp;
use serial_gate::printable::as_it_is;
use serial_gate::queue::{RepoDetails, RepoRow, RepoStanding, of_active};

use super::branch::Branch;
use super::links;
use super::markup::Markup;
use super::overview::{label, state_words};
use super::repo::short;
use super::visible::field_value;
use super::work::{Line, clause, line, sentence};

/// A row.
pub struct Row {
    pub name: String,
    /// Its place on the page, by which the script finds it again.
    pub anchor: String,
    pub link: Markup,
    pub class: &'static str,
    pub label: &'static str,
    /// What it is about, in a few words.
    pub now: String,
    /// Since when it has this standing.
    pub since: Option<Markup>,
    pub waiting: usize,
    pub freeze_id: Option<i64>,
    pub is_frozen: bool,
    /// What is known of its freeze.
    pub notes: Vec<Markup>,
    pub active: Option<Active>,
    pub work: Vec<Line>,
    /// Its first queued jobs.
    pub next: Vec<Next>,
}

pub struct Active {
    pub link: Markup,
    pub stage: String,
    pub branch: Option<Branch>,
}

pub struct Next {
    pub job: i64,
    pub task: Option<Markup>,
    pub agent: String,
    pub since: Option<Markup>,
}

impl Row {
    pub fn of(row: &RepoRow, details: &RepoDetails, now: Timestamp) -> Row {
        let active = details.active.as_ref();
        let jobs = active.and_then(|active| active.work.as_ref());
        let jobs = jobs.into_iter().flat_map(|work| work.jobs()).map(line);
        let advice = active.map(of_active).unwrap_or_default();
        let advice = advice.into_iter().take(1).map(|advice| Line {
            text: clause(&advice.in_words(&as_it_is)),
            class: "quiet",
            command: advice.command(),
            ..Line::default()
        });
        let needs_people = row.standing < RepoStanding::ToMerge;
        Row {
            anchor: links::repo(&row.name).replacen("/repo?name=", "repo-", 1),
            link: Markup::link(&links::repo(&row.name), &format!("Open {}", row.name)),
            class: row.standing.name(),
            label: label(row.standing),
            now: in_words(row),
            since: row.since.map(|since| Markup::ago(since, now)),
            waiting: row.waiting,
            freeze_id: row.freeze.as_ref().map(|freeze| freeze.number),
            is_frozen: row.freeze.is_some(),
            notes: notes(row, now),
            active: active.map(|active| Active {
                link: Markup::link(
                    &links::task(active.task.id),
                    &short(active.task.id, active.task.work_item_id.clone()),
                ),
                stage: active.task.stage.clone().unwrap_or_default(),
                branch: active
                    .task
                    .branch
                    .as_ref()
                    .map(|branch| Branch::of(branch, now)),
            }),
            work: jobs.chain(advice.filter(|_| needs_people)).collect(),
            next: details
                .waiting
                .iter()
                .map(|job| Next {
                    job: job.job_id,
                    task: job.task_id.map(|id| {
                        Markup::link(&links::task(id), &short(id, job.work_item_id.clone()))
                    }),
                    agent: job.agent.clone().unwrap_or_else(|| "-".into()),
                    since: job.since.map(|since| Markup::ago(since, now)),
                })
                .collect(),
            name: row.name.clone(),
        }
    }

    /// The repo's name for a form.
    pub fn field_value(&self) -> String {
        field_value(&self.name)
    }
}

fn in_words(row: &RepoRow) -> String {
    let active = row.active.as_ref();
    let task = active.map(|active| {
        let name = short(active.id, active.work_item_id.clone());
        let stage = active.stage.as_deref().unwrap_or_default();
        format!("{name} in {stage}")
    });
    let freeze = row.freeze.as_ref();
    match (row.standing, task) {
        (RepoStanding::Frozen, _) => freeze
            .and_then(|freeze| freeze.reason.clone())
            .unwrap_or_default(),
        (RepoStanding::Failed, task) => {
            let failed = match row.jobs.failed {
                1 => "1 job failed".into(),
                failed => format!("{failed} jobs failed"),
            };
            task.map_or(failed.clone(), |task| format!("{task}: {failed}"))
        }
        (RepoStanding::Stuck, task) => {
            let state = active.map_or("a job stands still", |active| state_words(active.state));
            task.map_or(state.into(), |task| format!("{task}: {state}"))
        }
        (RepoStanding::ToMerge, Some(task)) => format!("{task}: waits to be merged"),
        (_, task) => task.unwrap_or_default(),
    }
}

fn notes(row: &RepoRow, now: Timestamp) -> Vec<Markup> {
    let Some(freeze) = &row.freeze else {
        return Vec::new();
    };
    let reason = freeze.reason.as_deref().unwrap_or_default();
    let frozen = match freeze.since {
        None => sentence(&format!("frozen: {reason}")),
        Some(since) => Markup::sentence("Frozen").then_markup(Markup::ago(since, now), reason),
    };
    let others = match freeze.active {
        0 | 1 => None,
        active => Some(sentence(&format!("{active} freezes are active"))),
    };
    let effect = freeze.note.as_ref();
    let effect = effect.map(|note| sentence(&format!("frozen, but {note}")));
    std::iter::once(frozen)
        .chain(others)
        .chain(effect)
        .collect()
}
