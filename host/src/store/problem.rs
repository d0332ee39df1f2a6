//! What can be wrong with a database.
//!
//! Owns the sentences for an operator. Leaves to the engine which problem it is, and to `Error`
//! what a caller can do wrong. Callers rely on this: each sentence names the file.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::{fmt, io};

use super::engine::EngineError;
use super::{Error, Forbidden, Location, Missing};
use crate::remedy::Remedy;

/// A database that cannot be used, or that refused a change.
#[derive(Debug)]
pub struct DatabaseError {
    /// Where it is; none inside the store, before the engine names it.
    pub location: Option<Location>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a database.
#[derive(Debug)]
pub enum Problem {
    /// There is no file.
    Missing,
    /// The file or its log was replaced while it was open.
    Moved,
    /// The file was replaced, and this log of the old file was left.
    OldLog(PathBuf),
    /// The log was removed while another process has it open: its index is of that log.
    OldIndex,
    /// The file has this many names.
    Linked(u64),
    /// The file cannot be looked at.
    Unreachable(io::Error),
    /// The disk failed to store a committed change.
    NotFlushed(io::Error),
    /// The file cannot be opened or created.
    CannotOpen(EngineError),
    /// The file is something else.
    NotADatabase,
    /// The database was not prepared, or by another version.
    NotPrepared(Vec<Missing>),
    /// A table of the orchestrator cannot be used. The text names the table or the column.
    Schema(String),
    /// There are tables with almost the names of those that are missing. The text names them.
    Alike(String),
    /// The gate cannot work there, because the database forbids this.
    Unfit(Vec<Forbidden>),
    /// The file or its folder cannot be written.
    ReadOnly,
    /// There is no space left.
    Full,
    /// The file cannot be read or written.
    Disk(EngineError),
    /// Another program holds the database.
    Locked,
    /// Transactions that write what a claim needs are open in the server, by the numbers of their
    /// processes there.
    Busy(Vec<i64>),
    /// The file stays in this journal mode, and not in WAL mode.
    JournalMode(String),
    /// The file is damaged.
    Damaged(EngineError),
    /// A rule of the table itself refuses a row.
    Constraint(EngineError),
    /// The sequence of a table's `id` has given out a number that a row has already.
    NumberTaken {
        /// The table.
        table: String,
        /// In the server's words.
        cause: EngineError,
    },
    /// Any other error of the engine.
    Statement(EngineError),
    /// The server has no database of this name.
    NoDatabase(EngineError),
    /// The server does not answer, or lets nobody in.
    NoServer(EngineError),
    /// A password or a certificate for the connection cannot be used.
    Credentials(EngineError),
    /// The server wants a password, and there is none.
    NoPassword,
    /// The certificate of the server does not prove who it is.
    Certificate(EngineError),
    /// No schema of the role's `search_path` exists.
    NoSchema,
    /// The role lacks a right.
    NotAllowed(EngineError),
    /// The functions of a clause are not there, and the role may not create them.
    NoFunctions,
    /// The connection was lost while a change was being committed.
    Unknown(EngineError),
    /// A change was committed, and its way to the standby was cut short.
    NotReplicated(String),
}

impl Problem {
    /// An error about the database at this place.
    pub(crate) fn at(self, location: impl Into<Location>) -> Error {
        DatabaseError {
            location: Some(location.into()),
            problem: self,
        }
        .into()
    }

    /// The same without a place, which the engine adds later.
    pub(crate) fn unnamed(self) -> Error {
        DatabaseError {
            location: None,
            problem: self,
        }
        .into()
    }

    /// That a database which lacks this is not prepared; none if nothing of it matters.
    pub(super) fn of_missing(mut missing: Vec<Missing>) -> Option<Problem> {
        // A row is made again by the look after the triggers, and claims do without it.
        missing.retain(|missing| !matches!(missing, Missing::Row(_)));
        (!missing.is_empty()).then_some(Problem::NotPrepared(missing))
    }

