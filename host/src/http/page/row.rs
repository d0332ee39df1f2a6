//! A repo's row on the page of all repos, and what it shows when it is opened.
//!
//! Owns its words. Leaves which repos are shown to `overview`, and what is known of one to the queue.

use jiff::Timestamp;
use serial_gate::printable::as_it_is;
use serial_gate::queue::{RepoDetails, RepoRow, RepoStanding, of_active};
use serial_gate::store::{JobWork, WorkState, time_since};
use serial_gate::worker::branch::Project;

use super::branch::Branch;
use super::links;
use super::markup::Markup;
use super::visible::field_value;
use super::work::{Line, clause, line, sentence, short, task_link};

/// A row.
pub struct Row {
    pub name: Markup,
    /// Its name for a form.
    pub repo: String,
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
    /// `effect` says what a freeze does not hold.
    pub fn of(
        row: &RepoRow,
        details: &RepoDetails,
        project: Option<&Project>,
        effect: Option<String>,
        now: Timestamp,
    ) -> Row {
        let repo = field_value(&row.name);
        let active = details.active.as_ref();
        let jobs = active.and_then(|active| active.work.as_ref());
        let jobs = jobs.into_iter().flat_map(|work| work.jobs());
        // Those that wait are listed below.
        let jobs = jobs.filter(|job| job.state != WorkState::Queued);
        let others = details.other_work.iter();
        let jobs = jobs.chain(others).map(line_with_task);
        let advice = active.map(of_active).unwrap_or_default();
        let advice = advice.into_iter().take(1).map(|advice| Line {
            text: clause(&advice.in_words(&as_it_is)),
            class: "quiet",
            command: advice.command(),
            ..Line::default()
        });
        let needs_people = row.standing <= RepoStanding::ToMerge;
        Row {
            anchor: format!("repo-{repo}"),
            link: Markup::link(&links::repo(&row.name), &format!("Open {}", row.name)),
            class: row.standing.name(),
            label: label(row.standing),
            now: in_words(row, effect.as_deref()),
            since: row.since.map(|since| Markup::ago(since, now)),
            waiting: row.waiting,
            freeze_id: row.freeze.as_ref().map(|freeze| freeze.number),
            is_frozen: row.freeze.is_some(),
            notes: notes(row, effect.as_deref(), now),
            active: active.map(|active| Active {
                link: task_link(active.task.id, active.task.work_item_id.as_deref()),
                stage: active.task.stage.clone().unwrap_or_default(),
                branch: active
                    .task
                    .branch
                    .as_ref()
                    .map(|branch| Branch::of(branch, project, now)),
            }),
            work: jobs.chain(advice.filter(|_| needs_people)).collect(),
            next: details
                .waiting
                .iter()
                .map(|job| Next {
                    job: job.job_id,
                    task: job
                        .task_id
                        .map(|id| task_link(id, job.work_item_id.as_deref())),
                    agent: job.agent.clone().unwrap_or_else(|| "-".into()),
                    since: job.since.map(|since| Markup::ago(since, now)),
                })
                .collect(),
            name: Markup::text(&row.name),
            repo,
        }
    }
}

fn in_words(row: &RepoRow, effect: Option<&str>) -> String {
    let active = row.active.as_ref();
    let state = active.map(|active| active.state);
    let task = active.map(|active| {
        let name = short(active.id, active.work_item_id.as_deref());
        let stage = active.stage.as_deref().unwrap_or("no stage");
        format!("{name} in {stage}")
    });
    let of_task = |words: String| match &task {
        Some(task) => format!("{task}: {words}"),
        None => words,
    };
    let count = |number: usize, one: &str, more: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {more}"),
    };
    match row.standing {
        RepoStanding::Frozen => match effect {
            Some(effect) => format!("frozen, but {effect}"),
            None => row
                .freeze
                .as_ref()
                .and_then(|freeze| freeze.reason.clone())
                .unwrap_or_else(|| "no reason given".into()),
        },
        RepoStanding::Failed => match (state, row.jobs.failed) {
            (Some(WorkState::Failed), 0) => of_task("a job in another repo failed".into()),
            (Some(WorkState::Failed), failed) => {
                of_task(count(failed, "job failed", "jobs failed"))
            }
            (_, failed) => count(
                failed,
                "job of another task failed",
                "jobs of other tasks failed",
            ),
        },
        RepoStanding::Stuck => match state {
            Some(
                state @ (WorkState::Lapsed
                | WorkState::Foreign
                | WorkState::Finished
                | WorkState::NoJob),
            ) => of_task(state_words(state).into()),
            _ if row.jobs.lapsed > 0 => count(
                row.jobs.lapsed,
                "worker of another task fell silent",
                "workers of other tasks fell silent",
            ),
            _ => "another program has a job of another task".into(),
        },
        RepoStanding::ToMerge => of_task("waits to be merged".into()),
        RepoStanding::Waiting | RepoStanding::Running | RepoStanding::Idle => {
            task.unwrap_or_default()
        }
    }
}

fn notes(row: &RepoRow, effect: Option<&str>, now: Timestamp) -> Vec<Markup> {
    let Some(freeze) = &row.freeze else {
        return Vec::new();
    };
    let since = match freeze.since {
        None => Markup::text("Frozen since an unknown time"),
        Some(since) if time_since(since, now).is_none() => Markup::text("Frozen since")
            .and(Markup::at(since))
            .and(Markup::text("ahead of this clock")),
        Some(since) => Markup::text("Frozen").and(Markup::ago(since, now)),
    };
    let reason = freeze.reason.as_deref().filter(|reason| !reason.is_empty());
    let others = match freeze.active {
        0 | 1 => None,
        active => Some(sentence(&format!("{active} freezes are active"))),
    };
    let effect = effect.or(freeze.note.as_deref());
    let effect = effect.map(|note| sentence(&format!("frozen, but {note}")));
    std::iter::once(since)
        .chain(reason.map(Markup::text))
        .chain(others)
        .chain(effect)
        .collect()
}

/// The line about a job, with its task.
fn line_with_task(job: &JobWork) -> Line {
    let line = line(job);
    match job.task_id {
        None => line,
        Some(id) => Line {
            text: task_link(id, job.work_item_id.as_deref()).and(line.text),
            ..line
        },
    }
}

/// A standing for people.
pub fn label(standing: RepoStanding) -> &'static str {
    match standing {
        RepoStanding::Frozen => "Frozen",
        RepoStanding::Failed => "Failed",
        RepoStanding::Stuck => "Stuck",
        RepoStanding::ToMerge => "To merge",
        RepoStanding::Waiting => "Waiting",
        RepoStanding::Running => "Running",
        RepoStanding::Idle => "Idle",
    }
}

/// What the active task does, in a few words.
fn state_words(state: WorkState) -> &'static str {
    match state {
        WorkState::Running => "a job runs",
        WorkState::PutOff => "a job is tried again later",
        WorkState::Lapsed => "a worker fell silent",
        WorkState::Foreign => "another program has a job",
        WorkState::Failed => "a job failed",
        WorkState::Queued => "a job is queued",
        WorkState::Finished => "all its jobs have ended",
        WorkState::NoJob => "it has no job",
    }
}
