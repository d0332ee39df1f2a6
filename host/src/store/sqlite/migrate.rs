//! Brings a database to the schema: an empty one, or an orchestrator's.
//!
//! Owns the additions and the refusals: a table that the gate could not read as the rule intends is
//! named in the error. What is missing is read from the schema itself: a migration library would
//! use `user_version`, which in an adopted database belongs to the orchestrator.

use rusqlite::{Connection, OptionalExtension};

use super::own_tables::{ADDED_TO_OWN, OWN};
use super::schema::{Affinity, INDEXES, SHARED, Shared, UNIQUE};
use super::transaction::Transaction;
use super::triggers::Trigger;
use super::{heads, intact, triggers, version_row};
use crate::store::records::tasks::LABEL;
use crate::store::{Change, Error, Problem};

/// Checks that everything is there that [`add_missing`] adds.
pub(crate) fn check(connection: &Connection) -> Result<(), Error> {
    match Problem::of_missing(intact::missing(connection)?) {
        None => Ok(()),
        Some(problem) => Err(problem.unnamed()),
    }
}

/// Adds what is missing.
pub(crate) fn add_missing(transaction: &Transaction<'_>) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    for table in &SHARED {
        complete(transaction, table, &mut changes)?;
    }
    for (name, create) in OWN {
        if !exists(transaction, name, "table", name)? {
            transaction.execute_batch(create)?;
            changes.push(Change::Table(name.into()));
        }
    }
    for (table, added, kind) in ADDED_TO_OWN {
        if !has_column(transaction, table, added)? {
            transaction.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {added} {kind}"))?;
            changes.push(Change::Column(format!("{table}.{added}")));
        }
    }
    for Index {
        name,
        table,
        create,
    } in indexes_not_as_made(transaction)?
    {
        if exists(transaction, name, "index", table)? {
            transaction.execute_batch(&format!("DROP INDEX {name}"))?;
        }
        transaction.execute_batch(&create)?;
        changes.push(Change::Index(name.into()));
    }
    add_triggers(transaction, &mut changes)?;
    if version_row::put_right(transaction)? {
        changes.push(Change::Row(version_row::TABLE.into()));
    }
    if !changes.is_empty() {
        // Rows may have changed while a trigger was missing.
        transaction.execute_batch(heads::FORGET)?;
        transaction.execute_batch(triggers::NEXT_VERSION)?;
    }
    Ok(changes)
}

/// An index of the gate's.
pub(crate) struct Index {
    pub name: &'static str,
    pub table: &'static str,
    pub create: String,
}

/// The indexes that are missing, or not as this version makes them.
pub(crate) fn indexes_not_as_made(connection: &Connection) -> rusqlite::Result<Vec<Index>> {
    let mut query = connection.prepare_cached(
        "SELECT coalesce(sql, '') FROM sqlite_schema WHERE type = 'index'
         AND name = ?1 COLLATE NOCASE",
    )?;
    let mut others = Vec::new();
    for (kind, indexes) in [("INDEX", &INDEXES[..]), ("UNIQUE INDEX", &UNIQUE)] {
        for (name, table, columns) in indexes {
            let create = format!("CREATE {kind} {name} ON {table} {columns}");
            let found = query.query_row([name], |row| row.get::<_, String>(0));
            // SQLite quotes the name of a renamed table.
            let is_it = |found: String| found.replace('"', "") == create;
            if !found.optional()?.is_some_and(is_it) {
                others.push(Index {
                    name,
                    table,
                    create,
                });
            }
        }
    }
    Ok(others)
}

/// Creates the triggers that are missing, or not as this version makes them.
pub(crate) fn add_triggers(
    transaction: &Transaction<'_>,
    changes: &mut Vec<Change>,
) -> Result<(), Error> {
    for trigger in triggers::all() {
        let name = &trigger.name;
        if exists(transaction, name, "trigger", trigger.table)? {
            if how_made(transaction, &trigger)? == Made::Here {
                continue;
            }
            transaction.execute_batch(&format!("DROP TRIGGER {name}"))?;
        }
        transaction.execute_batch(&trigger.create)?;
        changes.push(Change::Trigger(trigger.name));
    }
    Ok(())
}

/// Who made a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// This version.
    Here,
    /// Another version, or another program.
    Elsewhere,
    /// It is missing.
    Nowhere,
}

/// The triggers that are missing, or not as this version makes them.
pub(crate) fn triggers_not_as_made(
    connection: &Connection,
) -> rusqlite::Result<Vec<(Trigger, Made)>> {
    let mut others = Vec::new();
    for trigger in triggers::all() {
        let made = how_made(connection, &trigger)?;
        if made != Made::Here {
            others.push((trigger, made));
        }
    }
    Ok(others)
}

fn how_made(connection: &Connection, trigger: &Trigger) -> rusqlite::Result<Made> {
    let created: Option<String> = connection
        .prepare_cached(
            "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1 COLLATE NOCASE",
        )?
        .query_row([&trigger.name], |row| row.get(0))
        .optional()?;
    Ok(match created {
        None => Made::Nowhere,
        Some(create) if create == trigger.create => Made::Here,
        Some(_) => Made::Elsewhere,
    })
}

