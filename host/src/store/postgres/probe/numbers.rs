//! The numbers that a trial draws from sequences.
//!
//! Owns how they are given back, so that the first task of a new queue has the number 1. A sequence
//! that has given out numbers already is left alone: other programs may be waiting for its next one.
//! Callers rely on this: they are in a part of a transaction, and undo it.

use super::super::schema::SHARED;
use super::super::tx::Session;
use crate::store::Error;
use crate::store::engine::{Tx, values};

/// Has the end of this part give back what is drawn from sequences that are not used yet. Returns
/// the tables whose sequence is behind their ids, as after an import: here it is set right, so that
/// the trial goes on.
pub(super) fn keep(session: &Session<'_>) -> Result<Vec<&'static str>, Error> {
    let tx: &dyn Tx = session;
    let unused: Vec<String> = tx.rows(
        "SELECT format('%I.%I', schemaname, sequencename) FROM pg_catalog.pg_sequences
         WHERE schemaname = (SELECT nspname FROM pg_catalog.pg_namespace
                WHERE oid = to_regnamespace($1)) AND last_value IS NULL
         ORDER BY sequencename",
        values![session.schema()],
        |row| row.get(0),
    )?;
    for sequence in unused {
        in_part(session, || hold(session, &sequence))?;
    }
    let mut behind = Vec::new();
    for table in SHARED.iter().map(|shared| shared.name) {
        let set_right = || {
            let Some((sequence, highest)) = behind_of(session, table)? else {
                return Ok(false);
            };
            hold(session, &sequence)?;
            tx.row(
                "SELECT setval($1::text::regclass, $2)",
                values![sequence, highest],
                |_| Ok(()),
            )?;
            Ok(true)
        };
        if in_part(session, set_right)?.unwrap_or_default() {
            behind.push(table);
        }
    }
    Ok(behind)
}

/// A change of a sequence is undone together with the numbers that are drawn after it.
fn hold(session: &Session<'_>, sequence: &str) -> Result<(), Error> {
    session.batch(&format!("ALTER SEQUENCE {sequence} CACHE 1"))
}

/// The sequence of a table's ids and the highest id, if the sequence is behind it.
fn behind_of(session: &Session<'_>, table: &str) -> Result<Option<(String, i64)>, Error> {
    let tx: &dyn Tx = session;
    let its_table = format!("{}.{table}", session.schema());
    let sql = format!(
        "SELECT s.name, s.highest FROM (SELECT pg_get_serial_sequence($1, 'id') AS name,
            max(id)::bigint AS highest FROM {its_table}) s
         WHERE s.name IS NOT NULL AND s.highest > coalesce(pg_sequence_last_value(s.name::regclass), 0)"
    );
    tx.row(&sql, values![its_table], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Runs a step, and undoes it if it fails: a sequence may belong to another role, and then its
/// numbers are used up.
fn in_part<T>(
    session: &Session<'_>,
    step: impl FnOnce() -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    session.begin_part()?;
    match step() {
        Ok(done) => session.keep_part().map(|()| Some(done)),
        Err(_) => session.undo_part().map(|()| None),
    }
}
