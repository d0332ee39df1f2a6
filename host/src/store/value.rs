//! Values of an orchestrator's rows, read without trusting their type.
//!
//! SQLite keeps any value in any column, and text that is not UTF-8. Nothing here fails on data:
//! what is no text is shown as text, and what is no number is placed where the database sorts it.

use rusqlite::types::{FromSql, FromSqlResult, ValueRef};

/// A value for people: text as it is, anything else in SQL's notation.
pub(super) struct Shown(pub Option<String>);

impl FromSql for Shown {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Shown> {
        Ok(Shown(match value {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Real(number) => Some(number.to_string()),
            ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }))
    }
}

/// A task id: the smallest integer that compares with integers as the value does.
pub(super) struct TaskId(pub Option<i64>);

impl FromSql for TaskId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<TaskId> {
        Ok(TaskId(match value {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number),
            // The conversion saturates, which is what is wanted beyond the integers.
            ValueRef::Real(number) => Some(number.ceil() as i64),
            ValueRef::Text(_) | ValueRef::Blob(_) => Some(i64::MAX),
        }))
    }
}
