//! Values of an orchestrator's rows, read without trusting their type.
//!
//! Owns their conversion. SQLite stores any value in any column, and text that is not UTF-8.
//! Callers rely on this: nothing here fails on data. Other values are shown as text, and a value
//! that is not a number gets the place where the database sorts it.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use super::tx::{value_of, value_ref};
use crate::store::engine::{FromValue, ToValue};
use crate::store::raw::Raw;

/// A value for people: text unchanged, anything else in SQL's notation.
pub(crate) struct Shown(pub Option<String>);

impl FromSql for Shown {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Shown> {
        Ok(Shown(value_of(value).shown()))
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
