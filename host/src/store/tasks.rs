//! Tasks: added with their first job, moved from stage to stage.
//!
//! Owns both ways in which a task moves: by a program, which is its daily work, and by an operator,
//! which the audit tells. Callers rely on this: what was added or changed is there as it was given,
//! whatever triggers the database has, or there is an error.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::audit::{self, Deed};
use super::effect::Effect;
use super::error::{not_empty, without_nul};
use super::jobs::claim_added;
use super::outcome::{self, TaskOutcome};
use super::schema::LABEL;
use super::task_end::{TaskEnd, check_ended, end_task};
use super::transaction::Transaction;
use super::value::Shown;
use super::{Act, Error, Store, sql_time};

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
    /// A mark on it, such as `hotfix`.
    pub label: Option<&'a str>,
}

/// A task's way on.
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
    /// When the repo, the stage, the agent or the label is empty, a text has a NUL, or the database
    /// refuses.
    pub fn add_task(&mut self, now: Timestamp, task: NewTask<'_>) -> Result<Added, Error> {
        check_names(task)?;
        self.writing(|transaction| insert(transaction, now, task))
    }

    /// The same, and the caller has the job for a while, to prepare it, by the token that is
    /// returned. It puts the job back, or its lease runs out.
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
        self.writing(|transaction| {
            let added = insert(transaction, now, task)?;
            let token = claim_added(transaction, added.job_id, worker, now, lease)?;
            Ok((added, token))
        })
    }

    /// Moves tasks to a stage, all or none, for a program that takes them through their stages.
    ///
    /// # Errors
    ///
    /// When the stage is empty, there is no such task, or the database refuses.
    pub fn set_stage(&mut self, now: Timestamp, ids: &[i64], stage: &str) -> Result<(), Error> {
        not_empty("stage", stage)?;
        self.writing(|transaction| {
            ids.iter()
                .try_for_each(|id| to_stage(transaction, now, *id, stage))?;
            check_stages(transaction, ids, stage)
        })
    }

    /// The same for an operator, with a row in the audit for each task.
    ///
    /// # Errors
    ///
    /// When the stage is empty, there is no such task, or the database refuses.
    pub fn set_stage_by(&mut self, act: Act<'_>, ids: &[i64], stage: &str) -> Result<(), Error> {
        not_empty("stage", stage)?;
        self.writing(|transaction| {
            ids.iter()
                .try_for_each(|id| to_stage_by(transaction, act, *id, stage))?;
            check_stages(transaction, ids, stage)
        })
    }

    /// Marks a task for an operator, in the place of its mark before; none takes the mark away.
    ///
    /// # Errors
    ///
    /// When there is no such task, the mark is empty, or the database refuses.
    pub fn set_label(&mut self, act: Act<'_>, id: i64, label: Option<&str>) -> Result<(), Error> {
        self.writing(|transaction| {
            mark(transaction, act, id, label)?;
            check_label(transaction, id, label)
        })
    }

    /// The mark on a task; none if it has none, or there is no such task.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn label(&mut self, id: i64) -> Result<Option<String>, Error> {
        self.doing(|connection| {
            let mut query =
                connection.prepare_cached("SELECT gate_label FROM tasks WHERE id = ?1")?;
            let label = query
                .query_row([id], |row| row.get::<_, Shown>(0))
                .optional()?;
            Ok(label.and_then(|label| label.0))
        })
    }

    /// Moves a task and marks it, both or neither, with a row in the audit for each. What is not
    /// given stays as it is.
    ///
    /// # Errors
    ///
    /// As [`Store::set_stage_by`], [`Store::end_tasks`] and [`Store::set_label`].
    pub fn change_task(
        &mut self,
        act: Act<'_>,
        id: i64,
        moved: Option<Move<'_>>,
        label: Option<Option<&str>>,
    ) -> Result<(), Error> {
        self.writing_for_a_holder(act, |transaction| {
            match moved {
                Some(Move::To(stage)) => {
                    not_empty("stage", stage)?;
                    to_stage_by(transaction, act, id, stage)?;
                }
                Some(Move::End(end)) => end_task(transaction, act, id, end)?,
                None => {}
            }
            if let Some(label) = label {
                mark(transaction, act, id, label)?;
                check_label(transaction, id, label)?;
            }
            match moved {
                Some(Move::To(stage)) => check_stages(transaction, &[id], stage),
                Some(Move::End(end)) => check_ended(transaction, &[id], end),
                None => Ok(()),
            }
        })
    }
}

