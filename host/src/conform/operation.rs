//! The operations of a case, one after the other.
//!
//! Owns their names and results, which are the reference's: that is why a refused statement has the
//! name of a Python exception. What the gate does goes through the queue under test; what an
//! orchestrator does is plain SQL on its own connection.

use serde_json::{Value, json};

use super::case::Row;
use super::row::{cell, cells};
use super::world::World;
use super::{Error, Through};
use crate::clause::Table;
use crate::store::{Reason, Refused};

impl World {
    /// Runs an operation and returns its result. A statement that the database refuses is a result.
    pub(super) fn operate(
        &mut self,
        operation: &Row,
        through: Through<'_>,
    ) -> Result<Value, Error> {
        match self.try_operate(operation, through) {
            Err(Error::Refused(Refused { reason, message })) => {
                let kind = match reason {
                    Reason::Constraint => "IntegrityError",
                    Reason::TooLarge => "DataError",
                    Reason::Statement => "OperationalError",
                    Reason::Database => return Err(Refused { reason, message }.into()),
                };
                Ok(json!({ "error": format!("{kind}: {message}") }))
            }
            result => result,
        }
    }

    fn try_operate(&mut self, operation: &Row, through: Through<'_>) -> Result<Value, Error> {
        let repo = text(operation, "repo")?;
        match text(operation, "op")?.unwrap_or_default() {
            "set_freeze" => {
                let (reason, work_item) =
                    (text(operation, "reason")?, text(operation, "work_item_id")?);
                Ok(repo
                    .is_some_and(|repo| self.freeze(repo, reason, work_item))
                    .into())
            }
            "clear_freeze" => match repo {
                None | Some("") => Ok(json!(0)),
                Some(repo) => Ok(self.unfreeze(repo)?.into()),
            },
            "claim" => Ok(json!(self.claim(through)?)),
            "finish_task" => self.update(
                "UPDATE tasks SET stage = $1 WHERE id = $2",
                operation,
                json!("done"),
            ),
            "set_stage" => {
                let stage = operation.get("stage").cloned().unwrap_or_default();
                self.update(
                    "UPDATE tasks SET stage = $1 WHERE id = $2",
                    operation,
                    stage,
                )
            }
            "finish_job" => {
                let status = operation
                    .get("status")
                    .cloned()
                    .unwrap_or_else(|| json!("done"));
                self.update(
                    "UPDATE jobs SET status = $1 WHERE id = $2",
                    operation,
                    status,
                )
            }
            "enqueue" => self.add(Table::Jobs, operation),
            "create_task" => self.add(Table::Tasks, operation),
            "settings" => {
                self.set_settings(operation)?;
                Ok(Value::Null)
            }
            "has_active" => {
                let except = operation.get("exclude").and_then(Value::as_i64);
                Ok(self.has_active(repo, except)?.into())
            }
            "is_frozen" => Ok(self.queue.is_frozen(repo).into()),
            "applies" => Ok(self.queue.applies(repo).into()),
            "clause" => self.clause(),
            "claimable" => Ok(json!(self.claimable(through)?)),
            "snapshot" => Ok(self.snapshot()),
            unknown => Err(Error::Value(format!(
                "there is no operation `{}`",
                unknown.escape_debug()
            ))),
        }
    }

    fn update(&mut self, sql: &str, operation: &Row, value: Value) -> Result<Value, Error> {
        let id = cell("id", operation.get("id").unwrap_or(&Value::Null))?;
        let values = vec![cell("value", &value)?, id];
        Ok(self.outsider.execute(sql, values)?.into())
    }

    fn add(&mut self, table: Table, row: &Row) -> Result<Value, Error> {
        let id = self.outsider.insert(table, cells(table, row)?)?;
        Ok(id.into())
    }
}

fn text<'a>(operation: &'a Row, key: &str) -> Result<Option<&'a str>, Error> {
    match operation.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Error::Value(format!(
            "`{key}` is `{other}`: write a text or null"
        ))),
    }
}
