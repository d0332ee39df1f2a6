//! `explain`: shows why a job waits, and what helps.
//!
//! Owns the lines about a job and what it waits for. Leaves what helps to `explain_help`.

use clap::Args;
use jiff::Timestamp;
use serial_gate::queue::{self, Advice, Doubt, Explanation, Held, Standing, TaskName};
use serial_gate::store::{JobOutput, WorkState};

use super::advice::command_for;
use super::explain_help::{describe_end, describe_help, release};
use super::freeze_remedy::further_lines;
use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::text::{self, count, shown, shown_or_dash, task as name, task_name, when};
use super::verb::Verb;
use super::{Error, Outcome};

/// Show whether a job may be claimed; if not, what it waits for and what to do about it
#[derive(Args)]
#[command(after_help = "\
Examples:
  serial-gate explain 12
  serial-gate explain ORCH-88")]
pub struct Explain {
    /// The job, or a task's work item: its waiting job, or else the job that matters most
    #[arg(allow_negative_numbers = true, value_parser = task_name)]
    job: TaskName,
}

impl Verb for Explain {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let (mut queue, now) = (shared.queue()?, Timestamp::now());
        let job = match self.job {
            TaskName::Id(job) => job,
            named => {
                let task = queue.task_named(&named)?;
                queue.job_of_task(now, task)?
            }
        };
        let explanation = queue.explain(now, job)?;
        let release = match &explanation.standing {
            Standing::Held(held) => release(shared, held),
            _ => Vec::new(),
        };
        let mut report = shared.report();
        report.json(&document(&explanation, &release, shared));
        describe(&explanation, &release, shared, &mut report);
        if let Some(branch) = explanation
            .branch
            .as_ref()
            .filter(|_| !explanation.task_is_over)
        {
            report.line(format!("  its task's branch: {}", text::branch(branch)));
        }
        // The document has that of every job.
        if let WorkState::Failed | WorkState::PutOff = explanation.work.state {
            describe_output(explanation.output.as_ref(), &mut report);
        }
        Ok(report.ended(match explanation.standing {
            // The policy gave two answers, so neither can be trusted.
            _ if explanation.contradiction.is_some() => Outcome::Failed,
            Standing::Held(_) => Outcome::Held,
            Standing::NotQueued | Standing::Claimable { .. } => Outcome::Done,
        }))
    }
}

/// The lines about a job that waits.
pub fn describe_waiting(explanation: &Explanation, shared: &Shared, report: &mut Report) {
    let release = match &explanation.standing {
        Standing::Held(held) => release(shared, held),
        _ => Vec::new(),
    };
    describe(explanation, &release, shared, report);
}

/// The last lines that a job printed.
pub fn describe_output(output: Option<&JobOutput>, report: &mut Report) {
    let Some(output) = output else {
        return;
    };
    report.line(format!(
        "  the end of its output, attempt {}:",
        output.attempt
    ));
    for line in output.text.lines() {
        // A tab is no danger, and aligns what it was written for.
        let parts: Vec<String> = line.split('\t').map(shown).collect();
        report.line(format!("    | {}", parts.join("\t")).trim_end());
    }
}

