//! `task done` and `task cancel`.
//!
//! Owns the report, which says for each task whether it ended now or earlier. Leaves the end to
//! `queue`.

use clap::Args;
use serde_json::json;
use serial_gate::queue::{self, KnownTask, Queue, TaskName, ended_note, stage_of};
use serial_gate::store::TaskOutcome;

use super::Error;
use super::options::{Shared, Why};
use super::output::{Report, noting};
use super::plain_text;
use super::text::{shown, task_name};

/// Tasks to end, all of them or none.
#[derive(Args)]
pub struct End {
    /// The tasks, each by its id or its work item; if one of them cannot end, none does
    #[arg(required = true, value_name = "TASK", allow_negative_numbers = true)]
    #[arg(value_parser = task_name)]
    tasks: Vec<TaskName>,
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    why: Why,
}

/// How a task may end while a job of it is running.
#[derive(Args)]
pub struct Running {
    /// The token of the task's running job: its holder may end the task, and the job keeps running
    #[arg(long, value_name = "TOKEN", env = "SERIAL_GATE_TOKEN")]
    #[arg(value_parser = plain_text::token)]
    token: Option<String>,
    /// Cancel the running jobs, too; needs `--reason`
    #[arg(long, requires = "reason")]
    force: bool,
}

impl Running {
    pub fn get(&self) -> queue::Running<'_> {
        queue::Running {
            token: self.token.as_deref(),
            force: self.force,
        }
    }
}

impl End {
    /// Ends the tasks.
    pub fn run(
        self,
        outcome: TaskOutcome,
        queue: &mut Queue,
        shared: &Shared,
    ) -> Result<Report, Error> {
        let stage = stage_of(outcome, &queue.finished_stages()?).to_owned();
        let mut before: Vec<(KnownTask, Option<TaskOutcome>)> = Vec::new();
        for name in &self.tasks {
            let task = queue.task_named(name)?;
            // A task may be named twice.
            if !before.iter().any(|(other, _)| other.id == task) {
                before.push((queue.known_task(task)?, queue.outcome(task)?));
            }
        }
        let tasks: Vec<i64> = before.iter().map(|(task, _)| task.id).collect();
        let (actor, running) = (self.why.actor(), self.running.get());
        match outcome {
            TaskOutcome::Done => queue.move_tasks(actor, &tasks, &stage, running)?,
            TaskOutcome::Cancelled => queue.cancel_tasks(actor, &tasks, running)?,
        }
        let mut report = shared.report();
        for (task, before) in before {
            let note = before.map(|before| ended_note(before, outcome));
            let document = json!({
                "task_id": task.id, "work_item_id": task.work_item_id, "stage": stage,
                "outcome": outcome,
            });
            report.json(&noting(document, note.as_ref()));
            let task = task.in_words(&shown);
            report.line(match note {
                Some(note) => format!("{task} {note}"),
                None => format!("{task} is {}", outcome.name()),
            });
        }
        Ok(report)
    }
}
