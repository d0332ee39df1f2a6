//! `task add|stage|label|done|cancel|list|show`: adds, moves, ends and shows tasks.
//!
//! Owns adding, moving and labelling. Leaves the end to `task_end`, and `list` and `show` to `lists`
//! and `show`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use serial_gate::error::with_causes;
use serial_gate::queue::{Queue, TaskName};
use serial_gate::store::{NewTask, TaskOutcome};
use serial_gate::worker::branch;

use super::Error;
use super::lists::TaskList;
use super::options::{Shared, Why};
use super::output::{Report, noting};
use super::show::TaskShow;
use super::task_end::{Done, End, Running, Unmerged};
use super::text::{self, shown, task_name};
use super::verb::Verb;

/// Add a task, move it to a stage, label it, end it, or look at it
#[derive(Subcommand)]
#[command(after_help = "Example:\n  serial-gate task add alpha --work-item ORCH-88")]
pub enum Task {
    Add(Add),
    List(TaskList),
    Show(TaskShow),
    Stage(Stage),
    Label(Label),
    /// Mark tasks as done: their queued jobs are cancelled, and each repo's next task may start
    #[command(after_help = "\
Where a `[[project]]` says where the task's branch was cut, the branch has to be in its
base, or the forge has to have told of the merge. A squashed or rebased branch is not in
the base: say so with `--unmerged`.

A task does not end while a job of it is running. Wait for the job, or cancel it with
`--force`. The worker's own command may end the task: `serial-gate work` gives it the
token in SERIAL_GATE_TOKEN.

Examples:
  serial-gate task done ORCH-88
  serial-gate task done 7 --force --reason 'merged by hand'")]
    Done(Done),
    /// Cancel tasks: their queued jobs are cancelled, and each repo's next task may start
    #[command(after_help = "\
A cancelled task goes to a finished stage: to `cancelled` if the rules have it among
`finished_stages`, otherwise to the one for tasks that are done. The gate remembers
that it was cancelled.

A task does not end while a job of it is running. Wait for the job, or cancel it with
`--force`.

Examples:
  serial-gate task cancel 7 --reason 'no longer wanted'
  serial-gate task cancel 7 --force --reason 'wrong approach'")]
    Cancel(End),
}

/// Add a task with its first job, queued
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate task add alpha --work-item ORCH-88")]
pub struct Add {
    /// The repo that the task changes
    #[arg(value_parser = super::text::repo)]
    repo: String,
    /// The name that people know the task by
    #[arg(long, value_name = "NAME")]
    work_item: Option<String>,
    /// Its first stage [default: the pipeline's first, or analysis]
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// The agent of its first job [default: the stage's in the pipeline, or analyst]
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// A label that a policy may read
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    label: Option<String>,
}

/// Move a task to a stage
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate task stage 7 development")]
pub struct Stage {
    /// The task, by its id or its work item
    #[arg(allow_negative_numbers = true, value_parser = task_name)]
    task: TaskName,
    /// The stage; a finished one ends the task, as `task done` does
    stage: String,
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    unmerged: Unmerged,
    #[command(flatten)]
    why: Why,
}

/// Label a task for policies that read labels, such as hotfix-lane
#[derive(Args)]
#[command(after_help = "Examples:\n  serial-gate task label 7 hotfix\n  serial-gate task label 7")]
pub struct Label {
    /// The task, by its id or its work item
    #[arg(allow_negative_numbers = true, value_parser = task_name)]
    task: TaskName,
    /// The label; without it, the task's label is removed
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    label: Option<String>,
    #[command(flatten)]
    why: Why,
}

impl Verb for Task {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue()?;
        let report = match self {
            Task::Add(verb) => verb.run(&mut queue, shared),
            Task::List(verb) => verb.run(&mut queue, shared),
            Task::Show(verb) => verb.run(&mut queue, shared),
            Task::Stage(verb) => verb.run(&mut queue, shared),
            Task::Label(verb) => verb.run(&mut queue, shared),
            Task::Done(verb) => verb.run(&mut queue, shared),
            Task::Cancel(verb) => verb.run(TaskOutcome::Cancelled, &mut queue, shared),
        };
        Ok(report?.before_closing(queue))
    }
}

