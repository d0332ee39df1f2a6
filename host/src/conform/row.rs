//! Rows of a case as rows of a table, and back.
//!
//! Owns what each JSON value becomes in the database. Types are not checked: a case may hold what
//! an orchestrator could have written, such as a text where an id belongs.

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;
use serde_json::Value;

use super::Error;
use super::case::Row;

/// The columns of a task.
pub(super) const TASK: [&str; 5] = ["id", "repo", "stage", "work_item_id", "gate_label"];

/// The columns of a job.
pub(super) const JOB: [&str; 5] = ["id", "task_id", "repo", "agent", "status"];

/// The columns of a freeze.
pub(super) const FREEZE: [&str; 6] = [
    "id",
    "repo",
    "frozen_at",
    "cleared_at",
    "reason",
    "work_item_id",
];

/// Refuses a row with a column that there is not: it would be dropped, and the case prove nothing.
pub(super) fn check_columns(table: &str, columns: &[&str], row: &Row) -> Result<(), Error> {
    match row.keys().find(|key| !columns.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let columns = columns.join("`, `");
            Err(Error::Value(format!(
                "`{}` is no column of `{table}`: write `{columns}`",
                key.escape_debug()
            )))
        }
    }
}

/// Inserts a row; a column that it does not have is null, but a job's status is `queued`.
pub(super) fn insert(
    connection: &Connection,
    table: &str,
    columns: &[&str],
    row: &Row,
) -> Result<i64, Error> {
    let values: Result<Vec<SqlValue>, Error> = columns
        .iter()
        .map(|column| match row.get(*column) {
            None if *column == "status" => Ok(SqlValue::Text("queued".into())),
            value => sql_value(column, value.unwrap_or(&Value::Null)),
        })
        .collect();
    let places = vec!["?"; columns.len()].join(", ");
    let mut statement = connection.prepare_cached(&format!(
        "INSERT INTO {table} ({}) VALUES ({places})",
        columns.join(", ")
    ))?;
    statement.execute(rusqlite::params_from_iter(values?))?;
    Ok(connection.last_insert_rowid())
}

pub(super) fn sql_value(column: &str, value: &Value) -> Result<SqlValue, Error> {
    let unusable = || Error::Value(format!("`{column}` is `{value}`: no column can hold that"));
    Ok(match value {
        Value::Null => SqlValue::Null,
        Value::Bool(on) => SqlValue::Integer((*on).into()),
        Value::Number(number) => match (number.as_i64(), number.is_f64()) {
            (Some(integer), _) => SqlValue::Integer(integer),
            (None, true) => SqlValue::Real(number.as_f64().ok_or_else(unusable)?),
            (None, false) => return Err(unusable()),
        },
        Value::String(text) => SqlValue::Text(text.clone()),
        Value::Array(_) | Value::Object(_) => return Err(unusable()),
    })
}

pub(super) fn json_value(value: SqlValue) -> Value {
    match value {
        SqlValue::Null | SqlValue::Blob(_) => Value::Null,
        SqlValue::Integer(number) => number.into(),
        SqlValue::Real(number) => number.into(),
        SqlValue::Text(text) => text.into(),
    }
}
