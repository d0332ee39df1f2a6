//! Another program's connection to a queue's database, for conformance cases.
//!
//! Owns plain SQL over the shared tables, with any value that SQLite can hold. Leaves the gate's
//! own work to `Store`. Callers rely on this: its writes are not flushed, so it is only for
//! temporary databases.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::clause::Table;
use crate::store::{Error, Problem};

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
pub struct Outsider(Connection);

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
    /// Connects to a database that is there.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn connect(path: &Path) -> Result<Outsider, Refused> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        Ok(Outsider(connection))
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
        self.batch(
            "BEGIN; DELETE FROM tasks; DELETE FROM jobs; DELETE FROM repo_freeze;
             DELETE FROM sqlite_sequence;",
        )?;
        let added = add(self).and_then(|()| Ok(self.batch("COMMIT")?));
        if added.is_err() && !self.0.is_autocommit() {
            self.batch("ROLLBACK")?;
        }
        added
    }

    /// Inserts a row, with a value for each column of the contract, and returns its id.
    pub fn insert(&self, table: Table, values: Vec<Cell>) -> Result<i64, Refused> {
        let columns: Vec<_> = table.column_names().collect();
        let places = vec!["?"; columns.len()].join(", ");
        let (table, columns) = (table.name(), columns.join(", "));
        let sql = format!("INSERT INTO {table} ({columns}) VALUES ({places})");
        self.execute(&sql, values)?;
        Ok(self.0.last_insert_rowid())
    }

    /// Runs a change and returns how many rows it changed.
    pub fn execute(&self, sql: &str, values: Vec<Cell>) -> Result<usize, Refused> {
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.execute(params_from_iter(values.into_iter().map(Value::from)))?)
    }

    /// All rows of a table, by id.
    pub fn rows(&self, table: &str, columns: &[&str]) -> Result<Vec<Vec<Cell>>, Refused> {
        let sql = format!("SELECT {} FROM {table} ORDER BY id", columns.join(", "));
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map([], |row| {
            let cells = (0..columns.len()).map(|index| Ok(Cell::from(row.get::<_, Value>(index)?)));
            cells.collect()
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn batch(&self, sql: &str) -> Result<(), Refused> {
        Ok(self.0.execute_batch(sql)?)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        Problem::Statement(refused.into()).unnamed()
    }
}

impl From<Cell> for Value {
    fn from(cell: Cell) -> Value {
        match cell {
            Cell::Null => Value::Null,
            Cell::Integer(number) => Value::Integer(number),
            Cell::Real(number) => Value::Real(number),
            Cell::Text(text) => Value::Text(text),
        }
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Cell {
        match value {
            Value::Null | Value::Blob(_) => Cell::Null,
            Value::Integer(number) => Cell::Integer(number),
            Value::Real(number) => Cell::Real(number),
            Value::Text(text) => Cell::Text(text),
        }
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Refused {
        match error {
            rusqlite::Error::SqliteFailure(failure, Some(message)) => Refused {
                reason: match failure.code {
                    ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => Reason::Constraint,
                    ErrorCode::TooBig => Reason::TooLarge,
                    _ => Reason::Statement,
                },
                message,
            },
            other => Refused {
                reason: Reason::Database,
                message: other.to_string(),
            },
        }
    }
}
