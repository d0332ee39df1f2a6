//! Values of an orchestrator's rows, read without trusting their type.
//!
//! Owns their conversion. SQLite stores any value in any column, and text that is not UTF-8.
//! Callers rely on this: nothing here fails on data. Other values are shown as text, and a value
//! that is not a number gets the place where the database sorts it.

use jiff::Timestamp;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use super::tx::{value_of, value_ref};
use crate::model::{TaskIdKind, task_id_kind};
use crate::store::engine::{FromValue, ToValue};
use crate::store::raw::Raw;
use crate::store::written::time_in;

/// A value for people: text unchanged, anything else in SQL's notation.
pub(crate) struct Shown(pub Option<String>);

impl FromSql for Shown {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Shown> {
        Ok(Shown(value_of(value).shown()))
    }
}

/// A time that another program may have written; none if it cannot be read.
pub(crate) struct Written(pub Option<Timestamp>);

impl FromSql for Written {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Written> {
        Ok(Written(time_in(value_of(value))))
    }
}

impl FromSql for Raw {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Raw> {
        Raw::from_value(value_of(value)).ok_or(FromSqlError::InvalidType)
    }
}

impl ToSql for Raw {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(value_ref(self.to_value())))
    }
}

/// A job's place in the order of tasks, as a number.
pub(crate) struct TaskOrder {
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
                // The conversion saturates at the lower end, which is right: no id is less than the
                // least integer.
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
