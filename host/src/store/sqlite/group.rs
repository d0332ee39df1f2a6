//! Changes that are made together: one transaction, one flush, and each change with its own error.
//!
//! Owns the group's begin and end. Callers rely on this: the write lock is taken with the first
//! change of a group and not before; and until the group is closed and acknowledged, none of its
//! changes is acknowledged.

use rusqlite::Connection;

use super::connection::Open;
use super::engine::Sqlite;
use super::transaction::{self, Transaction};
use crate::store::{Committed, Error};

/// Changes that are made together.
#[derive(Default)]
pub(crate) struct Group {
    pub is_open: bool,
    pub has_begun: bool,
    pub is_to_be_flushed: bool,
}

impl Group {
    /// Begins a change, as a part of the group if one is open.
    pub(crate) fn begin<'a>(
        &mut self,
        connection: &'a Connection,
    ) -> Result<Transaction<'a>, Error> {
        if !self.is_open {
            return Ok(Transaction::begin(connection)?);
        }
        // A second transaction would hide that the first is lost.
        if self.has_begun && connection.is_autocommit() {
            return Err(Error::GroupEnded);
        }
        let transaction = Transaction::join(connection)?;
        self.has_begun = true;
        Ok(transaction)
    }
}

impl Sqlite {
    /// From now on changes share one transaction, which begins with the first of them. An error
    /// still undoes only its own change. No change may be acknowledged before the group is closed
    /// and acknowledged.
    pub fn open_group(&mut self) -> bool {
        self.group = Group {
            is_open: true,
            ..Group::default()
        };
        true
    }

    /// Whether one statement has ended the whole transaction, such as a trigger's
    /// `RAISE(ROLLBACK)`: then no change of the group was made.
    pub fn group_is_broken(&self) -> bool {
        let is_over = |open: &Open| open.connection.is_autocommit();
        self.group.has_begun && self.open.as_ref().is_none_or(is_over)
    }

    /// Commits the changes of the group, if there were any.
    ///
    /// # Errors
    ///
    /// On an error no change of the group was made.
    pub fn close_group(&mut self) -> Result<Option<Committed>, Error> {
        let is_broken = self.group_is_broken();
        let group = std::mem::take(&mut self.group);
        let Some(open) = self.open.as_ref().filter(|_| group.has_begun) else {
            return Ok(None);
        };
        if is_broken {
            return Err(Error::GroupEnded);
        }
        let commit = || transaction::run(&open.connection, "COMMIT");
        if let Err(cause) = open.sandbox.open_for_own_statements(commit) {
            self.undo_group();
            let error = super::error::of_sqlite(&self.path, cause);
            self.note_failure(&error);
            return Err(error);
        }
        Ok(Some(open.committed(&self.path, group.is_to_be_flushed)))
    }

    /// Undoes the changes of the group.
    fn undo_group(&mut self) {
        self.group = Group::default();
        let Some(open) = self
            .open
            .as_ref()
            .filter(|open| !open.connection.is_autocommit())
        else {
            return;
        };
        let undo = || transaction::run(&open.connection, "ROLLBACK");
        if let Err(error) = open.sandbox.open_for_own_statements(undo) {
            tracing::error!(
                "a group of changes was not undone, so the database is opened anew: {error}"
            );
            self.open = None;
        }
    }
}
