//! The seam between the records and a database engine.
//!
//! Owns what a record's statement needs: values go in, rows come out. Leaves transactions, column
//! types and the claim to the engine. A statement is text that every engine understands: its
//! parameters are `$1`, `$2`, …, and it uses `RETURNING`, `ON CONFLICT` and `IS NOT DISTINCT FROM`.
//! Callers rely on this: a failed statement may have ended the transaction, so no other way is
//! tried after it.

use std::borrow::Cow;

use jiff::Timestamp;

use super::Error;
use super::written;
use crate::clause::Dialect;
use crate::printable::hex;

/// An engine's own error.
pub type EngineError = Box<dyn std::error::Error + Send + Sync>;

/// A connection on which statements run, in a transaction or outside of one.
pub(crate) trait Tx {
    /// Runs a change and returns how many rows it changed.
    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, Error>;

    /// Runs a query and gives its rows to `each`, in order, as long as `each` returns true.
    fn query(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error>;

    /// The steps of the database's plan for a query. They do not depend on bound values.
    fn plan(&self, query: &str) -> Result<Vec<String>, Error>;

    /// Whether a statement failed because its time was over.
    fn is_out_of_time(&self, error: &Error) -> bool;

    /// How a clause is written for this engine.
    fn dialect(&self) -> Dialect;

    /// The words that pin the table before them to an index, where the engine might choose another.
    fn by_index(&self, index: &str) -> String;

    /// The join of a table whose rows are to be looked up for each row of what comes before it.
    fn then_join(&self) -> &'static str;

    /// The words after a query that lock its rows, where another transaction could change them. A
    /// step that only reads locks none.
    fn locking(&self) -> &'static str;

    /// Keeps claims of a repo away until the transaction ends. A task's id is given out before its
    /// row has the lock, and meanwhile a later task could start.
    fn hold_repo(&self, repo: &str) -> Result<(), Error>;

    /// A sub-select over the texts of a JSON list, which is a parameter: for `stage IN (…)`.
    fn texts_of(&self, parameter: &str) -> String;
}

impl dyn Tx + '_ {
    /// The first row of a query, if any. A change with `RETURNING` is complete, although only its
    /// first row is read.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let (mut read, mut found) = (Some(read), None);
        self.query(sql, values, &mut |row| {
            found = read.take().map(|read| read(row)).transpose()?;
            Ok(false)
        })?;
        Ok(found)
    }

    /// The row of a query that always has a row, such as a count.
    pub(crate) fn only<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.row(sql, values, read)?
            .ok_or_else(|| Error::from(Unexpected::NoRow))
    }

    /// All rows of a query, in order.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut rows = Vec::new();
        self.query(sql, values, &mut |row| {
            rows.push(read(row)?);
            Ok(true)
        })?;
        Ok(rows)
    }

    /// Whether a query finds a row.
    pub(crate) fn exists(&self, sql: &str, values: &[Value<'_>]) -> Result<bool, Error> {
        Ok(self.row(sql, values, |_| Ok(()))?.is_some())
    }
}

/// A value for a parameter, or of a column. An orchestrator's columns may hold anything, and its
/// text need not be UTF-8.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
}

/// The values of a statement, for `$1`, `$2`, …: `values![id, name]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::store::engine::ToValue::to_value(&$value)),*]
    };
}
pub(crate) use values;

/// What a parameter can be.
pub(crate) trait ToValue {
    fn to_value(&self) -> Value<'_>;
}

macro_rules! integers {
    ($($integer:ty),*) => {
        $(impl ToValue for $integer {
            fn to_value(&self) -> Value<'_> {
                Value::Integer((*self).into())
            }
        })*
    };
}
integers!(i64, u32, bool);

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self.as_bytes())
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self.as_bytes())
    }
}

impl ToValue for Cow<'_, str> {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self.as_bytes())
    }
}

impl ToValue for usize {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

/// A row of a result.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a>(pub &'a dyn Columns);

/// The columns of a row, as an engine gives them.
pub(crate) trait Columns {
    fn value(&self, column: usize) -> Result<Value<'_>, Error>;
}

impl Row<'_> {
    /// A value of a column that the gate itself writes.
    pub(crate) fn get<T: FromValue>(self, column: usize) -> Result<T, Error> {
        let value = self.0.value(column)?;
        T::from_value(value).ok_or_else(|| Error::from(Unexpected::Type { column }))
    }

    /// A value for people: text unchanged, anything else in SQL's notation.
    pub(crate) fn shown(self, column: usize) -> Result<Option<String>, Error> {
        Ok(self.0.value(column)?.shown())
    }

    /// The bytes of a text or a blob; anything else has none.
    pub(crate) fn bytes(self, column: usize) -> Result<Vec<u8>, Error> {
        Ok(match self.0.value(column)? {
            Value::Text(bytes) | Value::Bytes(bytes) => bytes.to_vec(),
            Value::Null | Value::Integer(_) | Value::Real(_) => Vec::new(),
        })
    }

    /// A time that another program may have written, if it can be read.
    pub(crate) fn time(self, column: usize) -> Result<Option<Timestamp>, Error> {
        Ok(written::time_in(self.0.value(column)?))
    }

    /// The same as RFC 3339 has it; what cannot be read is shown as it is.
    pub(crate) fn moment(self, column: usize) -> Result<Option<String>, Error> {
        Ok(match self.time(column)? {
            Some(time) => Some(time.to_string()),
            None => self.shown(column)?,
        })
    }

    /// An integer that another program has written, if it is one.
    pub(crate) fn id(self, column: usize) -> Result<Option<i64>, Error> {
        Ok(i64::from_value(self.0.value(column)?))
    }
}

impl Value<'_> {
    /// For people: text unchanged, anything else in SQL's notation.
    pub(crate) fn shown(self) -> Option<String> {
        match self {
            Value::Null => None,
            Value::Integer(number) => Some(number.to_string()),
            Value::Real(number) => Some(number.to_string()),
            Value::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            Value::Bytes(bytes) => Some(hex(bytes)),
        }
    }
}

/// A type of the gate's own columns.
pub(crate) trait FromValue: Sized {
    /// The value; none if it has another type.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: Value<'_>) -> Option<i64> {
        match value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }
}

impl FromValue for u32 {
    fn from_value(value: Value<'_>) -> Option<u32> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for u64 {
    fn from_value(value: Value<'_>) -> Option<u64> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for usize {
    fn from_value(value: Value<'_>) -> Option<usize> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<bool> {
        Some(i64::from_value(value)? != 0)
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<String> {
        match value {
            Value::Text(text) => String::from_utf8(text.into()).ok(),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Option<Vec<u8>> {
        match value {
            Value::Bytes(bytes) => Some(bytes.into()),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Option<T>> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// A value that only another program can have written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unexpected {
    #[error("column {column} of a row has a value of another type than the gate writes")]
    Type { column: usize },
    #[error("a row has a text that the gate does not write")]
    Json(#[from] serde_json::Error),
    #[error("a query that always has a row has none")]
    NoRow,
}
