//! `queue`: shows what runs, what waits and why.
//!
//! Owns the lines of each repo. Leaves the lines about work to `queue_work`, and the JSON to the
//! library's `State`.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serial_gate::queue::{Acting, Advice, Changes, Others, Queue as GatedQueue, RepoState, State};
use serial_gate::store::{PullState, sql_time};

use super::Error;
use super::advice::line;
use super::freeze_remedy::{further_lines, until_line};
use super::log::Level;
use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::queue_work::{self, Names};
use super::repo::active_task;
use super::text::{
    self, count, doubted_verdict as verdict, named_repo, shown, shown_or_dash, when,
};
use super::verb::Verb;

/// How often a watched queue is polled for a change; a poll costs some microseconds.
const POLL: Duration = Duration::from_millis(200);

/// Show each repo's active task and who works on it, its waiting line with verdicts, and its freeze
#[derive(Args)]
#[command(after_help = "\
Examples:
  serial-gate queue
  serial-gate queue alpha beta
  serial-gate queue --json | jq .per_repo
  serial-gate queue --watch")]
pub struct Queue {
    /// Only these repos
    #[arg(value_name = "REPO", value_parser = named_repo)]
    only: Vec<String>,
    /// Show it again whenever it changes, until interrupted
    #[arg(long)]
    watch: bool,
}

impl Verb for Queue {
    // The report has the notes.
    fn log(&self) -> Level {
        Level::Errors
    }

    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue()?;
        let mut changes = Changes::new(Duration::MAX);
        // Read before the state, so that a change after it is not missed.
        changes.look(Some(queue.data_version()?));
        let state = read(&mut queue, &self.only)?;
        let mut report = shared.report();
        describe(&state, Some(shared), &mut report);
        if self.watch {
            report.print()?;
            return watch(&mut queue, changes, state, &self.only, shared);
        }
        Ok(report)
    }
}

fn read(queue: &mut GatedQueue, only: &[String]) -> Result<State, Error> {
    let now = Timestamp::now();
    Ok(match only {
        [] => {
            let active = queue.store().active_repos()?;
            let active: Vec<Option<String>> = active.into_iter().map(Some).collect();
            queue.state(now, &active)?
        }
        only => queue.state_of(now, only)?,
    })
}

fn watch(
    queue: &mut GatedQueue,
    mut changes: Changes,
    mut state: State,
    only: &[String],
    shared: &Shared,
) -> Result<Report, Error> {
    loop {
        changes.wait(POLL, &|| false, &mut || queue.data_version().ok());
        let changed = read(queue, only)?;
        if changed != state {
            let mut report = shared.report();
            let time = sql_time(Timestamp::now());
            report.line(format!("\n{}", toned(Tone::Quiet, format!("{time} UTC"))));
            describe(&changed, Some(shared), &mut report);
            report.print()?;
            state = changed;
        }
    }
}

/// Describes a state: one JSON document, or a paragraph for each repo. Without `shared`, no
/// commands are proposed.
pub fn describe(state: &State, shared: Option<&Shared>, report: &mut Report) {
    report.json(state);
    for note in &state.notes {
        report.note(note);
    }
    if !state.contradictions.is_empty()
        && !state.is_rolled_back
        && let Some(shared) = shared
        && let Some(rollback) = text::command(shared, &["policy", "rollback", "--reason", "TEXT"])
    {
        report.line(format!("  {rollback}"));
    }
    for switch in &state.switches {
        report.line(toned(Tone::Held, switch));
    }
    if state.per_repo.is_empty() && state.others == Others::default() {
        report.line("nothing runs and nothing waits");
    }
    for (number, (name, repo)) in state.per_repo.iter().enumerate() {
        if number > 0 {
            report.line("");
        }
        describe_repo(name, repo, state, shared, report);
    }
    describe_others(state, report);
}