impl Add {
    fn run(self, queue: &mut Queue, shared: &Shared) -> Result<Report, Error> {
        let first = queue.first_job(self.stage.as_deref(), self.agent.as_deref())?;
        let task = NewTask {
            repo: &self.repo,
            work_item: self.work_item.as_deref(),
            stage: &first.stage,
            agent: &first.agent,
            label: self.label.as_deref(),
        };
        let (now, clock) = (Timestamp::now(), Timestamp::now);
        let (added, cut) = match branch::project_of(&shared.projects, Some(task.repo)) {
            None => (queue.store().add_task(now, task)?, None),
            // Where the gate acts, a worker cuts the branch when it is the task's turn.
            Some(project) if queue.applies(Some(task.repo)) => {
                let finished = queue.finished_stages()?;
                let store = queue.store();
                let added = branch::add_task_in_line(store, project, task, &finished, now, None)?;
                (added, None)
            }
            Some(project) => {
                branch::check(&shared.projects)?;
                let finished = queue.finished_stages()?;
                let (store, lease) = (queue.store(), shared.lease);
                let (added, cut) =
                    branch::add_task(store, project, task, lease, &finished, &clock)?;
                (added, Some(cut))
            }
        };
        let note = queue.added_task_note(Timestamp::now(), task);
        let mut report = shared.report();
        let mut document = json!(added);
        if let Some(document) = document.as_object_mut() {
            document.insert("work_item_id".into(), task.work_item.into());
        }
        if let (Some(cut), Some(document)) = (&cut, document.as_object_mut()) {
            match cut {
                Ok(branch) => document.insert("branch".into(), json!(branch)),
                Err(error) => document.insert("branch_error".into(), with_causes(error).into()),
            };
        }
        report.json(&noting(document, note.as_ref()));
        report.line(format!(
            "{} added to `{}` with job {} for `{}`",
            text::task(added.task_id, task.work_item),
            shown(task.repo),
            added.job_id,
            shown(task.agent)
        ));
        report.detail(note.as_deref());
        match cut {
            None => {}
            Some(Ok(branch)) => report.line(format!("  its branch is {}", text::branch(&branch))),
            Some(Err(error)) => {
                let then = if error.is_for_good() {
                    "and its job fails unless this is repaired before it is claimed"
                } else {
                    "which is tried again when the job is claimed"
                };
                let error = shown(&with_causes(&error));
                report.line(format!("  its branch could not be cut, {then}: {error}"));
            }
        }
        Ok(report)
    }
}

impl Stage {
    fn run(self, queue: &mut Queue, shared: &Shared) -> Result<Report, Error> {
        let (task, stage) = (queue.task_named(&self.task)?, self.stage);
        let known = queue.known_task(task)?;
        if queue.ends_as_done(&stage)? {
            self.unmerged.check(queue, shared, task)?;
        }
        let before = queue.outcome(task)?;
        queue.move_tasks(self.why.actor(), &[task], &stage, self.running.get())?;
        let note = queue.moved_note(Timestamp::now(), task, before, &stage);
        let mut report = shared.report();
        report.json(&noting(
            json!({ "task_id": task, "work_item_id": known.work_item_id, "stage": stage }),
            note.as_ref(),
        ));
        report.line(format!(
            "{} is in `{}`",
            known.in_words(&shown),
            shown(&stage)
        ));
        report.detail(note.as_deref());
        Ok(report)
    }
}

impl Label {
    fn run(self, queue: &mut Queue, shared: &Shared) -> Result<Report, Error> {
        let (task, label) = (queue.task_named(&self.task)?, self.label);
        let known = queue.known_task(task)?;
        queue
            .store()
            .set_label(self.why.actor(), task, label.as_deref())?;
        let mut report = shared.report();
        report.json(&json!({
            "task_id": task, "work_item_id": known.work_item_id, "label": label,
        }));
        let task = known.in_words(&shown);
        report.line(match label {
            Some(label) => format!("{task} is labelled `{}`", shown(&label)),
            None => format!("{task} has no label"),
        });
        Ok(report)
    }
}
