//! Several reads of one state: a transaction that stays open between them.
//!
//! Owns its begin and end, and how a step runs in it. Callers rely on this: whatever a step sets or
//! fails at, the next one finds the transaction as it was.

use std::time::Duration;

use super::connection::Open;
use super::engine::Postgres;
use super::transaction::{Kind, limit, undo};
use super::tx::Session;
use crate::store::Error;

impl Postgres {
    /// From now on, reads are of one state, until it is let go of. False if they are already.
    pub(crate) fn keep_state(&mut self) -> Result<bool, Error> {
        self.on_connection(begin)
    }

    /// Reads are of the newest state again. A change does this first.
    pub(crate) fn let_go_of_state(&mut self) {
        if let Some(open) = &mut self.open {
            end(open);
        }
    }
}

/// Begins a transaction in which all reads are of one state. False if there is one.
fn begin(open: &mut Open) -> Result<bool, Error> {
    if open.keeps_state {
        return Ok(false);
    }
    let kind = Kind::OneState { budget: None };
    open.client.batch_execute(&kind.begin())?;
    open.keeps_state = true;
    Ok(true)
}

/// Ends that transaction.
pub(super) fn end(open: &mut Open) {
    if std::mem::take(&mut open.keeps_state) {
        undo(&mut open.client);
    }
}

/// Runs a step that only reads in that transaction. What it set is undone, and a statement of it
/// that fails ends nothing else.
pub(super) fn run<T>(
    open: &mut Open,
    budget: Option<Duration>,
    step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let budget = budget.map(|budget| limit("statement_timeout", budget));
    let begin = format!("SAVEPOINT step; {}", budget.unwrap_or_default());
    open.client.batch_execute(&begin)?;
    let result = step(&Session::that_reads(&mut open.client, &open.statements));
    let undo = "ROLLBACK TO SAVEPOINT step; RELEASE SAVEPOINT step";
    match open.client.batch_execute(undo) {
        Ok(()) => result,
        Err(error) => {
            end(open);
            result.and(Err(error.into()))
        }
    }
}
