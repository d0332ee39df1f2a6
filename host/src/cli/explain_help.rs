//! The last lines of `explain`: how a claim ended, and what helps.
//!
//! Owns these lines and `release`. Leaves the choice of advice to the queue. Callers rely on this:
//! `release`, which machines read, contains only commands that let the job through at once and skip
//! no work that has begun; and for people, ending a task with unfinished work comes last.

use serial_gate::queue::{self, Advice, Explanation, Held};
use serial_gate::store::{JobWork, WorkState};

use super::advice::{command_for, line};
use super::options::Shared;
use super::output::Report;
use super::text::{command, shown, task};

/// The commands that let the job through; all of them are needed. Empty if no commands would, or if
/// they would skip work that failed or may still be running.
pub fn release(shared: &Shared, held: &Held) -> Vec<String> {
    let is_begun = |state: WorkState| {
        !matches!(
            state,
            WorkState::Queued | WorkState::Finished | WorkState::NoJob
        )
    };
    let mut ahead = held.tasks.iter().flat_map(|ahead| ahead.work.jobs());
    // A requeued job has begun before.
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

/// What helps a held job. Ending tasks that have work left comes last.
pub fn describe_help(
    explanation: &Explanation,
    held: &Held,
    release: &[String],
    shared: &Shared,
    report: &mut Report,
) {
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
            [] => report.line("  no single command releases it"),
            release => {
                report.line(format!("  {when}release it with: {}", release.join(" && ")));
            }
        }
        return;
    }
    let (last, first): (Vec<_>, Vec<_>) = explanation
        .advice
        .iter()
        .partition(|advice| matches!(advice, Advice::Skip { .. }));
    for advice in first {
        report.line(format!("  {}", line(Some(shared), advice)));
    }
    match (release, last.as_slice()) {
        ([], []) if held.stuck => report.line("  no single command releases it"),
        ([], last) => {
            for advice in last {
                report.line(format!("  {}", line(Some(shared), advice)));
            }
        }
        (_, []) => {}
        (release, _) => {
            let tasks = held.tasks.iter().map(|ahead| &ahead.task);
            let tasks = tasks.map(|ahead| task(ahead.id, ahead.work_item_id.as_deref()));
            let tasks: Vec<String> = tasks.collect();
            report.line(format!(
                "  only if the work of {} is to be skipped, release it with: {}",
                tasks.join(", "),
                release.join(" && ")
            ));
        }
    }
}

/// How a claim ended, if there is something to do about it.
pub fn describe_end(explanation: &Explanation, shared: &Shared, report: &mut Report) {
    let Explanation { job, work, .. } = explanation;
    let is_over = |advice: &Advice| matches!(advice, Advice::NextClaimCancels { .. });
    let is_over = explanation.advice.iter().any(is_over);
    match work.state {
        WorkState::Running => {
            report.line(format!(
                "  attempt {}, lease until {}",
                work.attempt.unwrap_or_default(),
                queue::time(work.lease_until.as_deref().unwrap_or("-"), &shown)
            ));
        }
        WorkState::Lapsed if !is_over => {
            report.line("  its lease expired: the next claim requeues it at its old place");
        }
        WorkState::Foreign if work.worker.is_some() => {
            report.line("  it has no lease: the gate cannot tell whether its worker still runs")
        }
        WorkState::Foreign => {
            report.line("  the gate did not claim it: it cannot tell whether its worker still runs")
        }
        _ => {}
    }
    if let Some(error) = &job.error {
        report.line(format!("  error: {}", shown(error)));
    }
    for advice in &explanation.advice {
        match (advice, command_for(shared, advice)) {
            (Advice::TryAgain { .. }, Some(again)) => {
                report.line(format!("  to try it again: {again}"));
            }
            (Advice::NextClaim { .. }, Some(now)) => {
                report.line(format!("  to put it back now: {now}"));
            }
            (Advice::LookAtProgram { .. } | Advice::NextClaimCancels { .. }, _) => {
                report.line(format!("  {}", line(Some(shared), advice)));
            }
            _ => {}
        }
    }
}
