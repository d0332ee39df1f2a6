//! Another program's connection to a queue's database, for conformance cases.
//!
//! Owns plain SQL over the shared tables, with any value that a case has. Leaves the statements to
//! the engines. Callers rely on this: its writes are not flushed, so it is only for temporary
//! databases.

use super::database::Location;
#[cfg(feature = "postgres")]
use super::postgres;
use super::sqlite;
use super::{Error, Problem};
use crate::clause::Table;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// A text.
    Text(String),
}

/// Another program's connection.
pub struct Outsider(Engine);

enum Engine {
    Sqlite(sqlite::outsider::Outsider),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::outsider::Outsider>),
}

/// Calls the engine, whichever it is.
macro_rules! engine {
    ($outsider:expr, $engine:ident => $call:expr) => {
        match &$outsider.0 {
            Engine::Sqlite($engine) => $call,
            #[cfg(feature = "postgres")]
            Engine::Postgres($engine) => $call,
        }
    };
}

/// A statement that the database refused.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// In the database's words.
    pub message: String,
}

/// Why a statement was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A rule of the table.
    Constraint,
    /// A value is too large.
    TooLarge,
    /// Anything else about the statement.
    Statement,
    /// The database cannot be used.
    Database,
}

impl Outsider {
    /// Connects to a prepared database.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn connect(location: &Location) -> Result<Outsider, Refused> {
        Ok(Outsider(match location {
            Location::File(path) => Engine::Sqlite(sqlite::outsider::Outsider::connect(path)?),
            #[cfg(feature = "postgres")]
            Location::Server(server) => {
                Engine::Postgres(postgres::outsider::Outsider::connect(server)?.into())
            }
        }))
    }

    /// Removes all rows of the shared tables and adds others, all of it or nothing.
    ///
    /// # Errors
    ///
    /// The first error of `add`.
    pub fn replace_rows<E: From<Refused>>(
        &mut self,
        add: impl FnOnce(&Outsider) -> Result<(), E>,
    ) -> Result<(), E> {
        engine!(self, engine => engine.begin_anew())?;
        let added = add(self).and_then(|()| Ok(engine!(self, engine => engine.commit())?));
        if added.is_err() {
            engine!(self, engine => engine.roll_back())?;
        }
        added
    }

    /// Inserts a row, with a value for each column of the contract, and returns its id.
    pub fn insert(&self, table: Table, values: Vec<Cell>) -> Result<i64, Refused> {
        engine!(self, engine => engine.insert(table, values))
    }

    /// Runs a change and returns how many rows it changed. Its values are `$1` and so on, in the
    /// order of the text.
    pub fn execute(&self, sql: &str, values: Vec<Cell>) -> Result<usize, Refused> {
        engine!(self, engine => engine.execute(sql, values))
    }

    /// All rows of a table, by id.
    pub fn rows(&self, table: &str, columns: &[&str]) -> Result<Vec<Vec<Cell>>, Refused> {
        let sql = format!("SELECT {} FROM {table} ORDER BY id", columns.join(", "));
        engine!(self, engine => engine.rows(&sql, columns.len()))
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        Problem::Statement(refused.into()).unnamed()
    }
}
