//! What a database does not let the gate do, in words for an operator.
//!
//! Owns the list of attempts, which of them a queue needs, and the sentence for each. Leaves the
//! trial itself to `mod`. Callers rely on this: the sentences contain text of the database, which a
//! caller must escape.

use std::fmt;

use rusqlite::{Connection, ErrorCode};

use crate::store::sqlite::error;
use crate::store::sqlite::schema::SHARED;
use crate::store::{DatabaseError, Error, Problem};

/// The statuses that the gate writes to a job.
pub const STATUSES: [&str; 5] = ["queued", "running", "done", "failed", "cancelled"];

/// Something that the gate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// A job is put in the queue.
    Queue,
    /// A job is claimed.
    Claim,
    /// Its claim is prolonged.
    Heartbeat,
    /// It is done.
    Finish,
    /// It fails.
    Fail,
    /// Its worker gives it back.
    GiveBack,
    /// An operator puts it back in the queue.
    Requeue,
    /// It ends because its task has ended.
    Cancel,
    /// A second job of the task is done.
    FinishAnother,
    /// Two jobs of a task run at once.
    ClaimAnother,
    /// A task moves to another stage.
    MoveTask,
    /// A task ends.
    EndTask,
    /// A task is added with its first job.
    AddTask,
    /// A repo is frozen.
    Freeze,
    /// The freeze is cleared.
    Unfreeze,
    /// The repo is frozen once more.
    FreezeAgain,
}

impl Attempt {
    /// Whether a queue needs it. The others matter only when an operator asks for them.
    pub fn is_needed(self) -> bool {
        !matches!(
            self,
            Attempt::ClaimAnother | Attempt::MoveTask | Attempt::EndTask | Attempt::AddTask
        )
    }

    /// The status that it gives to a job.
    pub(super) fn status(self) -> Option<&'static str> {
        match self {
            Attempt::Queue | Attempt::GiveBack | Attempt::Requeue => Some("queued"),
            Attempt::Claim => Some("running"),
            Attempt::Finish => Some("done"),
            Attempt::Fail => Some("failed"),
            Attempt::Cancel => Some("cancelled"),
            _ => None,
        }
    }

    /// The table whose rules and triggers it meets first.
    pub(super) fn table(self) -> &'static str {
        match self {
            Attempt::MoveTask | Attempt::EndTask | Attempt::AddTask => "tasks",
            Attempt::Freeze | Attempt::Unfreeze | Attempt::FreezeAgain => "repo_freeze",
            _ => "jobs",
        }
    }
}

/// Something that a database does not let the gate do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Forbidden {
    /// What.
    pub what: Attempt,
    /// The statuses that `jobs.status` cannot take, if that is why.
    pub statuses: Vec<&'static str>,
    /// What a new task needs, if that is all.
    pub needs: Option<String>,
    /// Whether it works for other jobs, or at another time.
    pub some: bool,
    /// Why, in SQLite's words, or in those of the orchestrator's trigger.
    pub reason: String,
    /// What helps, if the sentence does not have it.
    pub remedy: Option<&'static str>,
}

impl Forbidden {
    /// Whether a queue cannot be used because of it.
    pub fn is_needed(&self) -> bool {
        self.what.is_needed() && !self.some
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = &self.reason;
        if !self.statuses.is_empty() {
            return write!(
                f,
                "`jobs.status` cannot take {}: {reason}; allow {}",
                listed(&self.statuses),
                listed(&STATUSES)
            );
        }
        let (no_job, no_claim) = if self.some {
            ("some jobs cannot", "some claims cannot")
        } else {
            ("no job can", "no claim can")
        };
        match self.what {
            Attempt::Queue => write!(f, "{no_job} be put in the queue: {reason}"),
            Attempt::Claim => write!(f, "{no_job} be claimed: {reason}"),
            Attempt::Heartbeat => write!(f, "{no_claim} be prolonged: {reason}"),
            Attempt::Finish => write!(f, "{no_job} be finished: {reason}"),
            Attempt::Fail => write!(f, "{no_job} be failed: {reason}"),
            Attempt::GiveBack => write!(f, "{no_job} be given back: {reason}"),
            Attempt::Requeue => write!(f, "{no_job} be requeued: {reason}"),
            Attempt::Cancel => write!(f, "{no_job} be cancelled: {reason}"),
            Attempt::FinishAnother => {
                write!(f, "two jobs of a task cannot both be finished: {reason}")
            }
            Attempt::ClaimAnother => write!(
                f,
                "some jobs cannot run at once, and claims skip the second while the \
                 first runs: {reason}"
            ),
            Attempt::MoveTask => write!(f, "no task can be moved: {reason}"),
            Attempt::EndTask => write!(
                f,
                "no task can be ended: {reason}; if the stage has another name here, give it in \
                 the rules as `finished_stages`"
            ),
            Attempt::AddTask => match &self.needs {
                Some(needs) => write!(f, "a new task needs {needs} here: {reason}"),
                None => write!(
                    f,
                    "the gate cannot add a task here: {reason}; your own program has to add them"
                ),
            },
            Attempt::Freeze => write!(f, "no repo can be frozen: {reason}"),
            Attempt::Unfreeze => write!(f, "no freeze can be cleared: {reason}"),
            Attempt::FreezeAgain => {
                write!(f, "a repo cannot be frozen a second time: {reason}")
            }
        }?;
        match self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

fn listed(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

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

fn with_triggers(words: &str, what: Attempt, triggers: &[String]) -> String {
    let names: Vec<&str> = triggers.iter().map(String::as_str).collect();
    match names.as_slice() {
        [] => words.into(),
        names => format!(
            "{words} (triggers on `{}`: {})",
            what.table(),
            listed(names)
        ),
    }
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

/// One line of bounded length: a CHECK may fill a page.
fn one_line(words: &str) -> String {
    const LONGEST: usize = 300;
    let mut line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}
