//! `pipeline set|show|clear`: the stages that a task goes through.

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::json;
use serial_gate::store::{self, PipelineStage, Then};

use super::Error;
use super::options::{Shared, Why, between};
use super::output::Report;
use super::text::{gate, shown};
use super::verb::Verb;

/// Set the stages that a task goes through, each with its agent
#[derive(Subcommand)]
#[command(after_help = "\
With a pipeline, a job that is done moves its task on: when the last job of the
stage's agent is done, the task goes to the next stage, and a job of the next agent is
queued. After the last stage, the task waits in the stage `merge` for its merge, or it
is done. Without a pipeline, your own program queues the next jobs.

Example:
  serial-gate pipeline set analysis=analyst development=developer review=reviewer")]
pub enum Pipeline {
    Set(Set),
    /// Show the pipeline
    #[command(after_help = "Example:\n  serial-gate pipeline show")]
    Show,
    Clear(Clear),
}

/// Set the pipeline of this queue; a task moves by it when its next job is done
#[derive(Args)]
#[command(after_help = "\
A failed job is tried again after a delay, until it has failed `--attempts` times: the
delay is about 10 seconds, and doubles up to half an hour.

Examples:
  serial-gate pipeline set analysis=analyst development=developer review=reviewer
  serial-gate pipeline set work=analyst --then done --attempts 3")]
pub struct Set {
    /// The stages in their order, each with the agent of its jobs
    #[arg(required = true, value_name = "STAGE=AGENT", value_parser = stage)]
    stages: Vec<PipelineStage>,
    /// What comes after the last stage
    #[arg(long, value_enum, default_value = "merge")]
    then: ThenArg,
    /// After how many failed attempts a job has failed
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = attempts())]
    attempts: u32,
    #[command(flatten)]
    why: Why,
}

/// Remove the pipeline: jobs move no task on
#[derive(Args)]
#[command(
    after_help = "Example:\n  serial-gate pipeline clear --reason 'the orchestrator does it'"
)]
pub struct Clear {
    #[command(flatten)]
    why: Why,
}

#[derive(Clone, Copy, ValueEnum)]
enum ThenArg {
    /// The task waits in the stage `merge` until `task done`
    Merge,
    /// The task is done
    Done,
}

/// How many attempts a job may have.
pub fn attempts() -> impl Fn(&str) -> Result<u32, String> + Clone {
    between(1, 100)
}

fn stage(text: &str) -> Result<PipelineStage, String> {
    match text.split_once('=') {
        Some((stage, agent)) if !stage.is_empty() && !agent.is_empty() => Ok(PipelineStage {
            stage: stage.into(),
            agent: agent.into(),
        }),
        _ => Err("write a stage and its agent, such as `review=reviewer`".into()),
    }
}

impl Verb for Pipeline {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue()?;
        let mut report = shared.report();
        let (pipeline, before) = match self {
            Pipeline::Set(Set {
                stages,
                then,
                attempts,
                why,
            }) => {
                let then = match then {
                    ThenArg::Merge => Then::Merge,
                    ThenArg::Done => Then::Done,
                };
                let pipeline = store::Pipeline {
                    stages,
                    then,
                    attempts,
                };
                let before = queue.set_pipeline(why.actor(), &pipeline)?;
                (Some(pipeline), before)
            }
            Pipeline::Show => (queue.store().pipeline()?, None),
            Pipeline::Clear(Clear { why }) => {
                // The history has what changed something.
                let before = match queue.store().pipeline()? {
                    Some(_) => queue.store().set_pipeline(why.actor(), None)?,
                    None => None,
                };
                if before.is_none() {
                    report.line("there was no pipeline: nothing was changed");
                }
                (None, before)
            }
        };
        let notes = match &pipeline {
            Some(pipeline) => queue.pipeline_notes(Timestamp::now(), pipeline)?,
            None => Vec::new(),
        };
        report.json(&json!({ "pipeline": pipeline, "before": before, "notes": notes }));
        report.line(line(pipeline.as_ref(), shared));
        if let Some(before) = before.filter(|before| pipeline.as_ref() != Some(before)) {
            report.line(format!("  before: {}", shown(&before.in_words())));
        }
        for note in &notes {
            report.note(note);
        }
        Ok(report.before_closing(queue))
    }
}

/// The pipeline in a line, or how to set one.
pub fn line(pipeline: Option<&store::Pipeline>, shared: &Shared) -> String {
    match pipeline {
        Some(pipeline) => format!("pipeline: {}", shown(&pipeline.in_words())),
        None => format!(
            "no pipeline: a finished job moves no task on, until `{} pipeline set` says how",
            gate(shared)
        ),
    }
}
