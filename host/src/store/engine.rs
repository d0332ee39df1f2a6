//! The seam between the records and a database engine.
//!
//! Owns what a record's statement needs: values go in, rows come out. Leaves transactions, types
//! of columns and the claim to the engine. A statement is text that every engine understands: its
//! parameters are `$1`, `$2`, …, and it says `RETURNING`, `ON CONFLICT` and `IS NOT DISTINCT FROM`.
//! Callers rely on this: a statement that fails may have ended the transaction, so nothing is tried
//! after it in another way.

use jiff::Timestamp;

use super::Error;
use super::written;

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
}

impl dyn Tx + '_ {
    /// The first row of a query, if there is one. A statement that returns what it has changed has
    /// changed all of it.
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

    /// The only column of the first row, if there is a row.
    pub(crate) fn one<T: FromCell>(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, Error> {
        self.row(sql, values, |row| row.get(0))
    }

    /// Whether a query finds a row.
    pub(crate) fn exists(&self, sql: &str, values: &[Value<'_>]) -> Result<bool, Error> {
        Ok(self.row(sql, values, |_| Ok(()))?.is_some())
    }
}

/// A value for a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
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
        Value::Text(self)
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
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
    fn cell(&self, column: usize) -> Result<Cell<'_>, Error>;
}

/// What a row has in a column. An orchestrator's columns may hold anything, and its text need not
/// be UTF-8.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
}

impl Row<'_> {
    /// A value of a column that the gate itself writes.
    pub(crate) fn get<T: FromCell>(self, column: usize) -> Result<T, Error> {
        let cell = self.0.cell(column)?;
        T::from_cell(cell).ok_or_else(|| Error::from(UnexpectedCell { column }))
    }

    /// A value for people: text as it is, anything else in SQL's notation.
    pub(crate) fn shown(self, column: usize) -> Result<Option<String>, Error> {
        Ok(self.0.cell(column)?.shown())
    }

    /// A time that another program may have written, if it can be read.
    pub(crate) fn time(self, column: usize) -> Result<Option<Timestamp>, Error> {
        Ok(written::time_in(self.0.cell(column)?))
    }

    /// An id that another program has written, if it is one.
    pub(crate) fn id(self, column: usize) -> Result<Option<i64>, Error> {
        Ok(i64::from_cell(self.0.cell(column)?))
    }
}

impl Cell<'_> {
    /// For people: text as it is, anything else in SQL's notation.
    pub(crate) fn shown(self) -> Option<String> {
        match self {
            Cell::Null => None,
            Cell::Integer(number) => Some(number.to_string()),
            Cell::Real(number) => Some(number.to_string()),
            Cell::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            Cell::Bytes(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

/// A type that a column of the gate's own can have.
pub(crate) trait FromCell: Sized {
    /// The value; none if the cell has another type.
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

impl FromCell for i64 {
    fn from_cell(cell: Cell<'_>) -> Option<i64> {
        match cell {
            Cell::Integer(number) => Some(number),
            _ => None,
        }
    }
}

impl FromCell for u32 {
    fn from_cell(cell: Cell<'_>) -> Option<u32> {
        i64::from_cell(cell)?.try_into().ok()
    }
}

impl FromCell for u64 {
    fn from_cell(cell: Cell<'_>) -> Option<u64> {
        i64::from_cell(cell)?.try_into().ok()
    }
}

impl FromCell for usize {
    fn from_cell(cell: Cell<'_>) -> Option<usize> {
        i64::from_cell(cell)?.try_into().ok()
    }
}

impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Option<bool> {
        Some(i64::from_cell(cell)? != 0)
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Option<String> {
        match cell {
            Cell::Text(text) => String::from_utf8(text.into()).ok(),
            _ => None,
        }
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Option<Vec<u8>> {
        match cell {
            Cell::Bytes(bytes) => Some(bytes.into()),
            _ => None,
        }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Option<Option<T>> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

/// A column of the gate's own has a value of another type, because another program has written it.
#[derive(Debug, thiserror::Error)]
#[error("column {column} of a row has a value of another type than the gate writes")]
pub(crate) struct UnexpectedCell {
    column: usize,
}
