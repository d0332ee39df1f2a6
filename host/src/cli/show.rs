//! `task show` and `job show`: all that is known of one.
//!
//! Owns the lines. Leaves the rows to the queue, whose document is the JSON, and why a job waits to
//! `explain`.

use clap::Args;
use jiff::Timestamp;
use serial_gate::queue::{Queue, TaskName, time};
use serial_gate::store::{AuditEntry, ListedJob, WorkState};

use super::Error;
use super::advice;
use super::audit;
use super::explain;
use super::options::Shared;
use super::output::Report;
use super::text::{self, id, moment, moment_or_dash, shown, shown_or_dash, state_word, task_name};

/// Show a task: its stage, its branch, its jobs, what it waits for, and what operators did to it
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate task show ORCH-88")]
pub struct TaskShow {
    /// The task, by its id or its work item
    #[arg(allow_negative_numbers = true, value_parser = task_name)]
    task: TaskName,
}

/// Show a job: its state, worker, attempt, times and error, and the last lines that it printed
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate job show 12")]
pub struct JobShow {
    /// The job
    #[arg(allow_negative_numbers = true, value_parser = id)]
    job: i64,
}

impl TaskShow {
    pub fn run(self, queue: &mut Queue, shared: &Shared) -> Result<Report, Error> {
        let now = Timestamp::now();
        let task = queue.task_named(&self.task)?;
        let whole = queue.whole_task(now, task)?;
        let mut report = shared.report();
        report.json(&whole.to_document());
        let task = &whole.task;
        let since = task
            .since
            .as_deref()
            .map(|since| format!(" since {}", moment(since)));
        let outcome = whole.outcome.map(|outcome| format!(", {}", outcome.name()));
        report.line(format!(
            "{} in `{}`: {}{}{}",
            text::task(task.id, task.work_item_id.as_deref()),
            shown_or_dash(task.repo.as_deref()),
            shown_or_dash(task.stage.as_deref()),
            since.unwrap_or_default(),
            outcome
                .filter(|_| task.stage.as_deref() != whole.outcome.map(|one| one.name()))
                .unwrap_or_default()
        ));
        report.line(format!(
            "  added {}",
            moment_or_dash(task.created_at.as_deref())
        ));
        if let Some(label) = &task.label {
            report.line(format!("  label `{}`", shown(label)));
        }
        if let Some(branch) = &whole.branch {
            report.line(format!("  branch {}", text::branch(branch)));
        }
        for job in &whole.jobs {
            report.line(format!("  {}", line(job)));
        }
        if whole.jobs.is_empty() {
            report.line("  it has no job");
        }
        if whole.more_jobs {
            report.line("  and more jobs");
        }
        if let Some(waiting) = &whole.waiting {
            explain::describe_waiting(waiting, shared, &mut report);
        }
        if let Some(problem) = &whole.not_explained {
            report.line(format!(
                "  what it waits for is not known: {}",
                shown(problem)
            ));
        }
        for advice in &whole.advice {
            report.line(format!("  {}", advice::line(Some(shared), advice)));
        }
        for entry in &whole.audit {
            report.line(format!("  {}", audit_line(entry)));
        }
        Ok(report)
    }
}

impl JobShow {
    pub fn run(self, queue: &mut Queue, shared: &Shared) -> Result<Report, Error> {
        let whole = queue.whole_job(Timestamp::now(), self.job)?;
        let mut report = shared.report();
        report.json(&whole);
        let job = &whole.job;
        report.line(line(job));
        let of = job.task_id.map_or_else(
            || "no task".into(),
            |task| text::task(task, job.work_item_id.as_deref()),
        );
        report.line(format!(
            "  of {of} in `{}`, added {}",
            shown_or_dash(job.repo.as_deref()),
            moment_or_dash(job.created_at.as_deref())
        ));
        explain::describe_output(whole.output.as_ref(), &mut report);
        Ok(report)
    }
}

/// A job in a line: its state, who has it, and its error.
fn line(job: &ListedJob) -> String {
    let mut line = format!(
        "job {} for `{}`: {}",
        job.id,
        shown_or_dash(job.agent.as_deref()),
        state_word(job)
    );
    let status = job.status.as_deref();
    let is_said = |status: &&str| job.state == WorkState::Finished || *status == job.state.name();
    if let Some(status) = status.filter(|status| !is_said(status)) {
        line.push_str(&format!(" (`{}`)", shown(status)));
    }
    let of = format!("attempt {} of ", job.attempt);
    let says_attempt = |error: &String| error.starts_with(&of);
    if job.attempt > 0 && !job.error.as_ref().is_some_and(says_attempt) {
        line.push_str(&format!(", attempt {}", job.attempt));
    }
    let parts = [
        (" on ", job.worker.as_deref().map(shown)),
        (", claimed ", job.claimed_at.as_deref().map(moment)),
        (", lease until ", job.lease_until.as_deref().map(moment)),
        (": ", job.error.as_deref().map(shown)),
    ];
    for (before, text) in parts {
        if let Some(text) = text {
            line.push_str(&format!("{before}{text}"));
        }
    }
    line
}

fn audit_line(entry: &AuditEntry) -> String {
    let why = Some(entry.why.as_str()).filter(|why| !why.is_empty());
    let why = why.map(|why| format!(": {}", shown(why)));
    format!(
        "{} by {}: {} {} ({}){}",
        time(&entry.at, &shown),
        shown(&entry.who),
        shown(&entry.action),
        shown(&entry.subject),
        audit::change(entry.before.as_deref(), entry.after.as_deref()),
        why.unwrap_or_default()
    )
}