fn complete(
    connection: &Connection,
    table: &Shared,
    changes: &mut Vec<Change>,
) -> Result<(), Error> {
    let name = table.name;
    if !exists(connection, name, "table", name)? {
        connection.execute_batch(table.create)?;
        changes.push(Change::Table(name.into()));
        return Ok(());
    }
    let columns = columns(connection, name)?;
    let find = |wanted: &str| {
        columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(wanted))
    };
    if !find("id").is_some_and(|column| column.is_row_id) {
        return Err(problem(format!(
            "its column `{name}.id` is not the integer primary key of a table with row ids, which \
             gives the order of the queue: make it `INTEGER PRIMARY KEY`, without `WITHOUT ROWID`, \
             or give the gate its own database"
        )));
    }
    for (wanted, affinity) in table.required {
        let Some(column) = find(wanted) else {
            return Err(problem(format!(
                "its table `{name}` lacks the column `{wanted}`: add it and fill it, or \
                 give the gate its own database"
            )));
        };
        check_comparison(connection, name, column, *affinity)?;
    }
    for (added, kind) in table.added {
        match find(added) {
            None => {
                connection
                    .execute_batch(&format!("ALTER TABLE {name} ADD COLUMN {added} {kind}"))?;
                changes.push(Change::Column(format!("{name}.{added}")));
            }
            // A rule may compare it, like the required columns.
            Some(column) if *added == LABEL => {
                check_comparison(connection, name, column, Affinity::Text)?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The rule compares text byte by byte and ids as numbers. With a column that compares differently,
/// the claim's SQL and the policy's decisions would differ.
fn check_comparison(
    connection: &Connection,
    table: &str,
    column: &Column,
    affinity: Affinity,
) -> Result<(), Error> {
    let name = &column.name;
    let (_, collation, ..) = connection.column_metadata(None::<&str>, table, name.as_str())?;
    let collation = collation.map(|collation| collation.to_string_lossy().into_owned());
    if let Some(collation) = collation.filter(|collation| !collation.eq_ignore_ascii_case("binary"))
    {
        return Err(problem(format!(
            "its column `{table}.{name}` compares by `{collation}`, and the rule byte \
             by byte: drop the collation"
        )));
    }
    if column.is_generated {
        return Err(problem(format!(
            "its column `{table}.{name}` is generated, and the gate has to write it"
        )));
    }
    if column.affinity() != Some(affinity) {
        let needed = match affinity {
            Affinity::Integer => "INTEGER",
            Affinity::Text => "TEXT",
        };
        return Err(problem(format!(
            "its column `{table}.{name}` is declared `{}`, and the rule compares it \
             as {needed}: declare it so",
            column.declared
        )));
    }
    Ok(())
}

/// A column of a table.
pub(crate) struct Column {
    pub name: String,
    declared: String,
    is_row_id: bool,
    is_generated: bool,
}

impl Column {
    /// The part of SQLite's rule (datatype3.html, 3.1) that matters here.
    fn affinity(&self) -> Option<Affinity> {
        let declared = self.declared.to_ascii_uppercase();
        if declared.contains("INT") {
            Some(Affinity::Integer)
        } else if ["CHAR", "CLOB", "TEXT"]
            .iter()
            .any(|part| declared.contains(part))
        {
            Some(Affinity::Text)
        } else {
            None
        }
    }
}

/// The columns of a table. The integer primary key is the row's id only if it has no index.
pub(crate) fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let mut query = connection.prepare(
        "SELECT name, type, hidden != 0,
            pk = 1 AND upper(type) = 'INTEGER' AND (SELECT max(pk) FROM pragma_table_xinfo(?1)) = 1
                AND NOT EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk')
         FROM pragma_table_xinfo(?1)",
    )?;
    let columns = query.query_map([table], |row| {
        Ok(Column {
            name: row.get(0)?,
            declared: row.get(1)?,
            is_generated: row.get(2)?,
            is_row_id: row.get(3)?,
        })
    })?;
    columns.collect()
}

pub(super) fn has_column(
    connection: &Connection,
    table: &str,
    name: &str,
) -> rusqlite::Result<bool> {
    let columns = columns(connection, table)?;
    Ok(columns
        .iter()
        .any(|column| column.name.eq_ignore_ascii_case(name)))
}

/// Whether there is an object of this name. Refuses any but the kind that the gate needs, on the
/// table where it needs it.
fn exists(connection: &Connection, name: &str, kind: &str, table: &str) -> Result<bool, Error> {
    let mut query = connection
        .prepare("SELECT type, tbl_name FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE")?;
    let found = query.query_row([name], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    });
    match found.optional()? {
        None => Ok(false),
        Some((is, of)) if is == kind && of.eq_ignore_ascii_case(table) => Ok(true),
        Some((is, of)) => {
            // A table or a view belongs to itself.
            let of = if of.eq_ignore_ascii_case(name) {
                String::new()
            } else {
                format!(" of `{of}`")
            };
            let needed = if table.eq_ignore_ascii_case(name) {
                format!("{} of this name", with_article(kind))
            } else {
                format!("{} of `{table}` by this name", with_article(kind))
            };
            Err(problem(format!(
                "`{name}` is {}{of}, and the gate needs {needed}: rename the {is}, or \
                 give the gate its own database",
                with_article(&is)
            )))
        }
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind == "index" { "an" } else { "a" };
    format!("{article} {kind}")
}

fn problem(problem: String) -> Error {
    Problem::Schema(problem).unnamed()
}
