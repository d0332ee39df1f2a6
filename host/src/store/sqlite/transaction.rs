//! Write transactions: one for each change, or one for a group of changes that are made together.
//!
//! Owns begin and end. In a group each change has a savepoint, so that a refused change undoes
//! nothing of the others. Callers rely on this: a change that returns an error has left no trace.

use std::ops::Deref;

use rusqlite::Connection;

/// A connection with a write transaction open.
pub(crate) struct Transaction<'a> {
    connection: &'a Connection,
    part: Part,
    is_over: bool,
}

/// How much of SQLite's transaction belongs to this change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// The rest belongs to other changes of a group.
    Savepoint,
    /// Reads see the state that the group has made so far.
    Nothing,
}

impl<'a> Transaction<'a> {
    /// Takes the write lock for one change.
    pub(crate) fn begin(connection: &'a Connection) -> rusqlite::Result<Transaction<'a>> {
        run(connection, "BEGIN IMMEDIATE")?;
        Ok(Transaction::of(connection, Part::Whole))
    }

    /// Makes a change a part of a group's transaction. The first change of a group takes the write
    /// lock.
    pub(crate) fn join(connection: &'a Connection) -> rusqlite::Result<Transaction<'a>> {
        if connection.is_autocommit() {
            run(connection, "BEGIN IMMEDIATE")?;
        }
        run(connection, "SAVEPOINT change")?;
        Ok(Transaction::of(connection, Part::Savepoint))
    }

    /// Begins several reads of one state.
    pub(crate) fn read(connection: &'a Connection) -> rusqlite::Result<Transaction<'a>> {
        if !connection.is_autocommit() {
            return Ok(Transaction::of(connection, Part::Nothing));
        }
        run(connection, "BEGIN")?;
        Ok(Transaction::of(connection, Part::Whole))
    }

    fn of(connection: &'a Connection, part: Part) -> Transaction<'a> {
        Transaction {
            connection,
            part,
            is_over: false,
        }
    }

    /// Commits the change. In a group it becomes permanent with the group's commit.
    pub(crate) fn commit(mut self) -> rusqlite::Result<()> {
        match self.part {
            Part::Whole => run(self.connection, "COMMIT")?,
            Part::Savepoint => run(self.connection, "RELEASE change")?,
            Part::Nothing => {}
        }
        self.is_over = true;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // A failed statement may have ended the transaction already, for example by a trigger's
        // `RAISE(ROLLBACK)`.
        if self.is_over || self.connection.is_autocommit() {
            return;
        }
        let undo: &[&str] = match self.part {
            Part::Whole => &["ROLLBACK"],
            Part::Savepoint => &["ROLLBACK TO change", "RELEASE change"],
            Part::Nothing => &[],
        };
        for statement in undo {
            if let Err(error) = run(self.connection, statement) {
                tracing::error!("a change was not undone: {error}");
            }
        }
    }
}

pub(crate) fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}
