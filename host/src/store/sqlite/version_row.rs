//! The one row of the clause's version, which other programs read in their claims.
//!
//! Owns the check of it, and the repair. Leaves the increments to `triggers`. Callers rely on this:
//! a repaired number is greater than every readable one and than the time, so that a clause that
//! was cached with another number is fetched again.

use rusqlite::{Connection, OptionalExtension};

use super::transaction::Transaction;

/// The table. A lost or wrong row is reported by this name.
pub(crate) const TABLE: &str = "serial_gate_clause_version";

/// The integers that every JSON reader keeps exactly.
const IS_A_VERSION: &str = "typeof(version) = 'integer' AND version BETWEEN 1 AND 9007199254740991";

/// Whether there is one row, with a number. A missing table is reported elsewhere.
pub(crate) fn is_right(connection: &Connection) -> rusqlite::Result<bool> {
    let is_there = connection
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?
        .query_row([TABLE], |_| Ok(()))
        .optional()?
        .is_some();
    if !is_there {
        return Ok(true);
    }
    let sql = format!("SELECT count(*) = 1 AND total({IS_A_VERSION}) = 1 FROM {TABLE}");
    connection
        .prepare_cached(&sql)?
        .query_row([], |row| row.get(0))
}

/// Repairs the row with the next number; false if it was right.
pub(crate) fn put_right(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    if is_right(transaction)? {
        return Ok(false);
    }
    let next = format!(
        "SELECT max(coalesce(
            max(version) FILTER (WHERE {IS_A_VERSION} AND version < 9007199254740991), 0)
            + 1,
            CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)) FROM {TABLE}"
    );
    let next: i64 = transaction.query_row(&next, [], |row| row.get(0))?;
    transaction.execute(&format!("DELETE FROM {TABLE}"), [])?;
    transaction.execute(
        &format!("INSERT INTO {TABLE} (version) VALUES (?1)"),
        [next],
    )?;
    Ok(true)
}
