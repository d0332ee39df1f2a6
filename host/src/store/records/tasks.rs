//! Tasks: added with their first job, moved from stage to stage.
//!
//! Owns both ways in which a task moves: by a program, as routine, and by an operator, with a row
//! in the audit. Callers rely on this: what was added or changed is stored as it was given,
//! whatever triggers the database has, or there is an error.

use std::time::Duration;

use jiff::Timestamp;

use super::audit::{self, AuditRow};
use super::effect::Effect;
use super::new_job::claim_added;
use super::outcome::{self, TaskOutcome};
use super::task_end::{TaskEnd, check_ended, end_task};
use crate::store::engine::{Tx, values};
use crate::store::job::IS_QUEUED;
use crate::store::names::{check_stage, not_empty, without_nul};
use crate::store::{Actor, Error, Store, sql_time};

/// The column of a task's label, which a rule may read.
pub(crate) const LABEL: &str = "gate_label";

/// A task to add.
#[derive(Debug, Clone, Copy)]
pub struct NewTask<'a> {
    /// The repo that it changes.
    pub repo: &'a str,
    /// The name that people know it by.
    pub work_item: Option<&'a str>,
    /// Its first stage.
    pub stage: &'a str,
    /// The agent of its first job.
    pub agent: &'a str,
    /// A label, such as `hotfix`.
    pub label: Option<&'a str>,
}

/// How a task moves.
#[derive(Debug, Clone, Copy)]
pub enum Move<'a> {
    /// To an unfinished stage.
    To(&'a str),
    /// To its end.
    End(TaskEnd<'a>),
}

/// What was added.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
pub struct Added {
    /// The task.
    pub task_id: i64,
    /// Its first job, queued.
    pub job_id: i64,
}

impl Store {
    /// Adds a task and its first job, both or neither.
    ///
    /// # Errors
    ///
    /// When the repo, the stage, the agent or the label is empty, or a text has a NUL.
    pub fn add_task(&mut self, now: Timestamp, task: NewTask<'_>) -> Result<Added, Error> {
        check_names(task)?;
        self.write(|tx| insert(tx, now, task))
    }

    /// The same, but the caller holds the job to prepare it, with the returned token, until it puts
    /// the job back or the lease runs out.
    ///
    /// # Errors
    ///
    /// As [`Store::add_task`].
    pub fn add_task_claimed(
        &mut self,
        now: Timestamp,
        task: NewTask<'_>,
        worker: &str,
        lease: Duration,
    ) -> Result<(Added, String), Error> {
        check_names(task)?;
        self.write(|tx| {
            let added = insert(tx, now, task)?;
            let token = claim_added(tx, added.job_id, worker, now, lease)?;
            Ok((added, token))
        })
    }

    /// Moves tasks to a stage, all or none, for a program that runs them through their stages.
    ///
    /// # Errors
    ///
    /// When the stage is empty, or there is no such task.
    pub fn set_stage(&mut self, now: Timestamp, ids: &[i64], stage: &str) -> Result<(), Error> {
        check_stage(stage)?;
        self.write(|tx| {
            ids.iter()
                .try_for_each(|id| to_stage(tx, now, *id, stage))?;
            check_stages(tx, ids, stage)
        })
    }

    /// The same for an operator, with a row in the audit for each task.
    ///
    /// # Errors
    ///
    /// When the stage is empty, or there is no such task.
    pub fn set_stage_by(
        &mut self,
        actor: Actor<'_>,
        ids: &[i64],
        stage: &str,
    ) -> Result<(), Error> {
        check_stage(stage)?;
        self.write(|tx| {
            ids.iter()
                .try_for_each(|id| to_stage_by(tx, actor, *id, stage))?;
            check_stages(tx, ids, stage)
        })
    }

    /// Sets or removes a task's label for an operator.
    ///
    /// # Errors
    ///
    /// When there is no such task, or the label is empty.
    pub fn set_label(
        &mut self,
        actor: Actor<'_>,
        id: i64,
        label: Option<&str>,
    ) -> Result<(), Error> {
        self.write(|tx| {
            mark(tx, actor, id, label)?;
            check_label(tx, id, label)
        })
    }

    /// The label of a task, if it has one.
    pub fn label(&mut self, id: i64) -> Result<Option<String>, Error> {
        self.read(|tx| {
            let label = tx.row(
                "SELECT gate_label FROM tasks WHERE id = $1",
                values![id],
                |row| row.shown(0),
            )?;
            Ok(label.flatten())
        })
    }

    /// Moves a task and sets its label, both or neither, with a row in the audit for each. What is
    /// not given stays.
    ///
    /// # Errors
    ///
    /// As [`Store::set_stage_by`], [`Store::end_tasks`] and [`Store::set_label`].
    pub fn change_task(
        &mut self,
        actor: Actor<'_>,
        id: i64,
        moved: Option<Move<'_>>,
        label: Option<Option<&str>>,
    ) -> Result<(), Error> {
        self.writing_for_a_holder(actor, |tx| {
            match moved {
                Some(Move::To(stage)) => {
                    check_stage(stage)?;
                    to_stage_by(tx, actor, id, stage)?;
                }
                Some(Move::End(end)) => end_task(tx, actor, id, end)?,
                None => {}
            }
            if let Some(label) = label {
                mark(tx, actor, id, label)?;
                check_label(tx, id, label)?;
            }
            match moved {
                Some(Move::To(stage)) => check_stages(tx, &[id], stage),
                Some(Move::End(end)) => check_ended(tx, &[id], end),
                None => Ok(()),
            }
        })
    }
}

/// Refuses a task with an empty name, or with a name that no environment variable can hold.
pub(crate) fn check_names(task: NewTask<'_>) -> Result<(), Error> {
    check_stage(task.stage)?;
    for (what, name) in [
        ("repo", task.repo),
        ("agent", task.agent),
        ("label", task.label.unwrap_or("none")),
    ] {
        not_empty(what, name)?;
        without_nul(what, name)?;
    }
    without_nul("work item", task.work_item.unwrap_or_default())
}

pub(crate) fn insert(tx: &dyn Tx, now: Timestamp, task: NewTask<'_>) -> Result<Added, Error> {
    let now = sql_time(now);
    let the_task = Effect {
        what: &format!("the new task of `{}`", task.repo.escape_debug()),
        table: "tasks",
    };
    let the_job = Effect {
        what: &format!(
            "the first job of the new task of `{}`",
            task.repo.escape_debug()
        ),
        table: "jobs",
    };
    tx.hold_repo(task.repo)?;
    let values = values![task.work_item, task.repo, task.stage, now, task.label];
    let task_id = the_task.returned(tx.row(
        "INSERT INTO tasks (work_item_id, repo, stage,
        created_at, gate_stage, gate_stage_at, gate_label)
         VALUES ($1, $2, $3, $4, $3, $4, $5) RETURNING id",
        values,
        |row| row.get(0),
    ))?;
    let values = values![task_id, task.repo, task.agent, now];
    let job_id = the_job.returned(tx.row(
        "INSERT INTO jobs (task_id, repo, agent, status, created_at)
         VALUES ($1, $2, $3, 'queued', $4) RETURNING id",
        values,
        |row| row.get(0),
    ))?;
    the_task.is_there(
        tx,
        "SELECT 1 FROM tasks WHERE id = $1 AND work_item_id IS NOT DISTINCT FROM $2 AND repo = $3
         AND stage = $4 AND gate_label IS NOT DISTINCT FROM $5",
        values![task_id, task.work_item, task.repo, task.stage, task.label],
    )?;
    the_job.is_there(
        tx,
        &format!(
            "SELECT 1 FROM jobs WHERE id = $1 AND task_id = $2 AND repo = $3 AND agent = $4
            AND {IS_QUEUED}"
        ),
        values![job_id, task_id, task.repo, task.agent],
    )?;
    Ok(Added { task_id, job_id })
}

