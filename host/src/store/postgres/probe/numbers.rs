//! The numbers that a trial draws from sequences.
//!
//! Owns how they are given back, so that the first task of a new queue has the number 1. A sequence
//! that has given out numbers already is left alone: other programs may be waiting for its next one.
//! Callers rely on this: they are in a part of a transaction, and undo it.

use super::super::tx::Session;
use crate::store::Error;
use crate::store::engine::{Tx, values};

/// Has the end of this part give back what is drawn from sequences that are not used yet.
pub(super) fn keep(session: &Session<'_>) -> Result<(), Error> {
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
        session.begin_part()?;
        // A change of a sequence is undone together with the numbers that are drawn after it. It
        // may belong to another role: then its numbers are used up.
        match session.batch(&format!("ALTER SEQUENCE {sequence} CACHE 1")) {
            Ok(()) => session.keep_part()?,
            Err(_) => session.undo_part()?,
        }
    }
    Ok(())
}
