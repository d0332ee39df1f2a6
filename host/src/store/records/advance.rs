//! A task that moves because a job of it is done.
//!
//! Owns when the pipeline moves a task, and what a move queues, cancels or ends. A job counts for a
//! stage by its agent: a task leaves a stage when a job of the stage's agent is done and no other one
//! waits, runs, or failed last. A task that is over stays over. Leaves the end of the job to
//! `ending`, and the end of the task to `task_end`. Callers rely on this: they hold the task's row
//! first, so of two jobs that end at the same time only the second finds the other one ended; and
//! the next job is queued in the transaction of the move. A job that was claimed before the move
//! never does the work of the new stage: its worker has seen the code from before.

use jiff::Timestamp;

use super::effect::Effect;
use super::ended_job::{EndedJob, Moved, NextJob, Stayed};
use super::new_job::{self, NewJob};
use super::pipeline::{Pipeline, Then};
use super::task_end::{FinishedStages, Running, TaskEnd, check_ended, end_task, is_idle};
use super::tasks::{check_stages, to_stage_by};
use super::{outcome::TaskOutcome, pipeline::MERGE};
use crate::store::engine::{Tx, values};
use crate::store::indexes::IS_OPEN;
use crate::store::job::{self, IS_FAILED};
use crate::store::names::check_stage;
use crate::store::{Actor, Error, sql_time};

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

/// What became of a task.
pub(super) enum Way {
    /// It went to another stage, or ended.
    Moved(Moved),
    /// It did not, and people should know why.
    Stayed(Stayed),
    /// It was not its time.
    Unmoved,
}

/// A job's task, as it is before it moves.
pub(super) struct Before {
    pub task: i64,
    work_item: Option<String>,
    pub stage: Option<String>,
    /// Since when it is in this stage, as its row has it.
    since: Option<String>,
    pub agent: Option<String>,
}

impl Before {
    /// The end of a task whose branch was merged.
    pub(super) fn ended(self, rules: EndRules<'_>) -> Moved {
        Moved {
            task_id: self.task,
            work_item_id: self.work_item,
            stage: rules.done.into(),
            next_job: None,
            still_runs: None,
            outcome: Some(TaskOutcome::Done),
            waits_for_merge: false,
        }
    }

    /// Whether it is over.
    pub(super) fn is_over(&self, rules: EndRules<'_>) -> bool {
        let stage = self.stage.as_deref();
        stage.is_some_and(|stage| rules.finished.contains(stage))
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
        "SELECT tasks.id, tasks.work_item_id, tasks.stage,
            CASE WHEN tasks.gate_stage = tasks.stage THEN tasks.gate_stage_at END, jobs.agent
         FROM jobs JOIN tasks ON tasks.id = jobs.task_id WHERE jobs.id = $1",
        values![job],
        |row| {
            Ok(Before {
                task: row.get(0)?,
                work_item: row.shown(1)?,
                stage: row.shown(2)?,
                since: row.shown(3)?,
                agent: row.shown(4)?,
            })
        },
    )
}

