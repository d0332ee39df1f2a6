//! Which job sent a task back to an earlier stage.
//!
//! Owns how that is read from the stored answers: the answer of a job names the job that it queued.
//! Leaves the moves to `advance`. Callers rely on this: a job to which its task came in the usual
//! way was sent back by nobody. Where an agent has several stages, a move that the pipeline may have
//! made itself counts as usual.

use super::ended_job::EndedJob;
use super::pipeline::{self, Pipeline};
use crate::store::engine::values;
use crate::store::{Error, Store};

impl Store {
    /// The job that sent this job's task back to its stage, if one did.
    ///
    /// # Errors
    ///
    /// When the jobs or the pipeline cannot be read.
    pub fn sent_back_by(&mut self, job: i64) -> Result<Option<i64>, Error> {
        self.read(|tx| {
            let Some(pipeline) = pipeline::read(tx)? else {
                return Ok(None);
            };
            let answers = tx.rows(
                "SELECT other.id, other.agent, other.gate_answer
                 FROM jobs JOIN jobs AS other ON other.task_id = jobs.task_id
                 WHERE jobs.id = $1 AND other.id <> $1 AND other.gate_answer IS NOT NULL
                 ORDER BY other.id DESC",
                values![job],
                |row| {
                    let answer: Option<String> = row.shown(2)?;
                    Ok((row.get::<i64>(0)?, row.shown(1)?, answer))
                },
            )?;
            let mut senders = answers.into_iter().filter(|(_, agent, answer)| {
                let moved = answer
                    .as_deref()
                    .and_then(|answer| serde_json::from_str::<EndedJob>(answer).ok())
                    .and_then(|answer| answer.moved);
                moved.is_some_and(|moved| {
                    moved.next_job.is_some_and(|next| next.id == job)
                        && is_back(&pipeline, agent.as_deref(), &moved.stage)
                })
            });
            Ok(senders.next().map(|(id, ..)| id))
        })
    }
}

/// Whether a stage comes before every stage of an agent.
fn is_back(pipeline: &Pipeline, agent: Option<&str>, stage: &str) -> bool {
    let at = |found: &str| pipeline.stages.iter().position(|one| one.stage == found);
    let of_agent = pipeline
        .stages
        .iter()
        .position(|one| Some(one.agent.as_str()) == agent);
    matches!((at(stage), of_agent), (Some(to), Some(from)) if to < from)
}