/// Refuses a task without a name that it needs, or with one that no command can be given.
pub(crate) fn check_names(task: NewTask<'_>) -> Result<(), Error> {
    for (what, name) in [
        ("repo", task.repo),
        ("stage", task.stage),
        ("agent", task.agent),
        ("label", task.label.unwrap_or("none")),
    ] {
        not_empty(what, name)?;
        without_nul(what, name)?;
    }
    without_nul("work item", task.work_item.unwrap_or_default())
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    now: Timestamp,
    task: NewTask<'_>,
) -> Result<Added, Error> {
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
    let mut insert = transaction.prepare_cached(
        "INSERT INTO tasks (work_item_id, repo, stage, created_at, gate_stage, gate_stage_at, gate_label)
         VALUES (?1, ?2, ?3, ?4, ?3, ?4, ?5) RETURNING id",
    )?;
    let values = params![task.work_item, task.repo, task.stage, now, task.label];
    let task_id = the_task.returned(insert.query_row(values, |row| row.get(0)))?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO jobs (task_id, repo, agent, status, created_at)
         VALUES (?1, ?2, ?3, 'queued', ?4) RETURNING id",
    )?;
    let values = params![task_id, task.repo, task.agent, now];
    let job_id = the_job.returned(insert.query_row(values, |row| row.get(0)))?;
    the_task.is_there(
        transaction,
        "SELECT 1 FROM tasks WHERE id = ?1 AND work_item_id IS ?2 AND repo = ?3 AND stage = ?4 AND gate_label IS ?5",
        params![task_id, task.work_item, task.repo, task.stage, task.label],
    )?;
    the_job.is_there(
        transaction,
        "SELECT 1 FROM jobs WHERE id = ?1 AND task_id = ?2 AND repo = ?3 AND agent = ?4 AND status = 'queued'",
        params![job_id, task_id, task.repo, task.agent],
    )?;
    Ok(Added { task_id, job_id })
}

/// Refuses a move after which a task is elsewhere.
pub(super) fn check_stages(
    transaction: &Transaction<'_>,
    ids: &[i64],
    stage: &str,
) -> Result<(), Error> {
    ids.iter().try_for_each(|id| {
        let effect = Effect {
            what: &format!("the stage of task {id}"),
            table: "tasks",
        };
        let query = "SELECT 1 FROM tasks WHERE id = ?1 AND stage = ?2";
        effect.is_there(transaction, query, params![id, stage])
    })
}

/// Refuses a mark that the task does not have afterwards.
fn check_label(transaction: &Transaction<'_>, id: i64, label: Option<&str>) -> Result<(), Error> {
    let effect = Effect {
        what: &format!("the label of task {id}"),
        table: "tasks",
    };
    let query = "SELECT 1 FROM tasks WHERE id = ?1 AND gate_label IS ?2";
    effect.is_there(transaction, query, params![id, label])
}

fn mark(
    transaction: &Transaction<'_>,
    act: Act<'_>,
    id: i64,
    label: Option<&str>,
) -> Result<(), Error> {
    if let Some(label) = label {
        not_empty("label", label)?;
    }
    let (repo, before) = repo_and(transaction, LABEL, id)?;
    transaction
        .prepare_cached("UPDATE tasks SET gate_label = ?2 WHERE id = ?1")?
        .execute(params![id, label])?;
    let deed = Deed {
        action: "task label",
        repo: repo.as_deref(),
        subject: format!("task {id}"),
        before: before.as_deref(),
        after: label,
    };
    audit::write_down(transaction, act, deed)
}

pub(super) fn to_stage_by(
    transaction: &Transaction<'_>,
    act: Act<'_>,
    id: i64,
    stage: &str,
) -> Result<(), Error> {
    let (repo, before) = repo_and(transaction, "stage", id)?;
    to_stage(transaction, act.now, id, stage)?;
    let deed = Deed {
        action: "task stage",
        repo: repo.as_deref(),
        subject: format!("task {id}"),
        before: before.as_deref(),
        after: Some(stage),
    };
    audit::write_down(transaction, act, deed)
}

fn to_stage(
    transaction: &Transaction<'_>,
    now: Timestamp,
    id: i64,
    stage: &str,
) -> Result<(), Error> {
    let is_there = transaction
        .prepare_cached("SELECT 1 FROM tasks WHERE id = ?1")?
        .exists([id])?;
    if !is_there {
        return Err(Error::NoTask { id });
    }
    transaction
        .prepare_cached(
            "UPDATE tasks SET stage = ?2, gate_stage = ?2,
                gate_stage_at = CASE WHEN gate_stage = ?2 AND stage = ?2 THEN gate_stage_at ELSE ?3 END
             WHERE id = ?1",
        )?
        .execute(params![id, stage, sql_time(now)])?;
    // Whatever it was before: it goes on.
    outcome::keep(transaction, id, TaskOutcome::Done)?;
    Ok(())
}

/// A task's repo and one of its other columns, as they are before a change.
fn repo_and(
    transaction: &Transaction<'_>,
    column: &str,
    id: i64,
) -> Result<(Option<String>, Option<String>), Error> {
    let mut query =
        transaction.prepare_cached(&format!("SELECT repo, {column} FROM tasks WHERE id = ?1"))?;
    let row = query.query_row([id], |row| {
        Ok((row.get::<_, Shown>(0)?.0, row.get::<_, Shown>(1)?.0))
    });
    row.optional()?.ok_or(Error::NoTask { id })
}
