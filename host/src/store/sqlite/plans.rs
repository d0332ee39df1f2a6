//! The plans of the records' queries: which index answers each.

use super::claim::plan;
use super::engine::Sqlite;
use crate::store::Error;
use crate::store::records::{waiting, work};

impl Sqlite {
    /// The steps of SQLite's plan for each query that finds heads.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn head_plans(&mut self) -> Result<Vec<Vec<String>>, Error> {
        self.read(|connection| {
            let queries = waiting::Queries::all(connection);
            let plans = queries.iter().map(|query| plan(connection, query));
            Ok(plans.collect::<Result<_, _>>()?)
        })
    }

    /// The steps of SQLite's plan for each query of the work of a task, and of that of all repos.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn work_plans(&mut self) -> Result<Vec<Vec<String>>, Error> {
        self.read(|connection| {
            let queries = work::queries(connection);
            let plans = queries.iter().map(|query| plan(connection, query));
            Ok(plans.collect::<Result<_, _>>()?)
        })
    }
}
