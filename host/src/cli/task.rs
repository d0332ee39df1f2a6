//! `task add|stage|label|done|cancel`: tasks come, move on, and end.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serial_gate::error::with_causes;
use serial_gate::queue;
use serial_gate::store::{Added, NewTask, TaskBranch, TaskOutcome};
use serial_gate::worker::branch;

use super::options::{Shared, Why};
use super::output::{Output, noting};
use super::plain_text;
use super::task_end::{before_the_end, print_ended};
use super::text::{self, id, shown};
use super::{Error, Outcome};

/// Add a task, move it to a stage, mark it, or end it
#[derive(Subcommand)]
#[command(after_help = "Example:\n  serial-gate task add alpha --work-item ORCH-88")]
pub enum Task {
    Add(Add),
    Stage(Stage),
    Label(Label),
    /// Mark tasks as done: their queued jobs are cancelled, and the next task of each repo may
    /// start
    #[command(after_help = concat!(
        "A task does not end while a job of it is running. Wait for the job, or cancel it with `--force`. The\n",
        "worker's own command may end the task: `serial-gate work` hands it the token in SERIAL_GATE_TOKEN.\n\n",
        "Examples:\n  serial-gate task done 7\n",
        "  serial-gate task done 7 --force --reason 'merged by hand'",
    ))]
    Done(End),
    /// Cancel tasks: their queued jobs are cancelled, and the next task of each repo may start
    #[command(after_help = concat!(
        "A task does not end while a job of it is running. Wait for the job, or cancel it with `--force`.\n\n",
        "Examples:\n  serial-gate task cancel 7 --reason 'no longer wanted'\n",
        "  serial-gate task cancel 7 --force --reason 'wrong approach'",
    ))]
    Cancel(End),
}

/// Add a task with its first job, queued
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate task add alpha --work-item ORCH-88")]
pub struct Add {
    /// The repo that the task changes
    repo: String,
    /// The name that people know the task by
    #[arg(long, value_name = "NAME")]
    work_item: Option<String>,
    /// Its first stage
    #[arg(long, default_value = "analysis")]
    stage: String,
    /// The agent of its first job
    #[arg(long, default_value = "analyst")]
    agent: String,
    /// A mark on it, which a policy may go by
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    label: Option<String>,
}

/// Move a task to a stage
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate task stage 7 development")]
pub struct Stage {
    /// The task
    #[arg(allow_negative_numbers = true, value_parser = id)]
    task: i64,
    /// The stage; a finished one ends the task, as `task done` does
    stage: String,
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    why: Why,
}

/// Label a task for policies that read labels, such as hotfix-lane
#[derive(Args)]
#[command(after_help = "Examples:\n  serial-gate task label 7 hotfix\n  serial-gate task label 7")]
pub struct Label {
    /// The task
    #[arg(allow_negative_numbers = true, value_parser = id)]
    task: i64,
    /// The mark [default: none, which takes it away]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    label: Option<String>,
    #[command(flatten)]
    why: Why,
}

/// Tasks to end, all of them or none.
#[derive(Args)]
pub struct End {
    /// The tasks; if one of them cannot end, none does
    #[arg(required = true, value_name = "TASK", allow_negative_numbers = true, value_parser = id)]
    tasks: Vec<i64>,
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    why: Why,
}

/// How a task may end although a job of it is running.
#[derive(Args)]
pub struct Running {
    /// The token of the task's running job: its holder may end the task, and the job keeps running
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SERIAL_GATE_TOKEN",
        hide_env_values = true,
        value_parser = plain_text::token
    )]
    token: Option<String>,
    /// Cancel the running jobs, too; needs `--reason`
    #[arg(long, requires = "reason")]
    force: bool,
}

impl Running {
    fn get(&self) -> queue::Running<'_> {
        queue::Running {
            token: self.token.as_deref(),
            force: self.force,
        }
    }
}

