//! `task done` and `task cancel`.
//!
//! Owns the report, which says for each task whether it ended now or earlier, and the refusal to
//! call a task done whose branch was not merged. Leaves the end to `queue`, and the look to
//! `worker::branch`.

use clap::Args;
use serde_json::json;
use serial_gate::queue::{self, KnownTask, Queue, TaskName, ended_note, stage_of};
use serial_gate::store::TaskOutcome;
use serial_gate::worker::branch::{self, InBase};

use super::Error;
use super::options::{Shared, Why};
use super::output::{Report, noting};
use super::plain_text;
use super::text::{count, shown, task_name};

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

/// Tasks to mark as done.
#[derive(Args)]
pub struct Done {
    #[command(flatten)]
    end: End,
    #[command(flatten)]
    unmerged: Unmerged,
}

/// Whether a task may be done although its branch is not in the base.
#[derive(Args)]
pub struct Unmerged {
    /// Do not look whether the task's branch was merged; needs `--reason`
    #[arg(long, requires = "reason")]
    unmerged: bool,
}

impl Unmerged {
    /// Refuses the end of a task whose branch was not merged, in a repo with a project.
    pub fn check(&self, queue: &mut Queue, shared: &Shared, task: i64) -> Result<(), Error> {
        if self.unmerged || queue.outcome(task)?.is_some() {
            return Ok(());
        }
        let Some(row) = queue.store().task(task)? else {
            return Ok(());
        };
        let Some(project) = branch::project_of(&shared.projects, row.repo.as_deref()) else {
            return Ok(());
        };
        let branch = queue.store().branch(task)?;
        let Some(branch) = branch.filter(|branch| branch.cut_at.is_some()) else {
            return Ok(());
        };
        // A squashed branch is known from the forge only.
        if branch.is_merged() {
            return Ok(());
        }
        let (name, base) = (shown(&branch.name), shown(&branch.base));
        let then = "to end the task all the same, add `--unmerged --reason TEXT`";
        Err(match branch::look_at_branch(project, &branch) {
            Ok(InBase::Yes) => return Ok(()),
            Ok(InBase::Lacks(commits)) => {
                let commits = usize::try_from(commits).unwrap_or(usize::MAX);
                let (commits, verb) = (count(commits, "commit"), are(commits));
                Error::new(format!(
                    "branch `{name}` has {commits} that {verb} not in `{base}`, so nothing was \
                     changed: merge it first; {then}"
                ))
            }
            Ok(InBase::NoBranch) => Error::new(format!(
                "the remote has no branch `{name}` any more, and whether it was merged into \
                 `{base}` is not known, so nothing was changed: {then}"
            )),
            Ok(InBase::NoBase) => Error::new(format!(
                "the remote has no branch `{base}` any more, into which `{name}` was to be merged, \
                 so nothing was changed: {then}"
            )),
            Err(cause) => Error::because(
                format!(
                    "cannot tell whether branch `{name}` was merged into `{base}`, so nothing was \
                     changed: {then}"
                ),
                cause,
            ),
        })
    }
}

fn are(number: usize) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

impl Done {
    /// Ends the tasks whose branches were merged.
    pub fn run(self, queue: &mut Queue, shared: &Shared) -> Result<Report, Error> {
        if self.unmerged.unmerged {
            self.end.why.for_flag("--unmerged")?;
        }
        for name in &self.end.tasks {
            let task = queue.task_named(name)?;
            self.unmerged.check(queue, shared, task)?;
        }
        self.end.run(TaskOutcome::Done, queue, shared)
    }
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
