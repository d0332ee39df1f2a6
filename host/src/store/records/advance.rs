//! A task that moves because a job of it is done.
//!
//! Owns when the pipeline moves a task, and what a move queues or ends. A job counts for a stage by
//! its agent: a task leaves a stage when a job of the stage's agent is done and no other one waits,
//! runs, or failed last. Leaves the end of the job to `ending`, and the end of the task to
//! `task_end`. Callers rely on this: they hold the task's row first, so of two jobs that end at the
//! same time only the second finds the other one ended; and the next job is queued in the
//! transaction of the move.

use serde::{Deserialize, Serialize};

use super::new_job::{self, NewJob};
use super::pipeline::{Pipeline, Then};
use super::task_end::{FinishedStages, Running, TaskEnd, check_ended, end_task};
use super::tasks::{check_stages, to_stage_by};
use super::{outcome::TaskOutcome, pipeline::MERGE};
use crate::store::engine::{Tx, values};
use crate::store::error::not_empty;
use crate::store::indexes::IS_OPEN;
use crate::store::job::IS_FAILED;
use crate::store::{Actor, Error};

/// The rules by which a task moves.
#[derive(Debug, Clone, Copy)]
pub struct EndRules<'a> {
    /// The finished stages.
    pub finished: &'a FinishedStages,
    /// The one of tasks that are done.
    pub done: &'a str,
    /// How a task ends in a finished stage.
    pub outcome: fn(&str) -> TaskOutcome,
}

/// Where a task went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The task.
    pub task_id: i64,
    /// The name that people know it by.
    pub work_item_id: Option<String>,
    /// Its stage.
    pub stage: String,
    /// The job that does the work of this stage.
    pub next_job: Option<NextJob>,
    /// How it ended, if it did.
    pub outcome: Option<TaskOutcome>,
    /// Whether it waits for its merge.
    pub waits_for_merge: bool,
}

/// The job of a task's new stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NextJob {
    /// Its id.
    #[schema(example = 3)]
    pub id: i64,
    /// Its agent.
    #[schema(example = "developer")]
    pub agent: String,
}

/// A job's task, as it is before it moves.
pub(super) struct Before {
    pub task: i64,
    work_item: Option<String>,
    pub stage: Option<String>,
    agent: Option<String>,
}

impl Before {
    /// The end of a task whose branch was merged.
    pub(super) fn is_done(self, rules: EndRules<'_>) -> Moved {
        Moved {
            task_id: self.task,
            work_item_id: self.work_item,
            stage: rules.done.into(),
            next_job: None,
            outcome: Some(TaskOutcome::Done),
            waits_for_merge: false,
        }
    }
}

/// Keeps others from moving or ending the task of a job until the transaction ends.
pub(super) fn hold_task(tx: &dyn Tx, job: i64) -> Result<(), Error> {
    let sql = format!(
        "SELECT 1 FROM tasks WHERE id = (SELECT task_id FROM jobs WHERE id = $1) {}",
        tx.locking()
    );
    tx.exists(&sql, values![job]).map(drop)
}

/// The task of a job; none if the job has no task.
pub(super) fn task_of(tx: &dyn Tx, job: i64) -> Result<Option<Before>, Error> {
    tx.row(
        "SELECT tasks.id, tasks.work_item_id, tasks.stage, jobs.agent
         FROM jobs JOIN tasks ON tasks.id = jobs.task_id WHERE jobs.id = $1",
        values![job],
        |row| {
            Ok(Before {
                task: row.get(0)?,
                work_item: row.shown(1)?,
                stage: row.shown(2)?,
                agent: row.shown(3)?,
            })
        },
    )
}

/// Moves the task of a job that is done as the pipeline says; none if it stays.
pub(super) fn by_pipeline(
    tx: &dyn Tx,
    actor: Actor<'_>,
    job: i64,
    pipeline: &Pipeline,
    rules: EndRules<'_>,
) -> Result<Option<Moved>, Error> {
    let Some(before) = task_of(tx, job)? else {
        return Ok(None);
    };
    let Some(stage) = &before.stage else {
        return Ok(None);
    };
    let agent = pipeline.agent_of(stage);
    let is_its_agent = agent.is_some() && agent == before.agent.as_deref();
    if !is_its_agent || rules.finished.contains(stage) || has_other_work(tx, &before)? {
        return Ok(None);
    }
    let to = match (pipeline.after(stage), pipeline.then) {
        (Some(next), _) => &next.stage,
        (None, Then::Merge) => MERGE,
        (None, Then::Done) => rules.done,
    };
    match go(tx, actor, &before, to, Some(pipeline), rules) {
        // A job of another agent runs. The task stays, and people see that it can end.
        Err(Error::TaskRuns { .. }) => Ok(None),
        moved => moved.map(Some),
    }
}

/// Moves a task to a stage, in which it may end.
pub(super) fn go(
    tx: &dyn Tx,
    actor: Actor<'_>,
    before: &Before,
    stage: &str,
    pipeline: Option<&Pipeline>,
    rules: EndRules<'_>,
) -> Result<Moved, Error> {
    not_empty("stage", stage)?;
    let task = before.task;
    let mut moved = Moved {
        task_id: task,
        work_item_id: before.work_item.clone(),
        stage: stage.into(),
        next_job: None,
        outcome: None,
        waits_for_merge: pipeline.is_some_and(|pipeline| pipeline.waits_for_merge(stage)),
    };
    if rules.finished.contains(stage) {
        let end = TaskEnd {
            outcome: (rules.outcome)(stage),
            stage,
            running: Running::default(),
        };
        end_task(tx, actor, task, end)?;
        check_ended(tx, &[task], end)?;
        moved.outcome = Some(end.outcome);
        moved.waits_for_merge = false;
        return Ok(moved);
    }
    to_stage_by(tx, actor, task, stage)?;
    if let Some(agent) = pipeline.and_then(|pipeline| pipeline.agent_of(stage)) {
        let new = NewJob {
            task_id: task,
            agent,
            repo: None,
        };
        // It may have been added by hand.
        let id = match open_job(tx, task, agent)? {
            Some(job) => job,
            None => new_job::insert(tx, actor.now, new)?,
        };
        let agent = agent.into();
        moved.next_job = Some(NextJob { id, agent });
    }
    check_stages(tx, &[task], stage)?;
    Ok(moved)
}

/// Whether the agent has further work in this stage: a job that waits or runs, or a failed one
/// without a later job.
fn has_other_work(tx: &dyn Tx, before: &Before) -> Result<bool, Error> {
    if open_job(tx, before.task, before.agent.as_deref().unwrap_or_default())?.is_some() {
        return Ok(true);
    }
    tx.exists(
        &format!(
            "SELECT 1 FROM jobs WHERE task_id = $1 AND agent = $2 AND {IS_FAILED}
             AND NOT EXISTS (SELECT 1 FROM jobs AS later WHERE later.task_id = $1
                AND later.agent = $2 AND later.id > jobs.id)"
        ),
        values![before.task, before.agent],
    )
}

/// A job of an agent that waits or runs.
fn open_job(tx: &dyn Tx, task: i64, agent: &str) -> Result<Option<i64>, Error> {
    tx.row(
        &format!(
            "SELECT id FROM jobs WHERE task_id = $1 AND agent = $2 AND {IS_OPEN}
             ORDER BY id LIMIT 1"
        ),
        values![task, agent],
        |row| row.get(0),
    )
}
