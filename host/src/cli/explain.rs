//! `explain`: why a job waits, and what helps.
//!
//! Owns the words about a job and what is in its way. Leaves what helps to the queue's advice. Callers rely on this:
//! `release`, which machines read, has only commands that let the job through at once and skip no work that was begun.

use clap::Args;
use jiff::Timestamp;
use serial_gate::queue::{Advice, Explanation, Held, Standing};
use serial_gate::store::{JobRow, WorkState};

use super::advice::{command_for, line};
use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::text::{self, command, count, id, shown, shown_or_dash, task as name};
use super::{Error, Outcome};

/// Show whether a job may be claimed; if not, what it waits for, how that is, and what helps
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
            output.json_line(&document(&explanation, &release, shared))?;
        } else {
            print(&explanation, &release, shared, output)?;
        }
        Ok(match explanation.standing {
            Standing::Held(_) => Outcome::Held,
            Standing::NotQueued | Standing::Claimable { .. } => Outcome::Done,
        })
    }
}

/// The commands that let the job through, all of them needed. Empty when no command would, or when it would skip work
/// that failed or may be going on.
fn release(shared: &Shared, held: &Held) -> Vec<String> {
    let is_begun = |state: WorkState| {
        !matches!(
            state,
            WorkState::Queued | WorkState::Finished | WorkState::NoJob
        )
    };
    let mut ahead = held.tasks.iter().flat_map(|ahead| ahead.work.jobs());
    let skips_work = ahead.any(|job| is_begun(job.state));
    if held.stuck || held.more_tasks || !held.rules.is_empty() || skips_work {
        return Vec::new();
    }
    let tasks = held.tasks.iter().map(|ahead| ahead.task.id.to_string());
    let tasks: Vec<String> = tasks.collect();
    let done: Vec<&str> = ["task", "done"]
        .into_iter()
        .chain(tasks.iter().map(String::as_str))
        .collect();
    let done = (!tasks.is_empty()).then(|| command(shared, &done));
    let unfreeze = held
        .freezes
        .iter()
        .map(|freeze| command(shared, &["unfreeze", &freeze.repo]));
    done.into_iter()
        .chain(unfreeze)
        .collect::<Option<_>>()
        .unwrap_or_default()
}

/// With the commands, which only a command line has.
fn document(explanation: &Explanation, release: &[String], shared: &Shared) -> serde_json::Value {
    let mut document = explanation.to_json();
    if let Some(entries) = document
        .get_mut("advice")
        .and_then(|all| all.as_array_mut())
    {
        for (entry, advice) in entries.iter_mut().zip(&explanation.advice) {
            if let Some(entry) = entry.as_object_mut() {
                entry.insert("command".into(), command_for(shared, advice).into());
            }
        }
    }
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
                return print_end(explanation, shared, output);
            }
            let by = explanation.work.worker.as_deref().map(|worker| {
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
            print_end(explanation, shared, output)?;
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
            print_help(explanation, held, release, shared, output)?;
        }
    }
    Ok(())
}

/// What helps a job that is held. To end tasks that have work left comes last.
fn print_help(
    explanation: &Explanation,
    held: &Held,
    release: &[String],
    shared: &Shared,
    output: &mut Output,
) -> Result<(), Error> {
    if held.tasks.is_empty() {
        let of_deploy = explanation.advice.iter().find_map(|advice| match advice {
            Advice::Unfreeze {
                deploy: Some(_), ..
            } => Some(advice.in_words(&shown)),
            _ => None,
        });
        let when = of_deploy
            .map(|when| format!("{when}, "))
            .unwrap_or_default();
        return Ok(match release {
            [] => output.line("  no command releases it by itself")?,
            release => {
                output.line(format!("  {when}release it with: {}", release.join(" && ")))?;
            }
        });
    }
    let (last, first): (Vec<_>, Vec<_>) = explanation
        .advice
        .iter()
        .partition(|advice| matches!(advice, Advice::Skip { .. }));
    for advice in first {
        output.line(format!("  {}", line(Some(shared), advice)))?;
    }
    match (release, last.as_slice()) {
        ([], []) if held.stuck => output.line("  no command releases it by itself")?,
        ([], last) => {
            for advice in last {
                output.line(format!("  {}", line(Some(shared), advice)))?;
            }
        }
        (_, []) => {}
        (release, _) => {
            let tasks: Vec<String> = held
                .tasks
                .iter()
                .map(|ahead| ahead.task.id.to_string())
                .collect();
            let what = match tasks.as_slice() {
                [task] => format!("task {task}"),
                tasks => format!("tasks {}", tasks.join(", ")),
            };
            output.line(format!(
                "  only if the work of {what} is to be skipped, release it with: {}",
                release.join(" && ")
            ))?;
        }
    }
    Ok(())
}

/// What became of a claim, if there is something to do about it.
fn print_end(explanation: &Explanation, shared: &Shared, output: &mut Output) -> Result<(), Error> {
    let Explanation { job, work, .. } = explanation;
    match work.state {
        WorkState::Running => {
            output.line(format!(
                "  attempt {}, lease until {} UTC",
                work.attempt.unwrap_or_default(),
                shown_or_dash(work.lease_until.as_deref())
            ))?;
        }
        WorkState::Lapsed => {
            output.line("  its lease ran out: the next claim puts it back to its old place")?;
        }
        WorkState::Foreign => output.line(
            "  it was not claimed through the gate: whether anybody works on it is not known",
        )?,
        _ => {}
    }
    print_error(job, output)?;
    for advice in &explanation.advice {
        match (advice, command_for(shared, advice)) {
            (Advice::TryAgain { .. }, Some(again)) => {
                output.line(format!("  to try it again: {again}"))?;
            }
            (Advice::NextClaim { .. }, Some(now)) => {
                output.line(format!("  to put it back now: {now}"))?;
            }
            (Advice::LookAtProgram { .. }, _) => {
                output.line(format!("  {}", line(Some(shared), advice)))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn print_error(job: &JobRow, output: &mut Output) -> Result<(), Error> {
    if let Some(error) = &job.error {
        output.line(format!("  error: {}", shown(error)))?;
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
    for ahead in &held.tasks {
        let task = &ahead.task;
        let since = task
            .since
            .as_deref()
            .map(|since| format!(" since {} UTC", shown(since)));
        output.line(format!(
            "    {} is in `{}`{}: {}",
            name(task.id, task.work_item_id.as_deref()),
            shown_or_dash(task.stage.as_deref()),
            since.unwrap_or_default(),
            ahead.work.first.in_words(&shown)
        ))?;
        for job in &ahead.work.others {
            output.line(format!("      {}", job.in_words(&shown)))?;
        }
    }
    for ahead in &held.freezes {
        let freeze = &ahead.freeze;
        output.line(format!(
            "  `{}` is frozen since {} UTC: {}",
            shown(&ahead.repo),
            shown_or_dash(freeze.frozen_at.as_deref()),
            shown_or_dash(freeze.reason.as_deref())
        ))?;
    }
    for rule in &held.rules {
        output.line(format!("  {}", shown(rule)))?;
    }
    Ok(())
}
