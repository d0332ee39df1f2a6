//! The plans of the records' queries: which index answers each.

use rusqlite::Connection;

use super::engine::Sqlite;
use crate::store::Error;
use crate::store::records::{waiting, work};

impl Sqlite {
    /// The steps of SQLite's plan for each query that finds heads.
    pub fn head_plans(&mut self) -> Result<Vec<Vec<String>>, Error> {
        self.read(|connection| {
            let queries = waiting::Queries::all(connection);
            let plans = queries.iter().map(|query| plan(connection, query));
            Ok(plans.collect::<Result<_, _>>()?)
        })
    }

    /// The steps of SQLite's plan for each query of the work of a task, and of that of all repos.
    pub fn work_plans(&mut self) -> Result<Vec<Vec<String>>, Error> {
        self.read(|connection| {
            let queries = work::queries(connection);
            let plans = queries.iter().map(|query| plan(connection, query));
            Ok(plans.collect::<Result<_, _>>()?)
        })
    }
}

/// The steps of SQLite's plan for a query. They do not depend on bound values.
pub(crate) fn plan(connection: &Connection, query: &str) -> rusqlite::Result<Vec<String>> {
    // EXPLAIN uses the schema as of this connection's last read. A read notices a new one.
    connection
        .prepare_cached("SELECT 1 FROM jobs LIMIT 0")?
        .exists([])?;
    let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}"))?;
    let (mut rows, mut steps) = (query.raw_query(), Vec::new());
    while let Some(row) = rows.next()? {
        steps.push(row.get(3)?);
    }
    Ok(steps)
}