/// A verdict in words, and the clause's answer if it differs.
fn said(state: &State, job: i64, verdict: String) -> String {
    match state.beside_verdict(job) {
        Some(but) => format!("{verdict}, {}", toned(Tone::Held, but)),
        None => verdict,
    }
}

/// Jobs that are in no repo's waiting line, after the repos.
fn describe_others(state: &State, report: &mut Report) {
    let Others {
        claimable,
        held,
        work,
        more_work,
        ..
    } = &state.others;
    if state.others != Others::default() && !state.per_repo.is_empty() {
        report.line("");
    }
    if *claimable > 0 {
        report.line(format!(
            "{} may be claimed: the gate does not hold such jobs",
            count(*claimable, "other job")
        ));
    }
    for job in held {
        report.line(format!(
            "job {} is {}",
            job.job_id,
            said(
                state,
                job.job_id,
                verdict(job.verdict.as_ref(), &job.doubts)
            )
        ));
    }
    for job in work {
        report.line(format!("without a repo: {}", queue_work::line(job)));
    }
    queue_work::describe_more(*more_work, report);
}

fn describe_repo(
    repo_name: &str,
    repo: &RepoState,
    state: &State,
    shared: Option<&Shared>,
    report: &mut Report,
) {
    let name = toned(Tone::Heading, shown(repo_name));
    let active = repo.active_task.as_ref().map(|active| &active.task);
    report.line(format!("{name}  active: {}", active_task(active)));
    // If the gate is off, one line says so for all repos.
    if state.enabled
        && let Some(note) = repo.acting.and_then(Acting::note)
    {
        report.line(toned(Tone::Held, note));
    }
    let branch = active.and_then(|task| task.branch.as_ref());
    if let Some(branch) = branch {
        let pull = branch.pull_request.as_ref();
        let is_closed = pull.is_some_and(|pull| pull.state == PullState::Closed);
        let tone = if branch.base_moved_to.is_some() || branch.base_deleted || is_closed {
            Tone::Held
        } else {
            Tone::Quiet
        };
        report.line(toned(tone, format!("branch {}", text::branch(branch))));
    }
    queue_work::describe(repo, shared, report);
    if repo.frozen {
        let (since, reason) = (
            when(repo.frozen_since, repo.frozen_at.as_deref()),
            shown_or_dash(repo.frozen_reason.as_deref()),
        );
        let number = repo.freeze_id.map(|number| format!(" (freeze {number})"));
        let number = number.unwrap_or_default();
        report.line(toned(
            Tone::Held,
            format!("frozen since {since}: {reason}{number}"),
        ));
        if let Some(until) = &repo.frozen_until {
            let words = until_line(shared, repo_name, until);
            report.line(toned(Tone::Held, format!("  {words}")));
        }
        for line in further_lines(shared, repo_name, &repo.further_freezes) {
            report.line(toned(Tone::Held, format!("  {line}")));
        }
        if let Some(note) = &repo.freeze_note {
            report.line(toned(Tone::Held, format!("  but {}", shown(note))));
        }
        if let Some(deploy) = &repo.frozen_deploy {
            let advice = Advice::after(repo_name, deploy);
            report.line(format!("  {}", line(shared, &advice)));
        }
    }
    if let Some(error) = &repo.error {
        report.line(format!(
            "{} {}",
            toned(Tone::Held, "not all could be read:"),
            shown(error)
        ));
    }
    if repo.waiting.is_empty() {
        return;
    }
    let names = Names::of(repo);
    let rows = repo.waiting.iter().map(|waiting| {
        let job = &waiting.job;
        vec![
            job.job_id.to_string(),
            job.task_id
                .map_or_else(|| "-".into(), |task| task.to_string()),
            shown_or_dash(job.work_item_id.as_deref()),
            shown_or_dash(job.stage.as_deref()),
            said(
                state,
                job.job_id,
                names.verdict(waiting.verdict.as_ref(), &waiting.doubts),
            ),
        ]
    });
    report.table(&["job", "task", "work item", "stage", "verdict"], rows);
}
