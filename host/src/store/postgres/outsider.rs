//! Another program's connection to a server, and a schema for a while.
//!
//! Owns the statements, and the schema from its creation to its end. Leaves to the caller which
//! values the columns can hold: each is sent as text. Callers rely on this: rows with ids of their
//! own are followed by higher ids.

use std::cell::RefCell;

use postgres::error::SqlState;

use super::connection::Open;
use super::error::{self, reason};
use super::qualify::identifier;
use super::server::Server;
use super::tx::Session;
use crate::clause::Table;
use crate::store::engine::{Tx, Value};
use crate::store::outsider::{Cell, Reason, Refused};
use crate::store::raw::Raw;
use crate::store::{Error, Location, token};

pub(crate) struct Outsider(RefCell<Open>);

impl Outsider {
    pub(crate) fn connect(server: &Server) -> Result<Outsider, Refused> {
        Ok(Outsider(RefCell::new(Open::at(server)?)))
    }

    /// Begins a change, and removes every row.
    pub(crate) fn begin_anew(&self) -> Result<(), Refused> {
        self.with(|session| {
            session.batch("BEGIN; SET LOCAL synchronous_commit = off")?;
            let tx: &dyn Tx = session;
            for table in Table::ALL {
                tx.execute(&format!("DELETE FROM {}", table.name()), &[])?;
                let restart = format!("SELECT setval({}, 1, FALSE)", ids(session, table));
                tx.row(&restart, &[], |_| Ok(()))?;
            }
            Ok(())
        })
    }

    pub(crate) fn commit(&self) -> Result<(), Refused> {
        self.with(|session| session.batch("COMMIT"))
    }

    pub(crate) fn roll_back(&self) -> Result<(), Refused> {
        self.with(|session| session.batch("ROLLBACK"))
    }

    pub(crate) fn insert(&self, table: Table, values: Vec<Cell>) -> Result<i64, Refused> {
        let given: Vec<(&str, Cell)> = table
            .column_names()
            .zip(values)
            .filter(|(column, value)| *column != "id" || *value != Cell::Null)
            .collect();
        let columns: Vec<&str> = given.iter().map(|(column, _)| *column).collect();
        let places: Vec<String> = (1..=columns.len())
            .map(|place| format!("${place}"))
            .collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}) RETURNING id",
            table.name(),
            columns.join(", "),
            places.join(", ")
        );
        let has_id = columns.contains(&"id");
        let values: Vec<Cell> = given.into_iter().map(|(_, value)| value).collect();
        self.with(|session| {
            let tx: &dyn Tx = session;
            let values: Vec<Value<'_>> = values.iter().map(Value::from).collect();
            let id: i64 = tx.only(&sql, &values, |row| row.get(0))?;
            if has_id && id > 0 {
                let ids = ids(session, table);
                let follow = format!(
                    "SELECT setval({ids},
                        greatest({id}, coalesce(pg_sequence_last_value({ids}::regclass), 1)))"
                );
                tx.row(&follow, &[], |_| Ok(()))?;
            }
            Ok(id)
        })
    }

    pub(crate) fn execute(&self, sql: &str, values: Vec<Cell>) -> Result<usize, Refused> {
        self.with(|session| {
            let values: Vec<Value<'_>> = values.iter().map(Value::from).collect();
            session.execute(sql, &values)
        })
    }

    pub(crate) fn rows(&self, sql: &str, columns: usize) -> Result<Vec<Vec<Cell>>, Refused> {
        self.with(|session| {
            let tx: &dyn Tx = session;
            tx.rows(sql, &[], |row| {
                let cells = (0..columns).map(|column| Ok(Cell::from(row.get::<Raw>(column)?)));
                cells.collect()
            })
        })
    }

    fn with<T>(&self, run: impl FnOnce(&Session<'_>) -> Result<T, Error>) -> Result<T, Refused> {
        let open = &mut *self.0.borrow_mut();
        Ok(run(&Session::on(&mut open.client, &open.statements))?)
    }
}

/// The sequence of a table's ids, as a literal.
fn ids(session: &Session<'_>, table: Table) -> String {
    let table = format!("{}.{}", session.schema(), table.name());
    format!(
        "pg_get_serial_sequence('{}', 'id')",
        table.replace('\'', "''")
    )
}

impl<'a> From<&'a Cell> for Value<'a> {
    fn from(cell: &'a Cell) -> Value<'a> {
        match cell {
            Cell::Null => Value::Null,
            Cell::Integer(number) => Value::Integer(*number),
            Cell::Real(number) => Value::Real(*number),
            Cell::Text(text) => Value::Text(text.as_bytes()),
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        let db = reason(&error).and_then(postgres::Error::as_db_error);
        let Some(db) = db else {
            return Refused {
                reason: Reason::Database,
                message: crate::error::with_causes(&error),
            };
        };
        let too_large = [
            SqlState::STRING_DATA_RIGHT_TRUNCATION,
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        ];
        Refused {
            reason: match db.code() {
                code if code.code().starts_with("23") => Reason::Constraint,
                code if too_large.contains(code) => Reason::TooLarge,
                _ => Reason::Statement,
            },
            message: db.message().into(),
        }
    }
}

impl From<Raw> for Cell {
    fn from(raw: Raw) -> Cell {
        match raw {
            Raw::Null | Raw::Blob(_) => Cell::Null,
            Raw::Integer(number) => Cell::Integer(number),
            Raw::Real(number) => Cell::Real(number),
            Raw::Text(text) => Cell::Text(String::from_utf8_lossy(&text).into_owned()),
        }
    }
}

/// A schema that is dropped in the end.
pub(crate) struct TemporarySchema {
    server: Server,
}

impl TemporarySchema {
    /// Makes one in the database that the address names.
    ///
    /// # Errors
    ///
    /// When the role may not.
    pub(crate) fn create(at: &Server) -> Result<TemporarySchema, Error> {
        let name = format!("serial_gate_conform_{}", token::new_key()?);
        let server = at.clone().with_schema(&name);
        let create = format!("CREATE SCHEMA {}", identifier(&name));
        let created = Open::at(&server)
            .and_then(|mut open| open.client.batch_execute(&create).map_err(Into::into));
        created.map_err(|error| error::at(error, &Location::Server(at.clone())))?;
        Ok(TemporarySchema { server })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }
}

impl Drop for TemporarySchema {
    fn drop(&mut self) {
        let Some(name) = self.server.schema().map(identifier) else {
            return;
        };
        let drop = format!(
            "SET lock_timeout = '10s'; SET client_min_messages = warning;
             DROP SCHEMA {name} CASCADE"
        );
        let dropped = Open::at(&self.server).map(|mut open| open.client.batch_execute(&drop));
        if let Err(error) = dropped.and_then(|dropped| Ok(dropped?)) {
            tracing::warn!("the schema {name} was not dropped: {error}");
        }
    }
}
