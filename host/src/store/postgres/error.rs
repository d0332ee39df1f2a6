//! PostgreSQL's errors, in the words of an operator.
//!
//! Owns what each of the server's codes means for a database (PostgreSQL, Appendix A). Leaves the
//! words to `problem`.

use std::error::Error as StdError;
use std::fmt;

use postgres::error::{DbError, Severity, SqlState};

use crate::store::engine::EngineError;
use crate::store::{DatabaseError, Error, Location, Problem};

/// An error of the driver, in the server's words if it is the server's.
#[derive(Debug)]
pub(crate) struct Cause(pub postgres::Error);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(told) = self.0.as_db_error() else {
            return self.0.fmt(f);
        };
        f.write_str(told.message())?;
        match told.detail() {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.as_db_error() {
            Some(_) => None,
            None => self.0.source(),
        }
    }
}

/// Inside the store, before the database is named by `at`.
impl From<postgres::Error> for Error {
    fn from(cause: postgres::Error) -> Error {
        Problem::Statement(Cause(cause).into()).unnamed()
    }
}

/// Names the database in an error that was made without it.
pub(crate) fn at(error: Error, location: &Location) -> Error {
    match error {
        Error::Database(DatabaseError {
            location: None,
            problem,
        }) => match problem {
            Problem::Statement(cause) => meaning(cause).at(location.clone()),
            problem => problem.at(location.clone()),
        },
        other => other,
    }
}

/// The server's own error of a statement that failed.
pub(crate) fn reason(error: &Error) -> Option<&postgres::Error> {
    match error.problem()? {
        Problem::Statement(cause)
        | Problem::Constraint(cause)
        | Problem::NumberTaken { cause, .. } => of_server(cause),
        _ => None,
    }
}

/// Whether a statement needed more time than it had.
pub(crate) fn is_out_of_time(error: &Error) -> bool {
    reason(error).and_then(postgres::Error::code) == Some(&SqlState::QUERY_CANCELED)
}

/// Whether this role may not do what a statement does.
pub(crate) fn is_not_allowed(error: &Error) -> bool {
    reason(error).and_then(postgres::Error::code) == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}

fn of_server(cause: &EngineError) -> Option<&postgres::Error> {
    cause.downcast_ref::<Cause>().map(|Cause(error)| error)
}

/// The error of a commit, or of a statement that commits itself. The server has rolled back if it
/// tells an error and goes on, as it does for a deferred constraint. After anything else the change
/// may be on its disk.
pub(crate) fn lost(error: Error) -> Error {
    let said = reason(&error).map(|error| error.as_db_error().and_then(DbError::parsed_severity));
    match (said, error) {
        (
            Some(None | Some(Severity::Fatal | Severity::Panic)),
            Error::Database(DatabaseError {
                problem: Problem::Statement(cause),
                ..
            }),
        ) => Problem::Unknown(cause).unnamed(),
        (_, error) => error,
    }
}

/// The table whose `id` would not be unique. The gate leaves ids to the table's sequence.
pub(super) fn number_is_taken(error: &DbError) -> Option<String> {
    let is_taken = error.code() == &SqlState::UNIQUE_VIOLATION
        && error
            .detail()
            .is_some_and(|detail| detail.starts_with("Key (id)="));
    error.table().filter(|_| is_taken).map(Into::into)
}

fn meaning(cause: EngineError) -> Problem {
    let Some(error) = of_server(&cause) else {
        return Problem::Statement(cause);
    };
    let Some(code) = error.code() else {
        return if error.is_closed() || error.as_db_error().is_none() {
            Problem::NoServer(cause)
        } else {
            Problem::Statement(cause)
        };
    };
    if let Some(table) = error.as_db_error().and_then(number_is_taken) {
        return Problem::NumberTaken { table, cause };
    }
    match *code {
        SqlState::READ_ONLY_SQL_TRANSACTION => Problem::ReadOnly,
        SqlState::DISK_FULL => Problem::Full,
        SqlState::IO_ERROR => Problem::Disk(cause),
        SqlState::LOCK_NOT_AVAILABLE => Problem::Locked,
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => Problem::Damaged(cause),
        SqlState::INSUFFICIENT_PRIVILEGE => Problem::NotAllowed(cause),
        SqlState::INVALID_CATALOG_NAME => Problem::NoDatabase(cause),
        SqlState::INVALID_PASSWORD
        | SqlState::INVALID_AUTHORIZATION_SPECIFICATION
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN => Problem::NoServer(cause),
        // Integrity constraints.
        _ if code.code().starts_with("23") => Problem::Constraint(cause),
        _ => Problem::Statement(cause),
    }
}