/// Refuses a move after which a task is in another stage.
pub(crate) fn check_stages(tx: &dyn Tx, ids: &[i64], stage: &str) -> Result<(), Error> {
    ids.iter().try_for_each(|id| {
        let effect = Effect {
            what: &format!("the stage of task {id}"),
            table: "tasks",
        };
        let query = "SELECT 1 FROM tasks WHERE id = $1 AND stage = $2";
        effect.is_there(tx, query, values![id, stage])
    })
}

/// Refuses a label that the task does not have afterwards.
fn check_label(tx: &dyn Tx, id: i64, label: Option<&str>) -> Result<(), Error> {
    let effect = Effect {
        what: &format!("the label of task {id}"),
        table: "tasks",
    };
    let query = "SELECT 1 FROM tasks WHERE id = $1 AND gate_label IS NOT DISTINCT FROM $2";
    effect.is_there(tx, query, values![id, label])
}

fn mark(tx: &dyn Tx, actor: Actor<'_>, id: i64, label: Option<&str>) -> Result<(), Error> {
    if let Some(label) = label {
        not_empty("label", label)?;
    }
    let (repo, before) = repo_and(tx, LABEL, id)?;
    tx.execute(
        "UPDATE tasks SET gate_label = $2 WHERE id = $1",
        values![id, label],
    )?;
    let row = AuditRow {
        action: "task label",
        repo: repo.as_deref(),
        subject: format!("task {id}"),
        before: before.as_deref(),
        after: label,
    };
    audit::write_down(tx, actor, row)
}

pub(crate) fn to_stage_by(
    tx: &dyn Tx,
    actor: Actor<'_>,
    id: i64,
    stage: &str,
) -> Result<(), Error> {
    let (repo, before) = repo_and(tx, "stage", id)?;
    to_stage(tx, actor.now, id, stage)?;
    let row = AuditRow {
        action: "task stage",
        repo: repo.as_deref(),
        subject: format!("task {id}"),
        before: before.as_deref(),
        after: Some(stage),
    };
    audit::write_down(tx, actor, row)
}

fn to_stage(tx: &dyn Tx, now: Timestamp, id: i64, stage: &str) -> Result<(), Error> {
    let is_there = tx.exists("SELECT 1 FROM tasks WHERE id = $1", values![id])?;
    if !is_there {
        return Err(Error::NoTask { id });
    }
    tx.execute(
        "UPDATE tasks SET stage = $2, gate_stage = $2,
                gate_stage_at = CASE WHEN gate_stage = $2 AND stage = $2 THEN gate_stage_at
                ELSE $3 END
             WHERE id = $1",
        values![id, stage, sql_time(now)],
    )?;
    // Even if it was cancelled before.
    outcome::keep(tx, id, TaskOutcome::Done)?;
    Ok(())
}

/// A task's repo and another of its columns, before a change.
fn repo_and(tx: &dyn Tx, column: &str, id: i64) -> Result<(Option<String>, Option<String>), Error> {
    let row = tx.row(
        &format!("SELECT repo, {column} FROM tasks WHERE id = $1"),
        values![id],
        |row| Ok((row.shown(0)?, row.shown(1)?)),
    );
    row?.ok_or(Error::NoTask { id })
}
