//! What a database lacks of the gate's own schema, or has in another form than this version makes.
//!
//! Owns the look at the schema and at the one row of the clause's version. Leaves the repair to
//! `prepare`, and that of triggers to `verify`. Callers rely on this: the look is cheap enough for
//! every second, writes nothing, and sees the database as it is now, not as it was when opened.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::engine::Sqlite;
use super::own_tables::{ADDED_TO_OWN, OWN};
use super::schema::SHARED;
use super::{migrate, version_row};
use crate::store::{Error, Missing};

impl Sqlite {
    /// What is missing; nothing right after the preparation.
    pub fn missing(&mut self) -> Result<Vec<Missing>, Error> {
        self.read(|connection| missing(connection))
    }
}

/// What a database lacks of what the preparation adds.
pub(super) fn missing(connection: &Connection) -> Result<Vec<Missing>, Error> {
    let tables: BTreeSet<String> = connection
        .prepare_cached("SELECT lower(name) FROM sqlite_schema WHERE type = 'table'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let is_gone = |name: &str| !tables.contains(name);
    let mut missing = Vec::new();
    let own = OWN.iter().map(|(name, _)| *name);
    for table in own.chain(SHARED.iter().map(|table| table.name)) {
        if is_gone(table) {
            missing.push(Missing::Table(table.into()));
        }
    }
    for table in SHARED.iter().filter(|table| !is_gone(table.name)) {
        let columns = migrate::columns(connection, table.name)?;
        let required = table.required.iter().map(|(name, _)| *name);
        for name in required.chain(table.added.iter().map(|(name, _)| *name)) {
            let is_it = |column: &migrate::Column| column.name.eq_ignore_ascii_case(name);
            if !columns.iter().any(is_it) {
                missing.push(Missing::Column(format!("{}.{name}", table.name)));
            }
        }
    }
    for (table, name, _) in ADDED_TO_OWN {
        if !is_gone(table) && !migrate::has_column(connection, table, name)? {
            missing.push(Missing::Column(format!("{table}.{name}")));
        }
    }
    if !version_row::is_right(connection)? {
        missing.push(Missing::Row(version_row::TABLE.into()));
    }
    let indexes = migrate::indexes_not_as_made(connection)?.into_iter();
    missing.extend(indexes.map(|index| Missing::Index(index.name.into())));
    let triggers = migrate::triggers_not_as_made(connection)?.into_iter();
    missing.extend(triggers.map(|(trigger, _)| Missing::Trigger(trigger.name)));
    Ok(missing)
}
