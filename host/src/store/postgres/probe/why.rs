//! Why something did not work, in the server's words or in those of an orchestrator's trigger.
//!
//! Owns which errors are about the database's own rules, and whether `jobs.status` is the cause.
//! Leaves to `forbidden` the sentence around it. Callers rely on this: an error of the disk or the
//! connection, and a lock of another program, are returned; and the status is reported as the cause
//! only if no other column can be.

use postgres::error::{DbError, SqlState};

use super::super::error;
use super::super::functions::UNDONE;
use super::super::schema::SHARED;
use super::super::tx::Session;
use crate::store::Error;
use crate::store::engine::{Tx, values};
use crate::store::forbidden::{Attempt, Broken, Forbidden, one_line, with_triggers};
use crate::store::problem::number_taken;

const IGNORED: &str = "a trigger ignored it, or undid it";

/// The finding for an attempt that failed.
pub(super) fn forbid(
    session: &Session<'_>,
    what: Attempt,
    error: Error,
) -> Result<Forbidden, Error> {
    let (words, broken) = match database_error(&error) {
        Some(cause) if is_of_the_rules(cause.code()) => of_server(cause),
        Some(_) => return Err(error),
        None => match &error {
            Error::Database(_) => return Err(error),
            Error::Undone { .. } => (IGNORED.into(), Broken::Trigger),
            // A trigger has changed what the next statement looks for.
            other => (other.to_string(), Broken::Trigger),
        },
    };
    let triggers = match broken {
        Broken::Trigger | Broken::Function => triggers_on(session, what.table())?,
        _ => Vec::new(),
    };
    Ok(Forbidden {
        what,
        statuses: Vec::new(),
        needs: None,
        some: false,
        reason: with_triggers(&one_line(&words), what, &triggers),
        remedy: broken.remedy(what),
    })
}

/// The finding about a table whose sequence is behind its ids.
pub(super) fn has_no_numbers(table: &str) -> Forbidden {
    Forbidden {
        what: match table {
            "repo_freeze" => Attempt::Freeze,
            _ => Attempt::AddTask,
        },
        statuses: Vec::new(),
        needs: None,
        some: false,
        reason: number_taken(table),
        remedy: None,
    }
}

fn database_error(error: &Error) -> Option<&DbError> {
    error::reason(error)?.as_db_error()
}

/// Whether an error is about the rules of the database, and not about its server: integrity, rights,
/// what a trigger raises, and what its statements come to.
fn is_of_the_rules(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    !matches!(class, "08" | "25" | "40" | "53" | "55" | "57" | "58" | "XX")
}

fn of_server(cause: &DbError) -> (String, Broken) {
    let words = match cause.detail() {
        Some(detail) if cause.code() != &SqlState::CHECK_VIOLATION => {
            format!("{} ({detail})", cause.message())
        }
        _ => cause.message().to_owned(),
    };
    match cause.code() {
        code if code.code() == UNDONE => (IGNORED.into(), Broken::Trigger),
        &SqlState::UNIQUE_VIOLATION | &SqlState::EXCLUSION_VIOLATION => {
            match error::number_is_taken(cause) {
                // The sentence has the remedy.
                Some(table) => (number_taken(&table), Broken::NotNull),
                None => (words, Broken::Unique),
            }
        }
        &SqlState::CHECK_VIOLATION => (words, Broken::Check),
        &SqlState::FOREIGN_KEY_VIOLATION => (words, Broken::Reference),
        &SqlState::NOT_NULL_VIOLATION => {
            let help = if is_ours(cause) {
                "the gate writes NULL there, so drop the NOT NULL"
            } else {
                "give that column a default"
            };
            (format!("{} ({help})", cause.message()), Broken::NotNull)
        }
        &SqlState::RAISE_EXCEPTION => (cause.message().to_owned(), Broken::Trigger),
        // The right itself is the remedy.
        &SqlState::INSUFFICIENT_PRIVILEGE => (
            format!("{}; grant this role the right", cause.message()),
            Broken::NotNull,
        ),
        _ => (words, Broken::Function),
    }
}

/// Whether a NOT NULL refused a column that the gate itself writes: a default would not help.
fn is_ours(cause: &DbError) -> bool {
    let table = SHARED
        .iter()
        .find(|shared| Some(shared.name) == cause.table());
    table.is_some_and(|table| {
        let required = table.required.iter().map(|(name, _)| *name);
        let mut ours = required.chain(table.added.iter().map(|(name, _)| *name));
        ours.any(|name| Some(name) == cause.column())
    })
}

/// Whether a unique index refused a second row.
pub(super) fn is_of_a_unique_index(error: &Error) -> bool {
    let code = database_error(error).map(DbError::code);
    matches!(
        code,
        Some(&SqlState::UNIQUE_VIOLATION | &SqlState::EXCLUSION_VIOLATION)
    )
}

/// Whether the column would refuse the status whatever the rest of the row: its type is a domain, or
/// the constraint has no other column.
pub(super) fn status_is_why(session: &Session<'_>, error: &Error) -> Result<bool, Error> {
    let Some(cause) = database_error(error) else {
        return Ok(false);
    };
    let is_a_rule = [
        SqlState::CHECK_VIOLATION,
        SqlState::FOREIGN_KEY_VIOLATION,
        SqlState::INVALID_TEXT_REPRESENTATION,
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
    ]
    .contains(cause.code());
    let Some(name) = cause.constraint().filter(|_| is_a_rule) else {
        return Ok(false);
    };
    let tx: &dyn Tx = session;
    tx.exists(
        "SELECT 1 FROM pg_catalog.pg_attribute a
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
         JOIN pg_catalog.pg_constraint k ON k.conname = $2
            AND ((k.conrelid = c.oid AND k.conkey = ARRAY[a.attnum]) OR k.contypid = a.atttypid)
         WHERE c.relnamespace = to_regnamespace($1) AND c.relname = 'jobs'
            AND a.attname = 'status'",
        values![session.schema(), name],
    )
}

/// The triggers of other programs on a table, the first few.
fn triggers_on(session: &Session<'_>, table: &str) -> Result<Vec<String>, Error> {
    let tx: &dyn Tx = session;
    tx.rows(
        "SELECT t.tgname FROM pg_catalog.pg_trigger t
         JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = to_regnamespace($1) AND c.relname = $2 AND NOT t.tgisinternal
            AND NOT starts_with(t.tgname, 'serial_gate_') ORDER BY t.tgname LIMIT 5",
        values![session.schema(), table],
        |row| row.get(0),
    )
}
