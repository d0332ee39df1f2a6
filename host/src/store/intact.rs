//! What is gone of the gate's own things in a database, or is not as this version makes it.
//!
//! Owns the look, which reads the schema, and the one row of the clause's version. Leaves the repair to `init`, and to `doctor` for triggers. Callers rely
//! on this: it is cheap enough for every second, it writes nothing, and it looks at the database as it is now, whatever it
//! was when it was opened.

use std::collections::BTreeSet;

use super::schema::{INDEXES, OWN, SHARED, UNIQUE};
use super::{Error, Store, migrate, version_row};

/// Something of the gate's that is missing in its database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// A table is gone.
    Table(String),
    /// A column, as `table.column`, is gone.
    Column(String),
    /// The one row of a table is gone, or is not what it has to be, or there are more.
    Row(String),
    /// An index is gone.
    Index(String),
    /// A trigger is gone, or is another version's or another program's.
    Trigger(String),
}

impl Store {
    /// What is missing. Nothing in a database as `init` leaves it.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn missing(&mut self) -> Result<Vec<Missing>, Error> {
        self.doing(|connection| {
            let names: BTreeSet<(String, String)> = connection
                .prepare_cached(
                    "SELECT type, lower(name) FROM sqlite_schema WHERE type IN ('table', 'index')",
                )?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let is_gone =
                |kind: &str, name: &str| !names.contains(&(kind.to_owned(), name.to_owned()));
            let mut missing = Vec::new();
            let own = OWN.iter().map(|(name, _)| *name);
            for table in own.chain(SHARED.iter().map(|table| table.name)) {
                if is_gone("table", table) {
                    missing.push(Missing::Table(table.into()));
                }
            }
            for table in SHARED.iter().filter(|table| !is_gone("table", table.name)) {
                let columns = migrate::columns(connection, table.name)?;
                let required = table.required.iter().map(|(name, _)| *name);
                for name in required.chain(table.added.iter().map(|(name, _)| *name)) {
                    let is_it = |column: &migrate::Column| column.name.eq_ignore_ascii_case(name);
                    if !columns.iter().any(is_it) {
                        missing.push(Missing::Column(format!("{}.{name}", table.name)));
                    }
                }
            }
            for (index, ..) in INDEXES.iter().chain(&UNIQUE) {
                if is_gone("index", index) {
                    missing.push(Missing::Index((*index).into()));
                }
            }
            if !version_row::is_right(connection)? {
                missing.push(Missing::Row(version_row::TABLE.into()));
            }
            let triggers = migrate::triggers_not_as_made(connection)?.into_iter();
            missing.extend(triggers.map(|(trigger, _)| Missing::Trigger(trigger.name)));
            Ok(missing)
        })
    }
}
