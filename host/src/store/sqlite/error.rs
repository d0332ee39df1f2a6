//! SQLite's errors, in the words of an operator.
//!
//! Owns what each code of SQLite means for a database. Leaves the words to the store's `Error`.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::store::engine::EngineError;
use crate::store::{DatabaseError, Error, Problem};

/// An error of SQLite's about the database at a path.
pub(crate) fn of_sqlite(path: &Path, cause: rusqlite::Error) -> Error {
    problem(cause.into()).at(path)
}

/// What the error of a statement means for the database.
fn problem(cause: EngineError) -> Problem {
    match sqlite(&cause).and_then(rusqlite::Error::sqlite_error_code) {
        Some(ErrorCode::CannotOpen) => Problem::CannotOpen(cause),
        Some(ErrorCode::NotADatabase) => Problem::NotADatabase,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Problem::ReadOnly,
        Some(ErrorCode::DiskFull) => Problem::Full,
        Some(ErrorCode::SystemIoFailure) => Problem::Disk(cause),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Problem::Locked,
        Some(ErrorCode::ConstraintViolation) => Problem::Constraint(cause),
        Some(ErrorCode::DatabaseCorrupt) => Problem::Damaged(cause),
        _ => Problem::Statement(cause),
    }
}

/// Names the database in an error that was made without it.
pub(crate) fn at(error: Error, path: &Path) -> Error {
    match error {
        Error::Database(DatabaseError {
            location: None,
            problem: found,
        }) => match found {
            Problem::Statement(cause) => problem(cause).at(path),
            found => found.at(path),
        },
        other => other,
    }
}

/// SQLite's own error of a statement that failed.
pub(crate) fn reason(error: &Error) -> Option<&rusqlite::Error> {
    match error.problem()? {
        Problem::Statement(cause) | Problem::Constraint(cause) => sqlite(cause),
        _ => None,
    }
}

/// SQLite's code of a statement that failed.
pub(crate) fn code(error: &Error) -> Option<ErrorCode> {
    reason(error).and_then(rusqlite::Error::sqlite_error_code)
}

fn sqlite(cause: &EngineError) -> Option<&rusqlite::Error> {
    cause.downcast_ref()
}

/// Inside the store, before the database is named by `at`.
impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Error {
        Problem::Statement(cause.into()).unnamed()
    }
}
