//! The pipeline, and jobs whose end moves their task.
//!
//! Owns which pipelines are refused, the first job of a new task, and the words for a task that
//! moved. Leaves the move to the store, because it is one change with the end of the job, and the
//! notes to `pipeline_notes`.

use super::stages::{outcome_in, stage_of};
use super::{Error, Queue};
use crate::printable::Show;
use crate::store::{
    self, Actor, Claim, EndRules, EndedJob, Ending, FinishedStages, MERGE, Moved, Pipeline,
    TaskOutcome, Then,
};

/// The stage of a new task and the agent of its first job, where no pipeline is set.
const FIRST: (&str, &str) = ("analysis", "analyst");

/// The stage of a new task, and the agent of its first job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstJob {
    /// The stage.
    pub stage: String,
    /// The agent.
    pub agent: String,
}

/// What the pipeline says of a task's stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InPipeline {
    /// Jobs of this agent do its work.
    Stage {
        /// The agent.
        agent: String,
    },
    /// A task waits there for its merge.
    Merge,
}

impl InPipeline {
    /// None if the stage is in no pipeline.
    pub(super) fn of(pipeline: Option<&Pipeline>, stage: Option<&str>) -> Option<InPipeline> {
        let (pipeline, stage) = pipeline.zip(stage)?;
        if pipeline.waits_for_merge(stage) {
            return Some(InPipeline::Merge);
        }
        let agent = pipeline.agent_of(stage)?.into();
        Some(InPipeline::Stage { agent })
    }
}

impl Queue {
    /// Ends a claimed job, and moves its task: as [`Store::end_job`](crate::store::Store::end_job),
    /// under the rules of now.
    pub fn end_job(
        &mut self,
        actor: Actor<'_>,
        claim: Claim<'_>,
        ending: Ending<'_>,
    ) -> Result<EndedJob, Error> {
        let finished = self.finished_stages()?;
        let rules = EndRules {
            finished: &finished,
            done: stage_of(TaskOutcome::Done, &finished),
            outcome: outcome_in,
        };
        Ok(self.store_mut().end_job(actor, claim, ending, rules)?)
    }

    /// Sets the pipeline, and returns the one before. A task whose present stage is in it moves
    /// when the next job of it ends.
    pub fn set_pipeline(
        &mut self,
        actor: Actor<'_>,
        pipeline: &Pipeline,
    ) -> Result<Option<Pipeline>, Error> {
        check(pipeline, &self.finished_stages()?)?;
        Ok(self.store.set_pipeline(actor, Some(pipeline))?)
    }

    /// Where a new task begins: as given, else as the pipeline says.
    pub fn first_job(
        &mut self,
        stage: Option<&str>,
        agent: Option<&str>,
    ) -> Result<FirstJob, Error> {
        let pipeline = self.store.pipeline()?;
        let first = pipeline.as_ref().and_then(|all| all.stages.first());
        let (first_stage, first_agent) =
            first.map_or(FIRST, |first| (first.stage.as_str(), first.agent.as_str()));
        let stage = stage.unwrap_or(first_stage);
        let of_stage = pipeline.as_ref().and_then(|all| all.agent_of(stage));
        Ok(FirstJob {
            agent: agent.or(of_stage).unwrap_or(first_agent).into(),
            stage: stage.into(),
        })
    }
}

/// Whether a name can be given in a list of arguments, and is no list itself.
fn is_one_word(name: &str) -> bool {
    !name.contains([',', '=']) && !name.chars().any(char::is_whitespace)
}

/// Refuses a pipeline through which no task could go.
fn check(pipeline: &Pipeline, finished: &FinishedStages) -> Result<(), Error> {
    let refuse = |stage: &str, why| {
        Err(Error::NotInPipeline {
            stage: stage.into(),
            why,
        })
    };
    for (number, one) in pipeline.stages.iter().enumerate() {
        let stage = one.stage.as_str();
        store::check_stage(stage)?;
        store::check_name("agent", &one.agent)?;
        if !is_one_word(stage) {
            return refuse(stage, "has a space or a comma: separate stages by spaces");
        }
        if !is_one_word(&one.agent) {
            return Err(Error::AgentInPipeline {
                agent: one.agent.clone(),
            });
        }
        let mut earlier = pipeline.stages.iter().take(number);
        if earlier.any(|earlier| earlier.stage == stage) {
            return refuse(stage, "is named twice");
        }
        if finished.contains(stage) {
            return refuse(stage, "is a finished stage by the rules");
        }
        if pipeline.waits_for_merge(stage) {
            return refuse(
                stage,
                "comes after the last one, and tasks wait there for their merge",
            );
        }
    }
    if pipeline.then == Then::Merge && finished.contains(MERGE) {
        return refuse(
            MERGE,
            "is a finished stage by the rules, and no task waits there for its merge",
        );
    }
    Ok(())
}

impl Moved {
    /// Where the task went, in a few words. A command may follow for a task that waits for its merge.
    pub fn in_words(&self, show: Show<'_>) -> String {
        let id = self.task_id;
        let task = match &self.work_item_id {
            Some(name) => format!("task {id} ({})", show(name)),
            None => format!("task {id}"),
        };
        let words = match (&self.next_job, self.outcome) {
            (_, Some(outcome)) => format!("{task} is {}", outcome.name()),
            (Some(next), None) => format!(
                "{task} is in {}: job {} for `{}` is queued",
                show(&self.stage),
                next.id,
                show(&next.agent)
            ),
            (None, None) if self.waits_for_merge => format!("{task} waits to be merged"),
            (None, None) => format!("{task} is in {}", show(&self.stage)),
        };
        match self.still_runs {
            Some(job) => format!("{words}; job {job} of the stage before still runs"),
            None => words,
        }
    }
}
