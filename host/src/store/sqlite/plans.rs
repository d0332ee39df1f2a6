//! SQLite's plan for a query: which index answers it.

use rusqlite::Connection;

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
