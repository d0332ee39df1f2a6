//! Tasks: added with their first job, moved from stage to stage.
//!
//! Owns both ways in which a task moves: by a program, which is its daily work, and by an operator,
//! which the audit tells.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::audit::{self, Deed};
use super::error::not_empty;
use super::jobs::claim_added;
use super::schema::LABEL;
use super::task_end::{TaskEnd, end_task};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
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
    /// When the repo, the stage, the agent or the label is empty, or the database refuses.
    pub fn add_task(&mut self, now: Timestamp, task: NewTask<'_>) -> Result<Added, Error> {
        check_names(task)?;
        self.writing(|transaction| insert(transaction, now, task))
    }

    /// The same, and the caller has the job for a while, to prepare it, by the token that is returned. It puts the job
    /// back, or its lease runs out.
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
                .try_for_each(|id| to_stage(transaction, now, *id, stage))
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
                .try_for_each(|id| to_stage_by(transaction, act, *id, stage))
        })
    }

    /// Marks a task for an operator, in the place of its mark before; none takes the mark away.
    ///
    /// # Errors
    ///
    /// When there is no such task, the mark is empty, or the database refuses.
    pub fn set_label(&mut self, act: Act<'_>, id: i64, label: Option<&str>) -> Result<(), Error> {
        self.writing(|transaction| mark(transaction, act, id, label))
    }

    /// Moves a task and marks it, both or neither, with a row in the audit for each. What is none stays as it is.
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
        self.writing(|transaction| {
            match moved {
                Some(Move::To(stage)) => {
                    not_empty("stage", stage)?;
                    to_stage_by(transaction, act, id, stage)?;
                }
                Some(Move::End(end)) => end_task(transaction, act, id, end)?,
                None => {}
            }
            match label {
                Some(label) => mark(transaction, act, id, label),
                None => Ok(()),
            }
        })
    }
}

fn check_names(task: NewTask<'_>) -> Result<(), Error> {
    for (what, name) in [
        ("repo", task.repo),
        ("stage", task.stage),
        ("agent", task.agent),
        ("label", task.label.unwrap_or("none")),
    ] {
        not_empty(what, name)?;
    }
    Ok(())
}

fn insert(
    transaction: &Transaction<'_>,
    now: Timestamp,
    task: NewTask<'_>,
) -> Result<Added, Error> {
    let now = sql_time(now);
    transaction
        .prepare_cached(
            "INSERT INTO tasks (work_item_id, repo, stage, created_at, gate_stage, gate_stage_at, gate_label)
             VALUES (?1, ?2, ?3, ?4, ?3, ?4, ?5)",
        )?
        .execute(params![task.work_item, task.repo, task.stage, now, task.label])?;
    let task_id = transaction.last_insert_rowid();
    transaction
        .prepare_cached(
            "INSERT INTO jobs (task_id, repo, agent, status, created_at) VALUES (?1, ?2, ?3, 'queued', ?4)",
        )?
        .execute(params![task_id, task.repo, task.agent, now])?;
    Ok(Added {
        task_id,
        job_id: transaction.last_insert_rowid(),
    })
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
    Ok(audit::write_down(transaction, act, deed)?)
}

fn to_stage_by(
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
    Ok(audit::write_down(transaction, act, deed)?)
}

fn to_stage(
    transaction: &Transaction<'_>,
    now: Timestamp,
    id: i64,
    stage: &str,
) -> Result<(), Error> {
    let changed = transaction
        .prepare_cached(
            "UPDATE tasks SET stage = ?2, gate_stage = ?2, gate_outcome = NULL,
                gate_stage_at = CASE WHEN gate_stage = ?2 AND stage = ?2 THEN gate_stage_at ELSE ?3 END
             WHERE id = ?1",
        )?
        .execute(params![id, stage, sql_time(now)])?;
    if changed == 0 {
        return Err(Error::NoTask { id });
    }
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
