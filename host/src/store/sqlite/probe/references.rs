//! Whether the touched rows refer to existing rows.
//!
//! Owns a check of one row: `PRAGMA foreign_key_check` reads whole tables, a deferred reference is
//! only checked at the commit, and the orchestrator's connection may check references that this one
//! does not. Callers rely on this: it changes nothing.

use rusqlite::{Connection, OptionalExtension};

use crate::store::Error;
use crate::store::sqlite::value::Shown;

/// One reference of a table to another: a pair for each of its columns.
struct Reference {
    parent: String,
    columns: Vec<(String, Option<String>)>,
}

/// The first broken reference of a row, among those of these columns.
pub(super) fn broken(
    connection: &Connection,
    table: &str,
    row: i64,
    is_ours: impl Fn(&str) -> bool,
) -> Result<Option<String>, Error> {
    for reference in references(connection, table)? {
        if !reference.columns.iter().any(|(from, _)| is_ours(from)) {
            continue;
        }
        let Some(columns) = with_targets(connection, &reference)? else {
            continue;
        };
        let set: Vec<String> = columns
            .iter()
            .map(|(from, _)| format!("child.{} IS NOT NULL", quoted(from)))
            .collect();
        let same: Vec<String> = columns
            .iter()
            .map(|(from, to)| format!("parent.{} = child.{}", quoted(to), quoted(from)))
            .collect();
        let sql = format!(
            "SELECT 1 FROM {} AS child WHERE child.id = ?1 AND {} AND NOT EXISTS
             (SELECT 1 FROM {} AS parent WHERE {})",
            quoted(table),
            set.join(" AND "),
            quoted(&reference.parent),
            same.join(" AND ")
        );
        // Not cached: names of other programs' tables would fill the cache.
        if connection.prepare(&sql)?.exists([row])? {
            let (from, to): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            return Ok(Some(format!(
                "FOREIGN KEY constraint failed: `{table}.{}` refers to `{}.{}`, which has \
                 no such row",
                from.join(", "),
                reference.parent,
                to.join(", ")
            )));
        }
    }
    Ok(None)
}

/// A value that a column may have, if it refers to another table.
pub(super) fn a_value(
    connection: &Connection,
    table: &str,
    column: &str,
) -> Result<Option<String>, Error> {
    for reference in references(connection, table)? {
        let Some(columns) = with_targets(connection, &reference)? else {
            continue;
        };
        if let [(from, to)] = columns.as_slice()
            && from.eq_ignore_ascii_case(column)
        {
            let (to, parent) = (quoted(to), quoted(&reference.parent));
            let sql = format!("SELECT {to} FROM {parent} WHERE {to} IS NOT NULL LIMIT 1");
            let value = connection
                .prepare(&sql)?
                .query_row([], |row| Ok(row.get::<_, Shown>(0)?.0));
            return Ok(value.optional()?.flatten());
        }
    }
    Ok(None)
}

/// The targets of a table's references, for an error of SQLite that names none.
pub(super) fn named(
    connection: &Connection,
    table: &str,
    is_ours: impl Fn(&str) -> bool,
) -> Result<String, Error> {
    let all = references(connection, table)?;
    let lines: Vec<String> = all
        .iter()
        .filter(|reference| reference.columns.iter().any(|(from, _)| is_ours(from)))
        .map(|reference| {
            let from: Vec<&str> = reference.columns.iter().map(|(from, _)| &**from).collect();
            format!("`{table}.{}` → `{}`", from.join(", "), reference.parent)
        })
        .collect();
    Ok(lines.join(", "))
}

fn references(connection: &Connection, table: &str) -> Result<Vec<Reference>, Error> {
    let mut query = connection.prepare_cached(
        r#"SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?1) ORDER BY id, seq"#,
    )?;
    let mut rows = query.query([table])?;
    let mut all: Vec<(i64, Reference)> = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let pair = (row.get(2)?, row.get(3)?);
        match all.last_mut() {
            Some((last, reference)) if *last == id => reference.columns.push(pair),
            _ => all.push((
                id,
                Reference {
                    parent: row.get(1)?,
                    columns: vec![pair],
                },
            )),
        }
    }
    Ok(all.into_iter().map(|(_, reference)| reference).collect())
}

/// The columns with their targets, by default the primary key. None if the other table is missing
/// or has no such key: SQLite then refuses every write itself.
fn with_targets(
    connection: &Connection,
    reference: &Reference,
) -> Result<Option<Vec<(String, String)>>, Error> {
    let mut query = connection
        .prepare_cached("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    let key: Vec<String> = query
        .query_map([&reference.parent], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut has = connection
        .prepare_cached("SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE")?;

    let mut pairs = Vec::new();
    for (place, (from, to)) in reference.columns.iter().enumerate() {
        let Some(to) = to.as_ref().or_else(|| key.get(place)) else {
            return Ok(None);
        };
        if !has.exists([&reference.parent, to])? {
            return Ok(None);
        }
        pairs.push((from.clone(), to.clone()));
    }
    Ok(Some(pairs))
}

/// A name as an identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
