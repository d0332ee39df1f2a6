//! Transactions on PostgreSQL.
//!
//! Owns begin and end, and what holds for one transaction only: READ COMMITTED, time limits, and
//! how safely its commit is written. All of it is sent with `BEGIN`, in one round trip. Leaves the
//! repo's lock to the triggers and the claim's function, which is a transaction of its own. Callers
//! rely on this: a step that returns an error has left no trace, unless the error says that this is
//! unknown; and a commit counts only if the server has said so.

use std::time::Duration;

use postgres::Client;

use super::connection::Open;
use super::error::lost;
use super::one_state;
use super::tx::Session;
use crate::store::{Durability, Error, Problem};

/// How long a change waits for another program's lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a read does: only who locks a whole table keeps it waiting.
const READ_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long another session waits for this one, if this process stops within a transaction.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A time is sent as a text in UTC, and an orchestrator's column may keep it with a zone.
/// Rows that a policy of the server hides would be missing for the rule: a statement fails instead.
/// Each statement finds a few rows. Where the server takes them for many, it would compile the
/// statement for longer than it runs.
const SESSION: &str =
    "SET LOCAL timezone = 'UTC'; SET LOCAL row_security = off; SET LOCAL jit = off;";

/// Whether a change waits for the locks of other sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    ForOthers,
    ForNobody,
}

/// How a transaction is begun.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A change, committed this safely.
    Change {
        durability: Durability,
        waits: Waits,
    },
    /// Reads, each of the state that it finds.
    Reads,
    /// Several reads of one state, in this time.
    OneState { budget: Option<Duration> },
}

impl Kind {
    pub(super) fn begin(&self) -> String {
        let lock = match self {
            Kind::Change {
                waits: Waits::ForNobody,
                ..
            } => Duration::from_millis(1),
            Kind::Change {
                waits: Waits::ForOthers,
                ..
            } => LOCK_TIMEOUT,
            Kind::Reads | Kind::OneState { .. } => READ_LOCK_TIMEOUT,
        };
        let limits = [
            limit("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
            limit("lock_timeout", lock),
        ]
        .concat();
        match *self {
            Kind::Reads => {
                format!("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; {SESSION} {limits}")
            }
            Kind::OneState { budget } => {
                let budget = budget.map(|budget| limit("statement_timeout", budget));
                format!(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {SESSION} {limits} {}",
                    budget.unwrap_or_default()
                )
            }
            Kind::Change { durability, .. } => format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; {SESSION} {limits} {}",
                safety(durability)
            ),
        }
    }
}

/// Sets a time limit for this transaction. The server takes 0 to mean none.
pub(super) fn limit(name: &str, time: Duration) -> String {
    format!(
        "SET LOCAL {name} = {};",
        time.as_millis().clamp(1, 2_147_483_647)
    )
}

/// A server that waits for a standby at each commit keeps its own setting.
fn safety(durability: Durability) -> &'static str {
    match durability {
        Durability::Normal => "SET LOCAL synchronous_commit = 'off'",
        Durability::Full => {
            "SELECT set_config('synchronous_commit', 'on', TRUE)
             WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        }
    }
}

/// Runs a step in one transaction, which is rolled back when the step fails.
pub(crate) fn run<T>(
    open: &mut Open,
    kind: &Kind,
    step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let only_reads = !matches!(kind, Kind::Change { .. });
    if only_reads && open.keeps_state {
        let budget = match kind {
            Kind::OneState { budget } => *budget,
            _ => None,
        };
        return one_state::run(open, budget, step);
    }
    one_state::end(open);
    open.client.batch_execute(&kind.begin())?;
    let session = match only_reads {
        true => Session::that_reads(&mut open.client, &open.statements),
        false => Session::on(&mut open.client, &open.statements),
    };
    let result = step(&session);
    let has_failed = session.has_failed();
    match result {
        // There is nothing to commit, and the step may have an answer although a statement has
        // failed.
        Ok(done) if only_reads && has_failed => {
            undo(&mut open.client);
            Ok(done)
        }
        // The server answers a COMMIT with a rollback, and with no error, once a statement has
        // failed.
        Ok(_) if has_failed => {
            undo(&mut open.client);
            Err(Error::GroupEnded)
        }
        Ok(done) => {
            open.notices.take_warning();
            let committed = open.client.batch_execute("COMMIT");
            committed.map_err(|cause| lost(cause.into()))?;
            match open.notices.take_warning() {
                Some(warning) => Err(Problem::NotReplicated(warning).unnamed()),
                None => Ok(done),
            }
        }
        Err(error) => {
            undo(&mut open.client);
            Err(error)
        }
    }
}

/// Runs a statement that is a transaction of its own.
pub(crate) fn run_one<T>(
    open: &mut Open,
    statement: impl FnOnce(&Session<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    one_state::end(open);
    open.notices.take_warning();
    let done = statement(&Session::on(&mut open.client, &open.statements)).map_err(lost)?;
    match open.notices.take_warning() {
        Some(warning) => Err(Problem::NotReplicated(warning).unnamed()),
        None => Ok(done),
    }
}

/// Runs a step in a transaction that is rolled back whatever comes of it.
pub(crate) fn run_and_undo<T>(
    open: &mut Open,
    kind: &Kind,
    step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    one_state::end(open);
    open.client.batch_execute(&kind.begin())?;
    let result = step(&Session::on(&mut open.client, &open.statements));
    undo(&mut open.client);
    result
}

/// Rolls back. If that fails, the connection is gone, and the transaction with it.
pub(super) fn undo(client: &mut Client) {
    if let Err(error) = client.batch_execute("ROLLBACK") {
        tracing::warn!("a change was not undone by this process but by the server: {error}");
    }
}
