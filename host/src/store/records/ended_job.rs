//! The answer to the end of a job: what became of the job, and where its task went.
//!
//! Owns its types, and its copy in the job's row, which the worker that did not hear it is told.
//! Leaves the end to `ending`, and the move to `advance`.

use serde::{Deserialize, Serialize};

use super::outcome::TaskOutcome;
use crate::store::Error;
use crate::store::engine::{Tx, Unexpected, values};
use crate::store::job::{self, JobState};

/// What became of a job, and of its task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedJob {
    /// `done` or `failed`, or `put_off` if it is tried again.
    pub status: String,
    /// When it is tried again, UTC.
    pub again_at: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Where its task went, if it moved.
    pub moved: Option<Moved>,
    /// Why its task did not go where it would have gone.
    #[serde(default)]
    pub stayed: Option<Stayed>,
    /// The stage that its worker asked for.
    #[serde(default)]
    pub(super) asked: Option<String>,
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
    /// A job of the stage before that still runs. It does not count for the new one.
    #[serde(default)]
    pub still_runs: Option<i64>,
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

/// Why a task did not move although a job of it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stayed {
    /// It is over.
    Over,
    /// It is in the stage of another agent.
    Elsewhere,
    /// Its branch was merged, and another job of it runs: it ends with that one.
    Merged,
    /// It would be done, and another job of it runs: it ends with that one.
    NotAlone {
        /// Since when it is in its stage, as its row has it.
        since: Option<String>,
    },
}

impl EndedJob {
    pub(super) fn with(status: &str) -> EndedJob {
        EndedJob {
            status: status.into(),
            ..EndedJob::default()
        }
    }

    /// Whether it has failed for good.
    pub fn has_failed(&self) -> bool {
        self.status == JobState::Failed.name()
    }

    /// Whether its row alone does not tell it.
    pub(super) fn is_more_than_its_status(&self) -> bool {
        self.moved.is_some() || self.stayed.is_some() || self.asked.is_some()
    }

    /// Keeps it in the job's row.
    pub(super) fn store(&self, tx: &dyn Tx, job: i64) -> Result<(), Error> {
        let text = serde_json::to_string(self).map_err(Unexpected::Json)?;
        job::set_answer(tx, job, &text)
    }

    /// The one that was kept in a job's row.
    pub(super) fn stored(tx: &dyn Tx, job: i64) -> Result<Option<EndedJob>, Error> {
        let text: Option<Option<String>> = tx.row(
            "SELECT gate_answer FROM jobs WHERE id = $1",
            values![job],
            |row| row.get(0),
        )?;
        let answer = text.flatten().map(|text| serde_json::from_str(&text));
        Ok(answer.transpose().map_err(Unexpected::Json)?)
    }
}
