//! How a task that is finished has ended: done, or cancelled.
//!
//! Owns the table of the cancelled ones. The stage says that a task is finished, and the rules know
//! no other word for that, so the outcome is kept beside it. Callers rely on this: a task that has
//! left the stage in which it was cancelled, by whatever program, is not cancelled, and neither is
//! another task that has its id by now.

use rusqlite::params;

use super::transaction::Transaction;

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskOutcome {
    /// Its work is in the base.
    Done,
    /// It is given up.
    Cancelled,
}

impl TaskOutcome {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            TaskOutcome::Done => "done",
            TaskOutcome::Cancelled => "cancelled",
        }
    }
}

/// Whether the task of a row of `tasks` is cancelled, as long as it is in a finished stage.
pub(super) const IS_CANCELLED: &str = "EXISTS (SELECT 1 FROM serial_gate_cancelled_task AS cancelled
    WHERE cancelled.task = tasks.id AND cancelled.at IS tasks.gate_stage_at AND tasks.gate_stage IS tasks.stage)";

/// Keeps the outcome of a task whose stage has just been set.
pub(super) fn keep(
    transaction: &Transaction<'_>,
    task: i64,
    outcome: TaskOutcome,
) -> rusqlite::Result<()> {
    let sql = match outcome {
        TaskOutcome::Done => "DELETE FROM serial_gate_cancelled_task WHERE task = ?1",
        TaskOutcome::Cancelled => {
            "INSERT OR REPLACE INTO serial_gate_cancelled_task (task, at)
             SELECT id, gate_stage_at FROM tasks WHERE id = ?1"
        }
    };
    transaction.prepare_cached(sql)?.execute(params![task])?;
    Ok(())
}