    /// What to do about it, where a command does that.
    pub(super) fn remedy(&self, location: Option<&Location>) -> Option<Remedy> {
        match self {
            Problem::Missing => Some(Remedy::Create(location?.to_string())),
            Problem::NotPrepared(_) => Some(Remedy::Prepare(location?.to_string())),
            Problem::NotADatabase => Some(Remedy::NameAnotherFile),
            Problem::Alike(_) => Some(Remedy::RenameTables),
            Problem::NoPassword => Some(Remedy::GivePassword),
            _ => None,
        }
    }
}

impl DatabaseError {
    fn is_on_a_server(&self) -> bool {
        let location = self.location.as_ref();
        location.is_some_and(|location| location.file().is_none())
    }
}

/// What a prepared database has lost, in words. None where a table or a column is missing: then it
/// was not prepared by this version.
fn lost(missing: &[Missing]) -> Option<String> {
    let mut lost = missing.iter().map(|missing| match missing {
        Missing::Table(_) | Missing::Column(_) | Missing::Row(_) => None,
        Missing::Index(name) => Some(("index", name)),
        Missing::Sequence(name) => Some(("sequence", name)),
        Missing::Function(name) => Some(("function", name)),
        Missing::Trigger(name) => Some(("trigger", name)),
    });
    let (kind, name) = lost.next()??;
    let others = lost.collect::<Option<Vec<_>>>()?.len();
    Some(match others {
        0 => format!("the {kind} `{name}` of the gate is gone or altered"),
        others => format!("the {kind} `{name}` and {others} more of the gate are gone or altered"),
    })
}

/// What is wrong with a table's sequence, and what helps.
pub(crate) fn number_taken(table: &str) -> String {
    format!(
        "the sequence of `{table}.id` is behind the highest id, so a new row gets a number that is \
         taken: run `SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}`"
    )
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self
            .location
            .as_ref()
            .map(Location::to_string)
            .unwrap_or_default();
        match &self.problem {
            Problem::Missing => write!(f, "there is no database `{path}`"),
            Problem::Moved => write!(
                f,
                "`{path}` or its log was replaced, renamed or removed while it was open, so the \
                 change may be lost: look at what is there now, and try again"
            ),
            Problem::OldLog(log) => write!(
                f,
                "`{path}` was replaced, and `{}` belongs to the old file: remove that log and its \
                 `-shm`, put the backup there once more, or use `sqlite3 {path} '.restore BACKUP'` \
                 next time",
                log.display()
            ),
            Problem::OldIndex => write!(
                f,
                "the log of `{path}` was removed while another process has the database open, so \
                 nothing can be read until that process closes it: try again, or end that process"
            ),
            Problem::Linked(links) => write!(
                f,
                "`{path}` has {links} names (hard links), and SQLite keeps a log for each: remove \
                 the other names"
            ),
            Problem::Unreachable(_) => {
                write!(f, "cannot look at `{path}`: may you read its folder?")
            }
            Problem::NotFlushed(_) => write!(
                f,
                "the disk failed under `{path}`, so the change may be lost: look at the disk's \
                 health"
            ),
            Problem::CannotOpen(_) => write!(
                f,
                "cannot open `{path}`: does its folder exist, and may you write there?"
            ),
            Problem::NotADatabase => write!(f, "`{path}` is not a SQLite database"),
            Problem::NotPrepared(missing) => match lost(missing) {
                Some(lost) => write!(f, "in `{path}` {lost}, so changes may go unseen"),
                None => write!(f, "`{path}` is not prepared for the serial gate"),
            },
            Problem::Schema(problem) | Problem::Alike(problem) => {
                write!(f, "`{path}` was left as it is: {problem}")
            }
            Problem::Unfit(forbidden) => {
                let needed = forbidden.iter().filter(|found| found.is_needed());
                let sentences: Vec<String> = needed.map(Forbidden::to_string).collect();
                write!(f, "`{path}` was left as it is: {}", sentences.join("; "))
            }
            Problem::ReadOnly if self.is_on_a_server() => write!(
                f,
                "`{path}` only reads, as a standby does: name the primary"
            ),
            Problem::ReadOnly => write!(
                f,
                "`{path}` is read-only: make the file and its folder writable for this user"
            ),
            Problem::Full => write!(
                f,
                "the disk of `{path}` is full: free some space and try again, nothing was changed"
            ),
            Problem::Disk(_) => write!(
                f,
                "the disk failed under `{path}`: look at its health, and at size limits of this \
                 process; nothing was changed"
            ),
            Problem::Locked => write!(
                f,
                "another program holds `{path}` locked: end its transaction and try again"
            ),
            Problem::Busy(backends) => {
                let backends: Vec<String> = backends.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "transactions that write what may be claimed next are open in `{path}` \
                     (server processes {}): end them, or try again",
                    backends.join(", ")
                )
            }
            Problem::JournalMode(mode) => write!(
                f,
                "`{path}` stays in journal mode `{mode}`, and many processes need `wal`: keep it \
                 on a disk of this machine, and not in memory or on a network"
            ),
            Problem::Damaged(_) => write!(
                f,
                "`{path}` is damaged: restore a backup, or try `sqlite3 {path} .recover`"
            ),
            Problem::NumberTaken { table, .. } => {
                write!(f, "in `{path}` {}", number_taken(table))
            }
            Problem::Constraint(_) => write!(
                f,
                "`{path}` refuses the row by a rule of its own: make the change with the program \
                 that owns the table"
            ),
            Problem::Statement(_) => write!(f, "the database `{path}` refused a statement"),
            Problem::NoDatabase(_) => write!(
                f,
                "there is no such database on the server of `{path}`: create it with `createdb`, or \
                 correct the name"
            ),
            Problem::NoServer(_) => write!(
                f,
                "cannot use the database `{path}`: is the server up, and may this role connect?"
            ),
            Problem::Credentials(_) => write!(
                f,
                "the password or the certificates for `{path}` cannot be used"
            ),
            Problem::NoPassword => {
                write!(
                    f,
                    "the server of `{path}` wants a password, and there is none for it"
                )
            }
            Problem::Certificate(_) => write!(
                f,
                "the server of `{path}` has not proved who it is, so nothing was sent to it: look \
                 at `sslrootcert`, and for which hosts its certificate is"
            ),
            Problem::NoSchema => write!(
                f,
                "no schema of this role's `search_path` exists in `{path}`: name one, with \
                 `?schema=NAME` at the end of the address"
            ),
            Problem::NotAllowed(_) => write!(
                f,
                "this role may not do that in `{path}`: grant it the right, or use another role"
            ),
            Problem::NoFunctions => write!(
                f,
                "the functions by which a claim of this policy works are not in `{path}` yet, and \
                 this role may not create them: let a role claim once that may, such as the owner \
                 of the schema"
            ),
            Problem::Unknown(_) => write!(
                f,
                "the connection to `{path}` was lost during a commit, so the change may have been \
                 made or not: look before you try again"
            ),
            Problem::NotReplicated(warning) => write!(
                f,
                "the change is in `{path}`, but may be lost if another server takes over: {warning}"
            ),
        }
    }
}

impl StdError for DatabaseError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.problem {
            Problem::Unreachable(cause) | Problem::NotFlushed(cause) => Some(cause),
            Problem::CannotOpen(cause)
            | Problem::Disk(cause)
            | Problem::Damaged(cause)
            | Problem::Constraint(cause)
            | Problem::NumberTaken { cause, .. }
            | Problem::NoDatabase(cause)
            | Problem::NoServer(cause)
            | Problem::Credentials(cause)
            | Problem::Certificate(cause)
            | Problem::NotAllowed(cause)
            | Problem::Unknown(cause)
            | Problem::Statement(cause) => Some(&**cause),
            _ => None,
        }
    }
}