/// Moves the task of a job that is done as the pipeline says.
pub(super) fn by_pipeline(
    tx: &dyn Tx,
    actor: Actor<'_>,
    job: i64,
    pipeline: &Pipeline,
    rules: EndRules<'_>,
) -> Result<Way, Error> {
    let Some(before) = task_of(tx, job)? else {
        return Ok(Way::Unmoved);
    };
    let Some(stage) = &before.stage else {
        return Ok(Way::Unmoved);
    };
    let Some(agent) = pipeline.agent_of(stage).filter(|_| !before.is_over(rules)) else {
        return Ok(Way::Unmoved);
    };
    let is_its_agent = before.agent.as_deref() == Some(agent);
    let may_go = match is_its_agent {
        true => !has_other_work(tx, &before, agent)?,
        false => only_waited_for_another(tx, &before, agent)?,
    };
    if !may_go {
        return Ok(Way::Unmoved);
    }
    let to = match (pipeline.after(stage), pipeline.then) {
        (Some(next), _) => &next.stage,
        (None, Then::Merge) => MERGE,
        (None, Then::Done) => rules.done,
    };
    match go(tx, actor, &before, to, Some(pipeline), rules) {
        Err(Error::TaskRuns { .. }) if is_its_agent => Ok(Way::Stayed(Stayed::NotAlone {
            since: before.since,
        })),
        Err(Error::TaskRuns { .. }) => Ok(Way::Unmoved),
        way => way,
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
) -> Result<Way, Error> {
    check_stage(stage)?;
    if before.is_over(rules) {
        return Ok(Way::Stayed(Stayed::Over));
    }
    let task = before.task;
    let mut moved = Moved {
        task_id: task,
        work_item_id: before.work_item.clone(),
        stage: stage.into(),
        next_job: None,
        still_runs: None,
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
        return Ok(Way::Moved(moved));
    }
    to_stage_by(tx, actor, task, stage)?;
    let agent_of = |stage: &str| pipeline.and_then(|pipeline| pipeline.agent_of(stage));
    let next = agent_of(stage);
    let last = before.stage.as_deref().filter(|last| *last != stage);
    let left = last.and_then(agent_of).filter(|left| Some(*left) != next);
    if let Some(left) = left {
        moved.still_runs = leave(tx, actor.now, task, left)?;
    }
    if let Some(agent) = next {
        let new = NewJob {
            task_id: task,
            agent,
            repo: None,
        };
        // It may have been added by hand.
        let id = match idle_job(tx, actor.now, task, agent)? {
            Some(job) => job,
            None => new_job::insert(tx, actor.now, new)?,
        };
        let agent = agent.into();
        moved.next_job = Some(NextJob { id, agent });
    }
    check_stages(tx, &[task], stage)?;
    Ok(Way::Moved(moved))
}

/// Cancels the jobs of the stage that a task leaves, and returns one that a worker is busy with.
fn leave(tx: &dyn Tx, now: Timestamp, task: i64, agent: &str) -> Result<Option<i64>, Error> {
    job::cancel_idle(tx, task, agent, now)?;
    let effect = Effect {
        what: "the end of the jobs of the stage before",
        table: "jobs",
    };
    effect.holds(idle_job(tx, now, task, agent)?.is_none())?;
    open_job(tx, task, agent)
}

/// Whether the agent has further work in this stage: a job that waits or runs, or a failed one
/// without a later job.
fn has_other_work(tx: &dyn Tx, before: &Before, agent: &str) -> Result<bool, Error> {
    if open_job(tx, before.task, agent)?.is_some() {
        return Ok(true);
    }
    tx.exists(
        &format!(
            "SELECT 1 FROM jobs WHERE task_id = $1 AND agent = $2 AND {IS_FAILED}
             AND NOT EXISTS (SELECT 1 FROM jobs AS later WHERE later.task_id = $1
                AND later.agent = $2 AND later.id > jobs.id)"
        ),
        values![before.task, agent],
    )
}

/// Whether the work of the task's stage is done, and only a job of another agent was in the way of
/// the task's end.
fn only_waited_for_another(tx: &dyn Tx, before: &Before, agent: &str) -> Result<bool, Error> {
    let last: Option<i64> = tx.row(
        "SELECT id FROM jobs WHERE task_id = $1 AND agent = $2 ORDER BY id DESC LIMIT 1",
        values![before.task, agent],
        |row| row.get(0),
    )?;
    let Some(last) = last else {
        return Ok(false);
    };
    let waits = Stayed::NotAlone {
        since: before.since.clone(),
    };
    let answer = EndedJob::stored(tx, last)?;
    Ok(answer.is_some_and(|answer| answer.stayed == Some(waits)))
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

/// A job of an agent that waits, and with which no worker is busy.
fn idle_job(tx: &dyn Tx, now: Timestamp, task: i64, agent: &str) -> Result<Option<i64>, Error> {
    tx.row(
        &format!(
            "SELECT id FROM jobs WHERE task_id = $1 AND agent = $2 AND {}
             ORDER BY id LIMIT 1",
            is_idle("$3")
        ),
        values![task, agent, sql_time(now)],
        |row| row.get(0),
    )
}
