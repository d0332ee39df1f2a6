//! How many jobs come back before a job: their leases ran out, and the next claim requeues them.
//!
//! Owns the question which of them a clause lets through. Leaves the leases to `records::leases`.

use jiff::Timestamp;

use super::engine::Sqlite;
use crate::clause::Rendered;
use crate::store::Error;
use crate::store::records::leases::expired_before;
use crate::store::records::task_end::FinishedStages;

impl Sqlite {
    /// How many jobs with a lower id the next claim puts back to the queue, where a clause lets
    /// them through.
    ///
    /// # Errors
    ///
    /// When the budget is spent.
    pub fn back_before(
        &mut self,
        clause: &Rendered,
        now: Timestamp,
        job: i64,
        finished: &FinishedStages,
    ) -> Result<usize, Error> {
        let expired = self.read(|connection| expired_before(connection, now, job, finished))?;
        self.within_budget(|connection, _| {
            let sql = format!("SELECT 1 FROM jobs WHERE id = ?1 AND {clause}");
            let mut query = connection.prepare_cached(&sql)?;
            let mut back = 0;
            for id in expired {
                back += usize::from(query.exists([id])?);
            }
            Ok(back)
        })
    }
}
