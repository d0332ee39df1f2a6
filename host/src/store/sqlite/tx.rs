//! The records' statements on SQLite.
//!
//! Owns how values are bound and rows are read. Leaves begin and end to `transaction`.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, Statement, ToSql};

use super::error::code;
use super::plans::plan;
use super::transaction::Transaction;
use crate::clause::Dialect;
use crate::store::Error;
use crate::store::engine::{Columns, Row, Tx, Value};

impl Tx for Connection {
    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, Error> {
        let mut statement = self.prepare_cached(sql)?;
        bind(&mut statement, values)?;
        Ok(statement.raw_execute()?)
    }

    fn query(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut statement = self.prepare_cached(sql)?;
        bind(&mut statement, values)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if !each(Row(row))? {
                break;
            }
        }
        Ok(())
    }

    fn plan(&self, query: &str) -> Result<Vec<String>, Error> {
        Ok(plan(self, query)?)
    }

    fn is_out_of_time(&self, error: &Error) -> bool {
        code(error) == Some(ErrorCode::OperationInterrupted)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn by_index(&self, index: &str) -> String {
        format!("INDEXED BY {index}")
    }

    fn then_join(&self) -> &'static str {
        // SQLite keeps the order of this join only (lang_select.html, "Special handling of CROSS
        // JOIN").
        "CROSS JOIN"
    }

    fn locking(&self) -> &'static str {
        ""
    }

    fn hold_repo(&self, _: &str) -> Result<(), Error> {
        // A transaction that writes is the only one.
        Ok(())
    }

    fn texts_of(&self, parameter: &str) -> String {
        format!("SELECT value FROM json_each({parameter})")
    }
}

impl Tx for Transaction<'_> {
    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, Error> {
        Tx::execute(&**self, sql, values)
    }

    fn query(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        Tx::query(&**self, sql, values, each)
    }

    fn plan(&self, query: &str) -> Result<Vec<String>, Error> {
        Tx::plan(&**self, query)
    }

    fn is_out_of_time(&self, error: &Error) -> bool {
        Tx::is_out_of_time(&**self, error)
    }

    fn dialect(&self) -> Dialect {
        Tx::dialect(&**self)
    }

    fn by_index(&self, index: &str) -> String {
        Tx::by_index(&**self, index)
    }

    fn then_join(&self) -> &'static str {
        Tx::then_join(&**self)
    }

    fn locking(&self) -> &'static str {
        Tx::locking(&**self)
    }

    fn hold_repo(&self, repo: &str) -> Result<(), Error> {
        Tx::hold_repo(&**self, repo)
    }

    fn texts_of(&self, parameter: &str) -> String {
        Tx::texts_of(&**self, parameter)
    }
}

/// SQLite numbers `$1`, `$2`, … in their order in the text, so they are bound by name. A parameter
/// without a value would be NULL, so each needs one.
fn bind(statement: &mut Statement<'_>, values: &[Value<'_>]) -> Result<(), Error> {
    let parameters = statement.parameter_count();
    if values.len() != parameters || parameters > NAMES.len() {
        let error = rusqlite::Error::InvalidParameterCount(values.len(), parameters);
        return Err(error.into());
    }
    for (value, name) in values.iter().zip(NAMES) {
        let index = statement
            .parameter_index(name)?
            .ok_or_else(|| rusqlite::Error::InvalidParameterName(name.into()))?;
        statement.raw_bind_parameter(index, value)?;
    }
    Ok(())
}

const NAMES: [&str; 24] = [
    "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15",
    "$16", "$17", "$18", "$19", "$20", "$21", "$22", "$23", "$24",
];

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(value_ref(*self)))
    }
}

impl Columns for rusqlite::Row<'_> {
    fn value(&self, column: usize) -> Result<Value<'_>, Error> {
        Ok(value_of(self.get_ref(column)?))
    }
}

/// A value of the seam, as SQLite has it.
pub(crate) fn value_ref(value: Value<'_>) -> ValueRef<'_> {
    match value {
        Value::Null => ValueRef::Null,
        Value::Integer(number) => ValueRef::Integer(number),
        Value::Real(number) => ValueRef::Real(number),
        Value::Text(text) => ValueRef::Text(text),
        Value::Bytes(bytes) => ValueRef::Blob(bytes),
    }
}

/// A value of SQLite's, as the seam has it.
pub(crate) fn value_of(value: ValueRef<'_>) -> Value<'_> {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(text),
        ValueRef::Blob(bytes) => Value::Bytes(bytes),
    }
}
