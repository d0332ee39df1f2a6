//! Why something did not work, in SQLite's words or in those of an orchestrator's trigger.
//!
//! Owns which errors are about the database's own rules. Leaves to `forbidden` the sentence around
//! it. Callers rely on this: an error of the disk or a lock of another program is returned.

use rusqlite::{Connection, ErrorCode};

use crate::store::forbidden::{Attempt, one_line, with_triggers};
use crate::store::sqlite::error;
use crate::store::sqlite::schema::SHARED;
use crate::store::{DatabaseError, Error, Problem};

/// Why something did not work, if the database's own rules are the cause. An error of the disk or a
/// lock of another program is returned.
pub(super) fn reason(
    connection: &Connection,
    what: Attempt,
    error: Error,
) -> Result<String, Error> {
    let (words, by_trigger) = match &error {
        Error::Database(DatabaseError {
            problem: Problem::Statement(cause) | Problem::Constraint(cause),
            ..
        }) => {
            // A trigger has put another value into a column of the gate.
            let other = || Some((cause.to_string(), true));
            match error::reason(&error).map_or_else(other, of_sqlite) {
                Some(found) => found,
                None => return Err(error),
            }
        }
        Error::Undone { .. } => ("a trigger ignored it, or undid it".into(), true),
        // A trigger has changed what the next statement looks for.
        other => (other.to_string(), true),
    };
    let triggers = if by_trigger {
        triggers_on(connection, what.table())?
    } else {
        Vec::new()
    };
    Ok(with_triggers(&one_line(&words), what, &triggers))
}

/// A broken reference in a table that the gate does not write.
pub(super) fn broken_by_a_trigger(connection: &Connection, what: Attempt) -> Result<String, Error> {
    let words = "FOREIGN KEY constraint failed: a trigger writes a row that refers to no row";
    Ok(with_triggers(
        words,
        what,
        &triggers_on(connection, what.table())?,
    ))
}

/// SQLite's words with what helps, and whether they may be a trigger's; none if the rules of the
/// tables are not the cause.
fn of_sqlite(cause: &rusqlite::Error) -> Option<(String, bool)> {
    let (words, code) = match cause {
        rusqlite::Error::SqliteFailure(code, words) => (words.clone(), Some(code)),
        rusqlite::Error::SqlInputError { error, msg, .. } => (Some(msg.clone()), Some(error)),
        // A trigger has put another value into a column of the gate.
        _ => (None, None),
    };
    let words = words.unwrap_or_else(|| cause.to_string());
    let Some(code) = code else {
        return Some((words, true));
    };
    match (code.code, code.extended_code) {
        (ErrorCode::ConstraintViolation, rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL) => {
            let help = if is_ours(&words) {
                "the gate writes NULL there, so drop the NOT NULL"
            } else {
                "give that column a default"
            };
            Some((format!("{words} ({help})"), false))
        }
        (ErrorCode::ConstraintViolation, rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER) => {
            Some((words, true))
        }
        (ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch, _) => Some((words, false)),
        (ErrorCode::Unknown, _) if words.contains("function") => Some((
            format!("{words} (the gate has no functions of other programs)"),
            true,
        )),
        (ErrorCode::Unknown, _) => Some((words, true)),
        _ => None,
    }
}

/// Whether a NOT NULL refused a column that the gate itself writes: a default would not help.
fn is_ours(words: &str) -> bool {
    let column = words
        .rsplit(' ')
        .next()
        .and_then(|name| name.split_once('.'));
    column.is_some_and(|(table, column)| {
        let mut tables = SHARED.iter().filter(|shared| shared.name == table);
        tables.any(|shared| {
            let required = shared.required.iter().map(|(name, _)| *name);
            let mut ours = required.chain(shared.added.iter().map(|(name, _)| *name));
            ours.any(|name| name.eq_ignore_ascii_case(column))
        })
    })
}

/// Whether a unique column refused a second row.
pub(super) fn is_of_a_unique_column(error: &Error) -> bool {
    let cause = error::reason(error).and_then(rusqlite::Error::sqlite_error);
    let code = cause.map(|error| error.extended_code);
    matches!(
        code,
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
    )
}

/// The triggers of other programs on a table, the first few.
fn triggers_on(connection: &Connection, table: &str) -> Result<Vec<String>, Error> {
    let mut query = connection.prepare_cached(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE
            AND substr(name, 1, 12) != 'serial_gate_' ORDER BY name LIMIT 5",
    )?;
    let names = query.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
