//! How a finished task has ended: done, or cancelled.
//!
//! Owns the table of cancelled tasks, and which stages mean an end without the work. Rules know only that a stage is finished, so the outcome is
//! stored separately. Callers rely on this: a task that has left the stage in which it was
//! cancelled, by whatever program, is not cancelled; neither is another task that reuses its id.

use crate::store::Error;
use crate::store::engine::{Tx, values};

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskOutcome {
    /// Its work is in the base.
    Done,
    /// It is given up.
    Cancelled,
}

/// What other systems call an end without the work, in lower case letters.
pub(crate) const WITHOUT_WORK: [&str; 10] = [
    "abandoned",
    "aborted",
    "canceled",
    "cancelled",
    "discarded",
    "dropped",
    "failed",
    "obsolete",
    "rejected",
    "wontfix",
];

/// A stage in lower case, letters and digits only: `Done`, `done ` and `wont-fix` are `done` and
/// `wontfix`.
pub(crate) fn plain(stage: &str) -> String {
    let letters = stage.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

impl TaskOutcome {
    /// How a task ends that is moved to this finished stage.
    pub(crate) fn in_stage(stage: &str) -> TaskOutcome {
        match WITHOUT_WORK.contains(&plain(stage).as_str()) {
            true => TaskOutcome::Cancelled,
            false => TaskOutcome::Done,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            TaskOutcome::Done => "done",
            TaskOutcome::Cancelled => "cancelled",
        }
    }
}

/// Whether the task of a row of `tasks` is cancelled, as long as it is in a finished stage.
pub(crate) const TASK_IS_CANCELLED: &str =
    "EXISTS (SELECT 1 FROM serial_gate_cancelled_task AS cancelled
    WHERE cancelled.task = tasks.id AND cancelled.at IS NOT DISTINCT FROM tasks.gate_stage_at
        AND tasks.gate_stage IS NOT DISTINCT FROM tasks.stage)";

/// Stores the outcome of a task whose stage has just been set.
pub(crate) fn keep(tx: &dyn Tx, task: i64, outcome: TaskOutcome) -> Result<(), Error> {
    let sql = match outcome {
        TaskOutcome::Done => "DELETE FROM serial_gate_cancelled_task WHERE task = $1",
        TaskOutcome::Cancelled => {
            "INSERT INTO serial_gate_cancelled_task (task, at)
             SELECT id, gate_stage_at FROM tasks WHERE id = $1
             ON CONFLICT (task) DO UPDATE SET at = excluded.at"
        }
    };
    tx.execute(sql, values![task])?;
    Ok(())
}
