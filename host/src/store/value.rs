//! Values of an orchestrator's rows, read without trusting their type.
//!
//! SQLite keeps any value in any column, and text that is not UTF-8. Nothing here fails on data:
//! what is no text is shown as text, and what is no number is placed where the database sorts it.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};

use crate::model::{TaskIdKind, task_id_kind};
use crate::printable::hex;

/// A value for people: text as it is, anything else in SQL's notation.
pub(super) struct Shown(pub Option<String>);

impl FromSql for Shown {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Shown> {
        Ok(Shown::of(value))
    }
}

impl Shown {
    fn of(value: ValueRef<'_>) -> Shown {
        Shown(match value {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Real(number) => Some(number.to_string()),
            ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Some(hex(bytes)),
        })
    }
}

/// A value as it is, to be compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    Null,
    Integer(i64),
    Real(f64),
    /// Not always UTF-8.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Raw {
    /// For people.
    pub(super) fn shown(&self) -> Option<String> {
        Shown::of(self.borrowed()).0
    }

    fn borrowed(&self) -> ValueRef<'_> {
        match self {
            Raw::Null => ValueRef::Null,
            Raw::Integer(number) => ValueRef::Integer(*number),
            Raw::Real(number) => ValueRef::Real(*number),
            Raw::Text(text) => ValueRef::Text(text),
            Raw::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }
}

impl FromSql for Raw {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Raw> {
        Ok(match value {
            ValueRef::Null => Raw::Null,
            ValueRef::Integer(number) => Raw::Integer(number),
            ValueRef::Real(number) => Raw::Real(number),
            ValueRef::Text(text) => Raw::Text(text.to_vec()),
            ValueRef::Blob(bytes) => Raw::Blob(bytes.to_vec()),
        })
    }
}

impl ToSql for Raw {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.borrowed()))
    }
}

/// An id, if it is one.
pub(super) struct ExactId(pub Option<i64>);

impl FromSql for ExactId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<ExactId> {
        Ok(ExactId(match value {
            ValueRef::Integer(number) => Some(number),
            _ => None,
        }))
    }
}

/// Where a job stands in the order of tasks: a number, and what it means.
pub(super) struct TaskOrder {
    pub number: i64,
    pub kind: TaskIdKind,
}

/// 2^63, the first number after every id. It is exact as a float.
const AFTER_EVERY_ID: f64 = 9_223_372_036_854_775_808.0;

impl FromSql for TaskOrder {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<TaskOrder> {
        let (number, kind) = match value {
            ValueRef::Null => (0, task_id_kind::NULL),
            ValueRef::Integer(number) => (number, task_id_kind::ID),
            ValueRef::Real(number) if number < AFTER_EVERY_ID => {
                // The conversion saturates below, which is right: no id is less than the least one.
                let next = number.ceil();
                let is_whole = next == number && number >= -AFTER_EVERY_ID;
                let kind = if is_whole {
                    task_id_kind::ID
                } else {
                    task_id_kind::BEFORE_ID
                };
                (next as i64, kind)
            }
            ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => {
                (0, task_id_kind::AFTER_EVERY_ID)
            }
        };
        Ok(TaskOrder { number, kind })
    }
}
