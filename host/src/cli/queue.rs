//! `queue`: what runs, what waits and why.
//!
//! Owns the lines of each repo. Leaves those about work to `queue_work`, and JSON to the state itself.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serial_gate::queue::{Acting, Advice, Changes, Others, Queue as GatedQueue, RepoState, State};
use serial_gate::store::sql_time;

use super::advice::line;
use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::queue_work::{self, Names};
use super::repo::active_task;
use super::text::{self, count, doubted_verdict as verdict, shown, shown_or_dash, when};
use super::{Error, Outcome};

/// How often a watched queue is looked at for a change; a look costs some microseconds.
const POLL: Duration = Duration::from_millis(200);

/// Show each repo's active task and who works on it, its waiting line with verdicts, and its freeze
#[derive(Args)]
#[command(
    after_help = "Examples:\n  serial-gate queue\n  serial-gate queue --json | jq .per_repo\n  serial-gate queue --watch"
)]
pub struct Queue {
    /// Show it anew whenever it changes, until interrupted
    #[arg(long)]
    watch: bool,
}

impl Queue {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue()?;
        let mut changes = Changes::new(Duration::MAX);
        // Read before the state, so that a change after it is not missed.
        changes.look(Some(queue.data_version()?));
        let state = queue.state(Timestamp::now(), &[])?;
        print(&state, Some(shared), output)?;
        if self.watch {
            watch(&mut queue, changes, state, shared, output)
        } else {
            Ok(Outcome::Done)
        }
    }
}

fn watch(
    queue: &mut GatedQueue,
    mut changes: Changes,
    mut state: State,
    shared: &Shared,
    output: &mut Output,
) -> Result<Outcome, Error> {
    loop {
        changes.wait(POLL, &|| false, &mut || queue.data_version().ok());
        let changed = queue.state(Timestamp::now(), &[])?;
        if changed != state {
            if !output.json {
                let time = sql_time(Timestamp::now());
                output.line(format!("\n{}", toned(Tone::Quiet, format!("{time} UTC"))))?;
            }
            print(&changed, Some(shared), output)?;
            state = changed;
        }
    }
}

/// Prints a state: one JSON document, or a paragraph for each repo. Without `shared` no commands are proposed.
pub fn print(state: &State, shared: Option<&Shared>, output: &mut Output) -> Result<(), Error> {
    if output.json {
        return Ok(output.json_line(state)?);
    }
    for note in &state.notes {
        output.line(format!("{} {}", toned(Tone::Held, "note:"), shown(note)))?;
    }
    for switch in &state.switches {
        output.line(toned(Tone::Held, switch))?;
    }
    if state.per_repo.is_empty() && state.others == Others::default() {
        output.line("nothing waits")?;
    }
    for (number, (name, repo)) in state.per_repo.iter().enumerate() {
        if number > 0 {
            output.line("")?;
        }
        print_repo(name, repo, state, shared, output)?;
    }
    print_others(state, output)
}

/// A verdict in words, with what the clause says where that is something else.
fn said(state: &State, job: i64, verdict: String) -> String {
    match state.beside_verdict(job) {
        Some(but) => format!("{verdict}, {}", toned(Tone::Held, but)),
        None => verdict,
    }
}

/// Jobs that stand in no waiting line, after the repos.
fn print_others(state: &State, output: &mut Output) -> Result<(), Error> {
    let Others {
        claimable,
        held,
        work,
        more_work,
        ..
    } = &state.others;
    if state.others != Others::default() && !state.per_repo.is_empty() {
        output.line("")?;
    }
    if *claimable > 0 {
        output.line(format!(
            "{} may be claimed, which the gate does not hold",
            count(*claimable, "other job")
        ))?;
    }
    for job in held {
        output.line(format!(
            "job {} is {}",
            job.job_id,
            said(
                state,
                job.job_id,
                verdict(job.verdict.as_ref(), &job.doubts)
            )
        ))?;
    }
    for job in work {
        output.line(format!("without a repo: {}", queue_work::line(job)))?;
    }
    queue_work::print_more(*more_work, output)?;
    Ok(())
}

fn print_repo(
    repo_name: &str,
    repo: &RepoState,
    state: &State,
    shared: Option<&Shared>,
    output: &mut Output,
) -> Result<(), Error> {
    let name = toned(Tone::Heading, shown(repo_name));
    let active = repo.active_task.as_ref().map(|active| &active.task);
    output.line(format!("{name}  active: {}", active_task(active)))?;
    // Where it is off, that is said of all repos.
    if state.enabled
        && let Some(note) = repo.acting.and_then(Acting::note)
    {
        output.line(toned(Tone::Held, note))?;
    }
    let branch = active.and_then(|task| task.branch.as_ref());
    if let Some(branch) = branch {
        let tone = if branch.base_moved_to.is_some() || branch.base_deleted {
            Tone::Held
        } else {
            Tone::Quiet
        };
        output.line(toned(tone, format!("branch {}", text::branch(branch))))?;
    }
    queue_work::print(repo, shared, output)?;
    if repo.frozen {
        let (since, reason) = (
            when(repo.frozen_since, repo.frozen_at.as_deref()),
            shown_or_dash(repo.frozen_reason.as_deref()),
        );
        output.line(toned(Tone::Held, format!("frozen since {since}: {reason}")))?;
        if let Some(note) = &repo.freeze_note {
            output.line(toned(Tone::Held, format!("  but {}", shown(note))))?;
        }
        if let Some(deploy) = &repo.frozen_deploy {
            let advice = Advice::after(repo_name, deploy);
            output.line(format!("  {}", line(shared, &advice)))?;
        }
    }
    if let Some(error) = &repo.error {
        output.line(format!(
            "{} {}",
            toned(Tone::Held, "not all could be read:"),
            shown(error)
        ))?;
    }
    if repo.waiting.is_empty() {
        return Ok(());
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
    output.table(
        &["job", "task", "work item", "stage", "verdict"],
        rows.collect(),
    )?;
    Ok(())
}
