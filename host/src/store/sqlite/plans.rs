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

/// The steps of the plans as they are without statistics, over tables without rows. With them,
/// SQLite reads all of a table that had few rows when they were made, though an index would do.
pub(crate) fn steps_without_statistics(
    connection: &Connection,
    queries: &[String],
) -> rusqlite::Result<Vec<String>> {
    let empty = Connection::open_in_memory()?;
    // Tables before their indexes.
    let mut schema = connection.prepare(
        "SELECT sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL
            AND tbl_name IN ('tasks', 'jobs', 'repo_freeze') ORDER BY type DESC",
    )?;
    let mut rows = schema.query([])?;
    while let Some(row) = rows.next()? {
        // One statement: the text of a schema may be hostile.
        empty.execute(&row.get::<_, String>(0)?, [])?;
    }
    let mut steps = Vec::new();
    for query in queries {
        steps.extend(plan(&empty, query)?);
    }
    Ok(steps)
}