/// The library's document, and the commands.
fn document(explanation: &Explanation, release: &[String], shared: &Shared) -> serde_json::Value {
    let mut document = serde_json::json!(explanation.to_document());
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

fn describe(explanation: &Explanation, release: &[String], shared: &Shared, report: &mut Report) {
    let job = &explanation.job;
    let of_task = job.task_id.filter(|_| job.work_item_id.is_some());
    let of_task = of_task.map(|task| format!(" of {}", name(task, job.work_item_id.as_deref())));
    let about = format!(
        "job {}{} for `{}` in `{}`",
        job.id,
        of_task.unwrap_or_default(),
        shown_or_dash(job.agent.as_deref()),
        shown_or_dash(job.repo.as_deref())
    );
    if let Some(contradiction) = &explanation.contradiction {
        report.line(format!(
            "{about}: {}",
            toned(Tone::Held, contradiction.answers())
        ));
        let rollback = ["policy", "rollback", "--reason", "TEXT"];
        if let Some(rollback) = text::command(shared, &rollback) {
            report.line(format!("  the policy contradicts itself: {rollback}"));
        }
        if let Standing::Held(held) = &explanation.standing {
            describe_reasons(held, shared, report);
        }
        return;
    }
    match &explanation.standing {
        Standing::NotQueued => {
            if let Some(until) = job.put_off_until() {
                let until = queue::time(until, &shown);
                let cancels = |advice: &Advice| matches!(advice, Advice::NextClaimCancels { .. });
                let is_over = explanation.advice.iter().any(cancels);
                report.line(match (explanation.work.is_due, is_over) {
                    (false, _) => format!("{about} is put off until {until}"),
                    (true, false) => {
                        format!("{about} was put off until {until}: the next claim tries it again")
                    }
                    (true, true) => format!("{about} was put off until {until}"),
                });
                return describe_end(explanation, shared, report);
            }
            let by = explanation.work.worker.as_deref().map(|worker| {
                format!(
                    ", claimed by `{}` at {} UTC",
                    shown(worker),
                    shown_or_dash(job.claimed_at.as_deref())
                )
            });
            let status = shown_or_dash(job.status.as_deref());
            report.line(format!(
                "{about} is not queued: it is `{status}`{}",
                by.unwrap_or_default()
            ));
            describe_end(explanation, shared, report);
        }
        Standing::Claimable { ahead } => {
            let line = match ahead {
                0 => "the next claim gets it".into(),
                ahead => format!("{} before it in the line", count(*ahead, "claimable job")),
            };
            report.line(format!(
                "{about} {}: {line}",
                toned(Tone::Free, "may be claimed")
            ));
        }
        Standing::Held(held) => {
            report.line(format!("{about} is {}", toned(Tone::Held, "held")));
            describe_reasons(held, shared, report);
            describe_help(explanation, held, release, shared, report);
        }
    }
}

fn describe_reasons(held: &Held, shared: &Shared, report: &mut Report) {
    for doubt in &held.doubts {
        report.line(format!("  the policy names {}", shown(&doubt.to_string())));
    }
    if !held.tasks.is_empty() {
        let is_of_order = |doubt: &Doubt| matches!(doubt, Doubt::NotEarlier { .. });
        let where_it_is = match held.doubts.iter().any(is_of_order) {
            true => "that the policy puts ahead of it",
            false => "ahead of it in the repo",
        };
        let at_least = if held.more_tasks { "at least " } else { "" };
        report.line(format!(
            "  {at_least}{} {where_it_is}:",
            count(held.tasks.len(), "unfinished task")
        ));
    }
    for ahead in &held.tasks {
        let task = &ahead.task;
        let since = task
            .since
            .as_deref()
            .map(|since| format!(" since {} UTC", shown(since)));
        report.line(format!(
            "    {} is in `{}`{}: {}",
            name(task.id, task.work_item_id.as_deref()),
            shown_or_dash(task.stage.as_deref()),
            since.unwrap_or_default(),
            ahead.work.first.in_words(&shown)
        ));
        for job in &ahead.work.others {
            report.line(format!("      {}", job.in_words(&shown)));
        }
    }
    for ahead in &held.freezes {
        let freeze = &ahead.freeze;
        report.line(format!(
            "  `{}` is frozen since {}: {} (freeze {})",
            shown(&ahead.repo),
            when(freeze.since, freeze.frozen_at.as_deref()),
            shown_or_dash(freeze.reason.as_deref()),
            freeze.id
        ));
        if let Some(until) = &freeze.until {
            // What helps comes below.
            let words = queue::until_words(until, Timestamp::now(), &shown);
            report.line(format!("    {words}"));
        }
        for line in further_lines(Some(shared), &ahead.repo, &ahead.further) {
            report.line(format!("    {line}"));
        }
    }
    for rule in &held.rules {
        report.line(format!("  {}", shown(rule)));
    }
}
