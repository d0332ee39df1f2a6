//! Rows of a case as rows of a table, and back.
//!
//! Owns what each JSON value becomes in the database. Types are not checked: a case may hold what
//! an orchestrator could have written, such as a text where an id belongs.

use serde_json::Value;

use super::Error;
use super::case::Row;
use crate::clause::Table;
use crate::store::Cell;

/// Refuses a row with an unknown column: the value would be dropped, and the case prove nothing.
pub(super) fn check_columns(table: Table, row: &Row) -> Result<(), Error> {
    let columns: Vec<_> = table.column_names().collect();
    match row.keys().find(|key| !columns.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(Error::Value(format!(
            "`{}` is not a column of `{}`: write `{}`",
            key.escape_debug(),
            table.name(),
            columns.join("`, `")
        ))),
    }
}

/// The values of a row. A column that it lacks is null, except for a job's status: `queued`.
pub(super) fn cells(table: Table, row: &Row) -> Result<Vec<Cell>, Error> {
    let cells = table.column_names().map(|column| match row.get(column) {
        None if column == "status" => Ok(Cell::Text("queued".into())),
        value => cell(column, value.unwrap_or(&Value::Null)),
    });
    cells.collect()
}

pub(super) fn cell(column: &str, value: &Value) -> Result<Cell, Error> {
    let unusable = || Error::Value(format!("`{column}` is `{value}`: no column can hold that"));
    Ok(match value {
        Value::Null => Cell::Null,
        Value::Bool(on) => Cell::Integer((*on).into()),
        Value::Number(number) => match (number.as_i64(), number.is_f64()) {
            (Some(integer), _) => Cell::Integer(integer),
            (None, true) => Cell::Real(number.as_f64().ok_or_else(unusable)?),
            (None, false) => return Err(unusable()),
        },
        Value::String(text) => Cell::Text(text.clone()),
        Value::Array(_) | Value::Object(_) => return Err(unusable()),
    })
}

pub(super) fn json_value(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => number.into(),
        Cell::Real(number) => number.into(),
        Cell::Text(text) => text.into(),
    }
}
