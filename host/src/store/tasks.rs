//! Tasks: added with their first job, moved from stage to stage.

use jiff::Timestamp;
use rusqlite::params;

use super::{Error, Store, sql_time};

/// The stage in which a task is finished.
pub const DONE: &str = "done";

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

/// What was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
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
    /// When the repo, the stage or the agent is empty, or the database refuses.
    pub fn add_task(&mut self, now: Timestamp, task: NewTask<'_>) -> Result<Added, Error> {
        for (what, name) in [
            ("repo", task.repo),
            ("stage", task.stage),
            ("agent", task.agent),
        ] {
            not_empty(what, name)?;
        }
        let now = sql_time(now);
        self.writing(|transaction| {
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
            Ok(Added { task_id, job_id: transaction.last_insert_rowid() })
        })
    }

    /// Moves tasks to a stage, all or none.
    ///
    /// # Errors
    ///
    /// When the stage is empty, there is no such task, or the database refuses.
    pub fn set_stage(&mut self, now: Timestamp, ids: &[i64], stage: &str) -> Result<(), Error> {
        not_empty("stage", stage)?;
        self.writing(|transaction| {
            for id in ids {
                let changed = transaction
                    .prepare_cached(
                        "UPDATE tasks SET stage = ?2, gate_stage = ?2,
                        gate_stage_at = CASE WHEN gate_stage = ?2 AND stage = ?2 THEN gate_stage_at ELSE ?3 END
                     WHERE id = ?1",
                    )?
                    .execute(params![id, stage, sql_time(now)])?;
                if changed == 0 {
                    return Err(Error::NoTask { id: *id });
                }
            }
            Ok(())
        })
    }

    /// Marks a task, in the place of its mark before; none takes the mark away.
    ///
    /// # Errors
    ///
    /// When there is no such task, the mark is empty, or the database refuses.
    pub fn set_label(&mut self, id: i64, label: Option<&str>) -> Result<(), Error> {
        if let Some(label) = label {
            not_empty("label", label)?;
        }
        self.writing(|transaction| {
            let changed = transaction
                .prepare_cached("UPDATE tasks SET gate_label = ?2 WHERE id = ?1")?
                .execute(params![id, label])?;
            if changed == 0 {
                return Err(Error::NoTask { id });
            }
            Ok(())
        })
    }
}

pub(super) fn not_empty(what: &'static str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        Err(Error::Empty { what })
    } else {
        Ok(())
    }
}
