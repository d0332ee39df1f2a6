//! All that is known of a job: its row, and what it printed last.
//!
//! Owns the answer of `job show`. Leaves what it waits for to `explain`.

use jiff::Timestamp;
use serde::Serialize;

use super::{Error, Queue};
use crate::store::{self, JobOutput, ListedJob};

/// A job and all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WholeJob {
    /// The job.
    #[serde(flatten)]
    pub job: ListedJob,
    /// The last lines that its latest attempt printed; null if none are kept
    pub output: Option<JobOutput>,
}

impl Queue {
    /// A job and all that belongs to it. Fails when there is no such job.
    pub fn whole_job(&mut self, now: Timestamp, id: i64) -> Result<WholeJob, Error> {
        self.from_one_state(|queue| {
            let job = queue.store.listed_job(now, id)?;
            Ok(WholeJob {
                job: job.ok_or(store::Error::NoJob { id })?,
                output: queue.store.output_of(id)?,
            })
        })
    }
}
