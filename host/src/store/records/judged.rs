//! What a clause says of the queue, from one state.
//!
//! Owns the questions that only read: which jobs may be claimed, and the input for both forms of a
//! policy, which is the rows for `decide` and the clause's answer for each queued job. Leaves the
//! rows to `snapshot`, and the comparison to the queue. A clause may exclude a row that `decide`
//! would need. A small state therefore has every row that any clause could read; a large one has the
//! rows in this clause's footprint. Callers rely on this: no question takes a lock, or more than the
//! budget of a claim.

use jiff::Timestamp;

use super::leases::expired_before;
use super::snapshot::{About, has_no_more_than, query, state, state_about};
use super::task_end::FinishedStages;
use crate::clause::{Footprint, Rendered, Table};
use crate::model::Snapshot;
use crate::store::engine::{Tx, values};
use crate::store::indexes::QUEUED;
use crate::store::job::IS_QUEUED;
use crate::store::{Error, Store};

/// Up to how many rows of a table a state is small. They take some milliseconds.
const LITTLE: usize = 2_000;

/// A state, and the clause's answer for its queued jobs.
#[derive(Debug)]
pub struct Judged {
    /// The rows.
    pub state: Snapshot,
    /// Whether the state has every row that any clause could read.
    pub is_whole: bool,
    /// Every queued job, or the job in question, and whether the clause lets it through. None if
    /// that exceeds a claim's budget.
    pub by_clause: Option<Vec<(i64, bool)>>,
}

impl Store {
    /// The ids of the jobs that may be claimed, in claim order.
    ///
    /// # Errors
    ///
    /// When the budget is spent.
    pub fn claimable(&mut self, clause: &Rendered) -> Result<Vec<i64>, Error> {
        self.ask(|tx| tx.rows(&claimable(tx, clause), &[], |row| row.get(0)))
    }

    /// The state for all queued jobs, or for one, as far as it is in reach.
    ///
    /// # Errors
    ///
    /// When the budget is spent.
    pub fn snapshot(&mut self, reach: &Footprint, job: Option<i64>) -> Result<Snapshot, Error> {
        self.ask(|tx| state(tx, reach, job))
    }

    /// The state for the queued jobs of some repos, at least one, as far as it is in reach.
    ///
    /// # Errors
    ///
    /// When the budget is spent.
    pub fn snapshot_of_repos(
        &mut self,
        reach: &Footprint,
        repos: &[String],
    ) -> Result<Snapshot, Error> {
        self.ask(|tx| state_about(tx, reach, About::Repos(repos)))
    }

    /// The steps of the database's plan for each query of a snapshot.
    pub fn snapshot_plans(&mut self, reach: &Footprint) -> Result<Vec<Vec<String>>, Error> {
        self.ask(|tx| {
            let queries = [Table::Jobs, Table::Tasks, Table::RepoFreeze]
                .into_iter()
                .filter_map(|table| query(tx, reach, table, None));
            queries.map(|query| tx.plan(&query)).collect()
        })
    }

    /// The state for all queued jobs or for one, and the clause's answers.
    ///
    /// # Errors
    ///
    /// When the budget is spent.
    pub fn judged(
        &mut self,
        reach: &Footprint,
        clause: &Rendered,
        job: Option<i64>,
    ) -> Result<Judged, Error> {
        let every = Footprint::of_every_clause();
        self.ask(|tx| {
            let is_whole = has_no_more_than(LITTLE, tx, &every, job)?;
            let reach = if is_whole { &every } else { reach };
            let state = state(tx, reach, job)?;
            let by_clause = match by_clause(tx, clause, job) {
                Ok(found) => Some(found),
                Err(error) if tx.is_out_of_time(&error) => None,
                Err(error) => return Err(error),
            };
            Ok(Judged {
                state,
                is_whole,
                by_clause,
            })
        })
    }

    /// How many jobs with a lower id the next claim puts back to the queue, because their lease ran
    /// out, where a clause lets them through.
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
        let expired = self.read(|tx| expired_before(tx, now, job, finished))?;
        self.ask(|tx| {
            let sql = format!("SELECT 1 FROM jobs WHERE id = $1 AND {clause}");
            let mut back = 0;
            for id in expired {
                back += usize::from(tx.exists(&sql, values![id])?);
            }
            Ok(back)
        })
    }
}

/// The queue in claim order, as far as a clause lets it through. Pinned to its index: with others
/// available, SQLite may sort the whole queue before it looks at the first job.
fn claimable(tx: &dyn Tx, clause: &Rendered) -> String {
    let by_index = tx.by_index(QUEUED);
    format!("SELECT id FROM jobs {by_index} WHERE {IS_QUEUED} AND {clause} ORDER BY id")
}

fn by_clause(tx: &dyn Tx, clause: &Rendered, job: Option<i64>) -> Result<Vec<(i64, bool)>, Error> {
    // NULL lets no job through.
    let asked = format!("SELECT id, CASE WHEN {clause} THEN 1 ELSE 0 END FROM jobs");
    let read = |row: crate::store::engine::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    match job {
        Some(job) => {
            let sql = format!("{asked} WHERE id = $1 AND {IS_QUEUED}");
            tx.rows(&sql, values![job], read)
        }
        None => {
            let by_index = tx.by_index(QUEUED);
            tx.rows(
                &format!("{asked} {by_index} WHERE {IS_QUEUED} ORDER BY id"),
                &[],
                read,
            )
        }
    }
}
