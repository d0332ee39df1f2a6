//! `task add|stage|label|done`: tasks come, move on, and end.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serial_gate::store::{DONE, NewTask};

use super::options::{Shared, Why};
use super::output::Output;
use super::text::{id, shown};
use super::{Error, Outcome};

/// Add a task, move it to a stage, mark it, or end it
#[derive(Subcommand)]
#[command(after_help = "Example:\n  serial-gate task add alpha --work-item ORCH-88")]
pub enum Task {
    Add(Add),
    Stage(Stage),
    Label(Label),
    Done(Done),
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
    /// The stage
    stage: String,
    #[command(flatten)]
    why: Why,
}

/// Mark a task for policies that go by marks, such as hotfix-lane
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

/// End tasks: the next one of each repo may start
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate task done 7")]
pub struct Done {
    /// The tasks: all of them or none
    #[arg(required = true, value_name = "TASK", allow_negative_numbers = true, value_parser = id)]
    tasks: Vec<i64>,
    #[command(flatten)]
    why: Why,
}

impl Task {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut store = shared.store()?;
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
                let added = store.add_task(Timestamp::now(), task)?;
                if output.json {
                    output.json_line(&added)?;
                } else {
                    let (task, job) = (added.task_id, added.job_id);
                    output.line(format!(
                        "task {task} added to `{}` with job {job} for `{}`",
                        shown(&repo),
                        shown(&agent)
                    ))?;
                }
            }
            Task::Stage(Stage { task, stage, why }) => {
                why.act(|act| store.set_stage_by(act, &[task], &stage))?;
                if output.json {
                    output.json_line(&serde_json::json!({ "task_id": task, "stage": stage }))?;
                } else {
                    output.line(format!("task {task} is in `{}`", shown(&stage)))?;
                }
            }
            Task::Label(Label { task, label, why }) => {
                why.act(|act| store.set_label(act, task, label.as_deref()))?;
                if output.json {
                    output.json_line(&serde_json::json!({ "task_id": task, "label": label }))?;
                } else {
                    output.line(match label {
                        Some(label) => format!("task {task} is marked `{}`", shown(&label)),
                        None => format!("task {task} has no mark"),
                    })?;
                }
            }
            Task::Done(Done { tasks, why }) => {
                why.act(|act| store.set_stage_by(act, &tasks, DONE))?;
                for task in tasks {
                    if output.json {
                        output.json_line(&serde_json::json!({ "task_id": task, "stage": DONE }))?;
                    } else {
                        output.line(format!("task {task} is done"))?;
                    }
                }
            }
        }
        Ok(Outcome::Done)
    }
}
