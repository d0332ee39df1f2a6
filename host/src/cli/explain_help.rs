//! The last lines of `explain`: what became of a claim, and what helps.
//!
//! Owns these lines and `release`. Leaves which advice is given to the queue. Callers rely on this:
//! `release`, which machines read, has only commands that let the job through at once and skip no
//! work that was begun; and on the screen ending a task that has work left comes last.

use serial_gate::queue::{self, Advice, Explanation, Held};
use serial_gate::store::{JobRow, JobWork, WorkState};

use super::Error;
use super::advice::{command_for, line};
use super::options::Shared;
use super::output::Output;
use super::text::{command, shown};

/// The commands that let the job through, all of them needed. Empty when no command would, or when
/// it would skip work that failed or may be going on.
pub fn release(shared: &Shared, held: &Held) -> Vec<String> {
    let is_begun = |state: WorkState| {
        !matches!(
            state,
            WorkState::Queued | WorkState::Finished | WorkState::NoJob
        )
    };
    let mut ahead = held.tasks.iter().flat_map(|ahead| ahead.work.jobs());
    // A job that waits again was begun before.
    let is_again = |job: &JobWork| {
        job.state == WorkState::Queued && job.attempt.is_some_and(|attempt| attempt > 0)
    };
    let skips_work = ahead.any(|job| is_begun(job.state) || is_again(job));
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

/// What helps a job that is held. To end tasks that have work left comes last.
pub fn print_help(
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
        match release {
            [] => output.line("  no single command releases it")?,
            release => {
                output.line(format!("  {when}release it with: {}", release.join(" && ")))?;
            }
        }
        return Ok(());
    }
    let (last, first): (Vec<_>, Vec<_>) = explanation
        .advice
        .iter()
        .partition(|advice| matches!(advice, Advice::Skip { .. }));
    for advice in first {
        output.line(format!("  {}", line(Some(shared), advice)))?;
    }
    match (release, last.as_slice()) {
        ([], []) if held.stuck => output.line("  no single command releases it")?,
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
pub fn print_end(
    explanation: &Explanation,
    shared: &Shared,
    output: &mut Output,
) -> Result<(), Error> {
    let Explanation { job, work, .. } = explanation;
    let is_over = |advice: &Advice| matches!(advice, Advice::NextClaimCancels { .. });
    let is_over = explanation.advice.iter().any(is_over);
    match work.state {
        WorkState::Running => {
            output.line(format!(
                "  attempt {}, lease until {}",
                work.attempt.unwrap_or_default(),
                queue::time(work.lease_until.as_deref().unwrap_or("-"), &shown)
            ))?;
        }
        WorkState::Lapsed if !is_over => {
            output.line("  its lease ran out: the next claim puts it back to its old place")?;
        }
        WorkState::Foreign if work.worker.is_some() => output.line(
            "  it has no lease any more: the gate cannot tell whether it is still worked on",
        )?,
        WorkState::Foreign => output.line(
            "  no claim of the gate is known for it: the gate cannot tell whether it is still worked on",
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
            (Advice::LookAtProgram { .. } | Advice::NextClaimCancels { .. }, _) => {
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
