//! The input for both forms of a policy, from one state: the rows for `decide`, and the clause's
//! answer for each queued job.
//!
//! Owns that both come from one read transaction, which takes no lock. Leaves the rows to
//! `snapshot` and the comparison to the queue. A clause may exclude a row that `decide` would need.
//! A small state therefore has every row that any clause could read; a large one has the rows in
//! this clause's footprint.

use rusqlite::{Connection, ErrorCode, params_from_iter};

use super::engine::Sqlite;
use super::search::is_true;
use super::snapshot::{has_no_more_than, state};
use super::transaction::Transaction;
use crate::clause::{Footprint, Rendered};
use crate::model::Snapshot;
use crate::store::Error;
use crate::store::indexes::QUEUED;
use crate::store::job::IS_QUEUED;

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

impl Sqlite {
    /// The state for all queued jobs or for one, and the clause's answers.
    ///
    /// # Errors
    ///
    /// When the budget of a claim is spent.
    pub fn judged(
        &mut self,
        reach: &Footprint,
        clause: &Rendered,
        job: Option<i64>,
    ) -> Result<Judged, Error> {
        let every = Footprint::of_every_clause();
        self.within_budget(|connection, _| {
            let transaction = Transaction::read(connection)?;
            let is_whole = has_no_more_than(LITTLE, &transaction, &every, job)?;
            let reach = if is_whole { &every } else { reach };
            let state = state(&transaction, reach, job)?;
            let by_clause = match by_clause(&transaction, clause, job) {
                Ok(found) => Some(found),
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
                {
                    None
                }
                Err(error) => return Err(error),
            };
            Ok(Judged {
                state,
                is_whole,
                by_clause,
            })
        })
    }

    /// Whether more than `most` jobs are queued. Reads no more of them.
    pub fn has_more_queued_than(&mut self, most: usize) -> Result<bool, Error> {
        self.read(|connection| {
            let sql = format!(
                "SELECT 1 FROM jobs INDEXED BY {QUEUED} WHERE {IS_QUEUED} ORDER BY id
                 LIMIT 1 OFFSET ?1"
            );
            Ok(connection.prepare_cached(&sql)?.exists([most])?)
        })
    }

    /// A number that changes when this connection has changed the database. As cheap as
    /// [`Sqlite::data_version`], which is about the other connections.
    pub fn own_changes(&self) -> u64 {
        self.open
            .as_ref()
            .map_or(0, |open| open.connection.total_changes())
    }
}

fn by_clause(
    connection: &Connection,
    clause: &Rendered,
    job: Option<i64>,
) -> rusqlite::Result<Vec<(i64, bool)>> {
    let sql = match job {
        Some(_) => format!("SELECT id, {clause} FROM jobs WHERE id = ?1 AND {IS_QUEUED}"),
        None => format!(
            "SELECT id, {clause} FROM jobs INDEXED BY {QUEUED} WHERE {IS_QUEUED} ORDER BY id"
        ),
    };
    let mut query = connection.prepare_cached(&sql)?;
    let rows = query.query_map(params_from_iter(job), |row| {
        Ok((row.get(0)?, is_true(row.get(1)?)))
    })?;
    rows.collect()
}
