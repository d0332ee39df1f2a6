//! Another program's connection to a file.
//!
//! Owns the statements, with any value that SQLite can hold.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::clause::Table;
use crate::store::outsider::{Cell, Reason, Refused};

pub(crate) struct Outsider(Connection);

impl Outsider {
    pub(crate) fn connect(path: &Path) -> Result<Outsider, Refused> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        Ok(Outsider(connection))
    }

    /// Begins a change, and removes every row.
    pub(crate) fn begin_anew(&self) -> Result<(), Refused> {
        self.batch(
            "BEGIN; DELETE FROM tasks; DELETE FROM jobs; DELETE FROM repo_freeze;
             DELETE FROM sqlite_sequence;",
        )
    }

    pub(crate) fn commit(&self) -> Result<(), Refused> {
        self.batch("COMMIT")
    }

    pub(crate) fn roll_back(&self) -> Result<(), Refused> {
        if self.0.is_autocommit() {
            return Ok(());
        }
        self.batch("ROLLBACK")
    }

    pub(crate) fn insert(&self, table: Table, values: Vec<Cell>) -> Result<i64, Refused> {
        let columns: Vec<_> = table.column_names().collect();
        let places = vec!["?"; columns.len()].join(", ");
        let (table, columns) = (table.name(), columns.join(", "));
        let sql = format!("INSERT INTO {table} ({columns}) VALUES ({places})");
        self.execute(&sql, values)?;
        Ok(self.0.last_insert_rowid())
    }

    pub(crate) fn execute(&self, sql: &str, values: Vec<Cell>) -> Result<usize, Refused> {
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.execute(params_from_iter(values.into_iter().map(Value::from)))?)
    }

    pub(crate) fn rows(&self, sql: &str, columns: usize) -> Result<Vec<Vec<Cell>>, Refused> {
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([], |row| {
            let cells = (0..columns).map(|index| Ok(Cell::from(row.get::<_, Value>(index)?)));
            cells.collect()
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn batch(&self, sql: &str) -> Result<(), Refused> {
        Ok(self.0.execute_batch(sql)?)
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
