//! SQLite's errors, in the words of an operator.
//!
//! Owns what each code of SQLite means for a database. Leaves the words to the store's `Error`.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::store::Error;
use crate::store::engine::EngineError;

/// An error of SQLite's about the database at a path.
pub(crate) fn of_sqlite(path: &Path, cause: rusqlite::Error) -> Error {
    named(path, cause.into())
}

/// An error of a statement, once the database is known.
pub(crate) fn named(path: &Path, cause: EngineError) -> Error {
    let path = path.to_path_buf();
    match sqlite(&cause).and_then(rusqlite::Error::sqlite_error_code) {
        Some(ErrorCode::CannotOpen) => Error::CannotOpen { path, cause },
        Some(ErrorCode::NotADatabase) => Error::NotADatabase { path },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Error::ReadOnly { path },
        Some(ErrorCode::DiskFull) => Error::Full { path },
        Some(ErrorCode::SystemIoFailure) => Error::Disk { path, cause },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Locked { path },
        Some(ErrorCode::ConstraintViolation) => Error::Constraint { path, cause },
        Some(ErrorCode::DatabaseCorrupt) => Error::Damaged { path, cause },
        _ => Error::Statement { path, cause },
    }
}

/// Names the database in an error that was made without it.
pub(crate) fn at(error: Error, path: &Path) -> Error {
    match error {
        Error::Statement {
            path: unnamed,
            cause,
        } if unnamed.as_os_str().is_empty() => named(path, cause),
        other => other.at(path),
    }
}

/// What SQLite said of a statement that failed.
pub(crate) fn reason(error: &Error) -> Option<&rusqlite::Error> {
    match error {
        Error::Statement { cause, .. } | Error::Constraint { cause, .. } => sqlite(cause),
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
        Error::Statement {
            path: PathBuf::new(),
            cause: cause.into(),
        }
    }
}
