//! `explain`: why a job waits, and the command that would release it.

use clap::Args;
use jiff::Timestamp;
use serial_gate::queue::{Explanation, Held, Standing};
use serial_gate::store::{JobRow, sql_time};

use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::text::{self, command, count, id, shown, shown_or_dash, task as name, when};
use super::{Error, Outcome};

/// Show whether a job may be claimed; if not, what it waits for and what would release it
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate explain 12")]
pub struct Explain {
    /// The job
    #[arg(allow_negative_numbers = true, value_parser = id)]
    job: i64,
}

impl Explain {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let explanation = shared.queue()?.explain(Timestamp::now(), self.job)?;
        let release = match &explanation.standing {
            Standing::Held(held) => release(shared, held),
            _ => Vec::new(),
        };
        if output.json {
            output.json_line(&document(&explanation, &release))?;
        } else {
            print(&explanation, &release, shared, output)?;
        }
        Ok(match explanation.standing {
            Standing::Held(_) => Outcome::Held,
            Standing::NotQueued | Standing::Claimable { .. } => Outcome::Done,
        })
    }
}

/// The commands that let the job through, all of them needed. Empty when no command would.
fn release(shared: &Shared, held: &Held) -> Vec<String> {
    if held.stuck || held.more_tasks || !held.rules.is_empty() {
        return Vec::new();
    }
    let tasks: Vec<String> = held.tasks.iter().map(|task| task.id.to_string()).collect();
    let done: Vec<&str> = ["task", "done"]
        .into_iter()
        .chain(tasks.iter().map(String::as_str))
        .collect();
    let done = (!tasks.is_empty()).then(|| command(shared, &done));
    let unfreeze = held
        .freezes
        .iter()
        .map(|(repo, _)| command(shared, &["unfreeze", repo]));
    done.into_iter()
        .chain(unfreeze)
        .collect::<Option<_>>()
        .unwrap_or_default()
}

/// With the commands, which only a command line has.
fn document(explanation: &Explanation, release: &[String]) -> serde_json::Value {
    let mut document = explanation.to_json();
    if let (Standing::Held(_), Some(document)) = (&explanation.standing, document.as_object_mut()) {
        document.insert("release".into(), release.into());
    }
    document
}

fn print(
    explanation: &Explanation,
    release: &[String],
    shared: &Shared,
    output: &mut Output,
) -> Result<(), Error> {
    print_standing(explanation, release, shared, output)?;
    if let Some(branch) = &explanation.branch {
        output.line(format!("  its task's branch: {}", text::branch(branch)))?;
    }
    Ok(())
}

fn print_standing(
    explanation: &Explanation,
    release: &[String],
    shared: &Shared,
    output: &mut Output,
) -> Result<(), Error> {
    let job = &explanation.job;
    let about = format!(
        "job {} for `{}` in `{}`",
        job.id,
        shown_or_dash(job.agent.as_deref()),
        shown_or_dash(job.repo.as_deref())
    );
    match &explanation.standing {
        Standing::NotQueued => {
            if let Some(until) = job.put_off_until() {
                output.line(format!("{about} is put off until {} UTC", shown(until)))?;
                return print_end(job, shared, output);
            }
            let by = job.worker.as_deref().map(|worker| {
                format!(
                    ", claimed by `{}` at {} UTC",
                    shown(worker),
                    shown_or_dash(job.claimed_at.as_deref())
                )
            });
            let status = shown_or_dash(job.status.as_deref());
            output.line(format!(
                "{about} is not queued: it is `{status}`{}",
                by.unwrap_or_default()
            ))?;
            print_end(job, shared, output)?;
        }
        Standing::Claimable { ahead } => {
            let line = match ahead {
                0 => "the next claim gets it".into(),
                ahead => format!("{} before it in the line", count(*ahead, "claimable job")),
            };
            output.line(format!(
                "{about} {}: {line}",
                toned(Tone::Free, "may be claimed")
            ))?;
        }
        Standing::Held(held) => {
            output.line(format!("{about} is {}", toned(Tone::Held, "held")))?;
            print_reasons(held, output)?;
            match release {
                [] => output.line("  no command releases it by itself")?,
                release => output.line(format!("  release it with: {}", release.join(" && ")))?,
            }
        }
    }
    Ok(())
}

/// What became of a claim, if there is something to do about it.
fn print_end(job: &JobRow, shared: &Shared, output: &mut Output) -> Result<(), Error> {
    let now = sql_time(Timestamp::now());
    if job.lease_until.as_ref().is_some_and(|until| *until <= now) {
        output.line("  its lease ran out: the next claim puts it back to its old place")?;
    }
    if let Some(error) = &job.error {
        output.line(format!("  error: {}", shown(error)))?;
    }
    if job.status.as_deref() == Some("failed") {
        let again = command(shared, &["job", "requeue", &job.id.to_string()]);
        output.line(format!("  to try it again: {}", again.unwrap_or_default()))?;
    }
    Ok(())
}

fn print_reasons(held: &Held, output: &mut Output) -> Result<(), Error> {
    if !held.tasks.is_empty() {
        let at_least = if held.more_tasks { "at least " } else { "" };
        output.line(format!(
            "  {at_least}{} ahead of it in the repo:",
            count(held.tasks.len(), "unfinished task")
        ))?;
    }
    for task in &held.tasks {
        let since = task
            .since
            .as_deref()
            .map(|since| format!(" since {} UTC", shown(since)));
        output.line(format!(
            "    {} is in `{}`{}",
            name(task.id, task.work_item_id.as_deref()),
            shown_or_dash(task.stage.as_deref()),
            since.unwrap_or_default()
        ))?;
    }
    for (repo, freeze) in &held.freezes {
        output.line(format!(
            "  `{}` is frozen since {}: {}",
            shown(repo),
            when(freeze.since, freeze.frozen_at.as_deref()),
            shown_or_dash(freeze.reason.as_deref())
        ))?;
    }
    for rule in &held.rules {
        output.line(format!("  {}", shown(rule)))?;
    }
    Ok(())
}