impl Task {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue()?;
        match self {
            Task::Add(Add {
                repo,
                work_item,
                stage,
                agent,
                label,
            }) => {
                let task = NewTask {
                    repo: &repo,
                    work_item: work_item.as_deref(),
                    stage: &stage,
                    agent: &agent,
                    label: label.as_deref(),
                };
                let project = branch::project_of(&shared.projects, Some(&repo));
                match project {
                    None => {
                        let added = queue.store_mut().add_task(Timestamp::now(), task)?;
                        let note = queue.added_task_note(Timestamp::now(), task);
                        print_added(added, task, None, note, output)?;
                    }
                    // Where the gate acts, the branch has to wait for the task's turn.
                    Some(project) if queue.applies(Some(&repo)) => {
                        let (now, finished) = (Timestamp::now(), queue.finished_stages()?);
                        let store = queue.store_mut();
                        let added =
                            branch::add_task_in_line(store, project, task, &finished, now, None)?;
                        let note = queue.added_task_note(now, task);
                        print_added(added, task, None, note, output)?;
                    }
                    Some(project) => {
                        branch::check(&shared.projects)?;
                        let (clock, finished) = (Timestamp::now, queue.finished_stages()?);
                        let store = queue.store_mut();
                        let (added, cut) = branch::add_task(
                            store,
                            project,
                            task,
                            shared.lease,
                            &finished,
                            &clock,
                        )?;
                        let note = queue.added_task_note(Timestamp::now(), task);
                        print_added(added, task, Some(cut), note, output)?;
                    }
                }
            }
            Task::Stage(Stage {
                task,
                stage,
                running,
                why,
            }) => {
                let before = queue.outcome(task)?;
                why.act(|act| queue.move_tasks(act, &[task], &stage, running.get()))?;
                let note = queue.moved_note(Timestamp::now(), task, before, &stage);
                if output.json {
                    let document = serde_json::json!({ "task_id": task, "stage": stage });
                    output.json_line(&noting(document, note.as_ref()))?;
                } else {
                    output.line(format!("task {task} is in `{}`", shown(&stage)))?;
                    if let Some(note) = note {
                        output.line(format!("  {}", shown(&note)))?;
                    }
                }
            }
            Task::Label(Label { task, label, why }) => {
                why.act(|act| queue.store_mut().set_label(act, task, label.as_deref()))?;
                if output.json {
                    output.json_line(&serde_json::json!({ "task_id": task, "label": label }))?;
                } else {
                    output.line(match label {
                        Some(label) => format!("task {task} is marked `{}`", shown(&label)),
                        None => format!("task {task} has no mark"),
                    })?;
                }
            }
            Task::Done(End {
                tasks,
                running,
                why,
            }) => {
                let (stage, before) = before_the_end(&mut queue, &tasks)?;
                let tasks: Vec<i64> = before.iter().map(|(task, _)| *task).collect();
                why.act(|act| queue.move_tasks(act, &tasks, &stage, running.get()))?;
                print_ended(&before, &stage, TaskOutcome::Done, output)?;
            }
            Task::Cancel(End {
                tasks,
                running,
                why,
            }) => {
                let (stage, before) = before_the_end(&mut queue, &tasks)?;
                let tasks: Vec<i64> = before.iter().map(|(task, _)| *task).collect();
                why.act(|act| queue.cancel_tasks(act, &tasks, running.get()))?;
                print_ended(&before, &stage, TaskOutcome::Cancelled, output)?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// Tells what was added, and what became of its branch if one was to be cut at once.
fn print_added(
    added: Added,
    task: NewTask<'_>,
    cut: Option<Result<TaskBranch, branch::Error>>,
    note: Option<String>,
    output: &mut Output,
) -> Result<(), Error> {
    if output.json {
        let mut document = serde_json::json!(added);
        if let (Some(cut), Some(document)) = (&cut, document.as_object_mut()) {
            match cut {
                Ok(branch) => document.insert("branch".into(), serde_json::json!(branch)),
                Err(error) => document.insert("branch_error".into(), with_causes(error).into()),
            };
        }
        output.json_line(&noting(document, note.as_ref()))?;
        return Ok(());
    }
    output.line(format!(
        "task {} added to `{}` with job {} for `{}`",
        added.task_id,
        shown(task.repo),
        added.job_id,
        shown(task.agent)
    ))?;
    if let Some(note) = note {
        output.line(format!("  {}", shown(&note)))?;
    }
    match cut {
        None => {}
        Some(Ok(branch)) => output.line(format!("  its branch is {}", text::branch(&branch)))?,
        Some(Err(error)) => {
            let then = if error.is_for_good() {
                "and its job fails unless that is mended before it is claimed"
            } else {
                "which is tried again when the job is claimed"
            };
            let error = with_causes(&error);
            output.line(format!(
                "  its branch could not be cut, {then}: {}",
                shown(&error)
            ))?;
        }
    }
    Ok(())
}
