//! What is in a file that need not be prepared.
//!
//! Owns the look at which columns it has. Leaves to `records` what is read of them. Callers rely on
//! this: nothing is changed.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::connection::connect;
use super::engine::Sqlite;
use super::error::at;
use super::transaction::Transaction;
use crate::store::Error;
use crate::store::records::census::{self, Census};
use crate::store::records::unprepared::{self, Found};

/// Looks into a file before it is prepared. The preparation reports what cannot be read.
pub(crate) fn look_into(path: &Path) -> Found {
    let found = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        unprepared::found(&connection, |table, column| {
            has_column(&connection, table, column)
        })
    };
    found().unwrap_or_default()
}

impl Sqlite {
    /// What is in the tables.
    pub fn census(&mut self) -> Result<Census, Error> {
        self.read(|connection| census(connection))
    }

    /// What is in the tables of a database that need not be prepared.
    pub fn census_at(path: &Path) -> Result<Census, Error> {
        let read = || census(&connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?);
        read().map_err(|error: Error| at(error, path))
    }
}

fn census(connection: &Connection) -> Result<Census, Error> {
    let t = Transaction::read(connection)?;
    census::census(&t, |table, column| {
        let is_table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1
            COLLATE NOCASE";
        Ok(t.prepare_cached(is_table)?.exists([table])? && has_column(&t, table, column)?)
    })
}

fn has_column(connection: &Connection, table: &str, name: &str) -> Result<bool, Error> {
    let mut query = connection
        .prepare_cached("SELECT 1 FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE")?;
    Ok(query.exists([table, name])?)
}
