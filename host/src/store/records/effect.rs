//! Whether a change is there after it was made.
//!
//! Owns the check of what a transaction has written. Another program's trigger can ignore a row,
//! delete it or change it back, and no statement of the gate fails. Callers check after their last
//! write, because a trigger on any table of the transaction may undo an earlier one. They rely on
//! this: an error rolls the transaction back, so that neither the audit nor an alert reports
//! something that did not happen.

use crate::store::Error;
use crate::store::engine::{Tx, Value};

/// The name of a change, for the error when it did not stay, and the table whose triggers to look
/// at first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effect<'a> {
    pub what: &'a str,
    pub table: &'static str,
}

impl Effect<'_> {
    /// The row that a statement returned. A trigger that ignores a row leaves none.
    pub fn returned<T>(self, row: Result<Option<T>, Error>) -> Result<T, Error> {
        row?.ok_or_else(|| self.undone())
    }

    /// Refuses the change unless the query finds a row.
    pub fn is_there(self, tx: &dyn Tx, query: &str, values: &[Value<'_>]) -> Result<(), Error> {
        self.holds(tx.exists(query, values)?)
    }

    /// Refuses the change if the query finds a row.
    pub fn is_gone(self, tx: &dyn Tx, query: &str, values: &[Value<'_>]) -> Result<(), Error> {
        self.holds(!tx.exists(query, values)?)
    }

    /// Refuses the change unless it is as it should be.
    pub fn holds(self, holds: bool) -> Result<(), Error> {
        if holds { Ok(()) } else { Err(self.undone()) }
    }

    fn undone(self) -> Error {
        Error::Undone {
            what: self.what.into(),
            table: self.table,
        }
    }
}
