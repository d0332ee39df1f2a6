//! The one row of the clause's version, which other programs read in their claims.
//!
//! Owns the check of it, and the repair. Leaves the increments to `triggers`. Callers rely on this:
//! a repaired number is greater than every readable one and than the time, so that a clause that
//! was cached with another number is fetched again.

use super::own_tables::NOW_MS;
use super::tx::Session;
use crate::store::Error;
use crate::store::engine::Tx;

/// The table. A lost or wrong row is reported by this name.
pub(crate) const TABLE: &str = "serial_gate_clause_version";

/// The integers that every JSON reader keeps exactly.
const GREATEST: &str = "9007199254740991";

/// Whether there is one row, with a number.
pub(crate) fn is_right(session: &Session<'_>) -> Result<bool, Error> {
    let tx: &dyn Tx = session;
    let sql = format!(
        "SELECT count(*) = 1 AND count(*) FILTER (WHERE version BETWEEN 1 AND {GREATEST}) = 1
         FROM {TABLE}"
    );
    tx.only(&sql, &[], |row| row.get(0))
}

/// Repairs the row with the next number; false if it was right.
pub(crate) fn put_right(session: &Session<'_>) -> Result<bool, Error> {
    if is_right(session)? {
        return Ok(false);
    }
    let tx: &dyn Tx = session;
    let next = format!(
        "SELECT greatest({NOW_MS}, coalesce(
            max(version) FILTER (WHERE version BETWEEN 1 AND {GREATEST} - 1), 0) + 1) FROM {TABLE}"
    );
    let next: i64 = tx.only(&next, &[], |row| row.get(0))?;
    tx.execute(&format!("DELETE FROM {TABLE}"), &[])?;
    let add = format!("INSERT INTO {TABLE} (version) VALUES ({next})");
    tx.execute(&add, &[])?;
    Ok(true)
}

/// A version for clauses that were cached while triggers were missing.
pub(crate) fn next(session: &Session<'_>) -> Result<(), Error> {
    let tx: &dyn Tx = session;
    let sql = format!("UPDATE {TABLE} SET version = greatest(version + 1, {NOW_MS})");
    tx.execute(&sql, &[]).map(drop)
}
