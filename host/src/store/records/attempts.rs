//! The attempts that a job's own columns no longer tell of: the job was given back, put off, tried
//! again or requeued.
//!
//! Owns their rows, and how many are kept. Leaves the last attempt of a job to its columns, and when
//! an attempt ends to `store::job`. Callers rely on this: a row is written in the transaction that
//! ends the attempt, before the job loses its worker; and an attempt is either in a row or
//! in its job's columns, never in both.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::store::engine::{Tx, Value, values};
use crate::store::job::IS_RUNNING;
use crate::store::{Error, sql_time};

/// How many attempts are kept: the last ones.
const KEPT: i64 = 100_000;

/// How many rows one change forgets, besides as many as it adds.
const STEP: usize = 100;

/// How an attempt ended. The last three were the end of its job; there is a row of such an attempt
/// if an operator has queued the job again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// The worker gave the job back.
    GivenBack,
    /// The worker gave it back until later.
    PutOff,
    /// It failed, and the job is tried again.
    TriedAgain,
    /// The worker sent no heartbeat in time.
    LeaseOver,
    /// An operator took the job from its worker.
    Requeued,
    /// The job was done.
    Done,
    /// The job failed.
    Failed,
    /// The job was cancelled while a worker had it.
    Cancelled,
}

impl AttemptEnd {
    const ALL: [AttemptEnd; 8] = [
        AttemptEnd::GivenBack,
        AttemptEnd::PutOff,
        AttemptEnd::TriedAgain,
        AttemptEnd::LeaseOver,
        AttemptEnd::Requeued,
        AttemptEnd::Done,
        AttemptEnd::Failed,
        AttemptEnd::Cancelled,
    ];

    /// Its word in the database. The last three are those of a job's status.
    pub fn name(self) -> &'static str {
        match self {
            AttemptEnd::GivenBack => "given_back",
            AttemptEnd::PutOff => "put_off",
            AttemptEnd::TriedAgain => "tried_again",
            AttemptEnd::LeaseOver => "lease_over",
            AttemptEnd::Requeued => "requeued",
            AttemptEnd::Done => "done",
            AttemptEnd::Failed => "failed",
            AttemptEnd::Cancelled => "cancelled",
        }
    }

    /// The end that a word means.
    pub(crate) fn of(name: &str) -> Option<AttemptEnd> {
        AttemptEnd::ALL.into_iter().find(|end| end.name() == name)
    }
}

/// Attempts that end.
pub(crate) struct Ended<'a> {
    /// The condition of their jobs.
    which: Cow<'a, str>,
    now: Timestamp,
    /// How they end, as an expression.
    outcome: String,
    /// When they end, as an expression; `$2` is now.
    ended_at: &'static str,
}

impl Ended<'_> {
    /// The attempts of these jobs end now, or with their leases.
    pub(crate) fn of(end: AttemptEnd, which: &str, now: Timestamp) -> Ended<'_> {
        Ended {
            which: which.into(),
            now,
            outcome: format!("'{}'", end.name()),
            ended_at: match end {
                // The next claim finds that it was over, perhaps hours later.
                AttemptEnd::LeaseOver => {
                    "CASE WHEN gate_lease_until > gate_claimed_at THEN gate_lease_until ELSE $2 END"
                }
                _ => "$2",
            },
        }
    }

    /// These jobs go back to the queue. An attempt may have ended before, if the gate has ended it.
    pub(crate) fn requeued(which: &str, now: Timestamp) -> Ended<'static> {
        Ended {
            which: format!("{which} AND ({IS_RUNNING} OR gate_ended_at IS NOT NULL)").into(),
            now,
            outcome: format!(
                "CASE WHEN {IS_RUNNING} THEN '{}' ELSE status END",
                AttemptEnd::Requeued.name()
            ),
            ended_at: "CASE WHEN status = 'running' THEN $2 ELSE gate_ended_at END",
        }
    }
}

/// Keeps what the columns of jobs tell of their attempts. `$1` of the condition is `key`; the error
/// is that of the job, unless another is given.
pub(crate) fn keep(
    tx: &dyn Tx,
    ended: Ended<'_>,
    key: &[Value<'_>],
    error: Option<&str>,
) -> Result<(), Error> {
    let Ended {
        which,
        now,
        outcome,
        ended_at,
    } = ended;
    let sql = format!(
        "INSERT INTO serial_gate_attempt
            (job, repo, attempt, worker, claimed_at, ended_at, outcome, error)
         SELECT id, repo, CAST(coalesce(gate_attempt, 0) AS BIGINT), gate_worker, gate_claimed_at,
            {ended_at}, {outcome}, coalesce($3, gate_error)
         FROM jobs WHERE {which} AND gate_worker IS NOT NULL AND gate_claimed_at IS NOT NULL {}",
        tx.locking()
    );
    let now = sql_time(now);
    let more = values![now, error];
    let values: Vec<Value<'_>> = key.iter().chain(more).copied().collect();
    let added = tx.execute(&sql, &values)?;
    if added > 0 {
        forget(tx, added.saturating_add(STEP))?;
    }
    Ok(())
}

/// Forgets some of the attempts that are too many.
fn forget(tx: &dyn Tx, most: usize) -> Result<(), Error> {
    let sql = "DELETE FROM serial_gate_attempt WHERE id IN (
        SELECT id FROM serial_gate_attempt
        WHERE id <= (SELECT max(id) FROM serial_gate_attempt) - $1 ORDER BY id LIMIT $2)";
    tx.execute(sql, values![KEPT, most]).map(drop)
}
