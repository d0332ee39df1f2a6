//! Who holds a claim: the caller with its token.
//!
//! Owns the comparison of tokens, and the row in the audit when a token is refused: a worker is
//! busy with another's job. Leaves what a holder may do to `jobs` and `task_end`. Callers rely on
//! this: a token is valid only for the job of its claim, until the claim ends; after that it still
//! gives the outcome, until the next claim of the job.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::audit::{self, AuditRow};
use super::jobs::Claim;
use crate::store::engine::{Tx, values};
use crate::store::time::latest;
use crate::store::token::is_token;
use crate::store::{Actor, Error, Store, sql_time};

impl Store {
    /// Makes a change for a caller that shows a token. A refused token gets a row in the audit.
    pub(crate) fn writing_for_a_holder<T>(
        &mut self,
        actor: Actor<'_>,
        step: impl FnOnce(&dyn Tx) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = self.write(step);
        let refused = match &result {
            Err(Error::StaleToken { id }) => Refused::Job(*id),
            Err(Error::TokenOfAnother { task }) => Refused::Task(*task),
            _ => return result,
        };
        if let Err(error) = self.write_alone(|tx| note_refusal(tx, actor, refused)) {
            tracing::warn!("a token that was refused is not in the audit: {error}");
        }
        result
    }
}

/// What a token was refused for.
#[derive(Clone, Copy)]
enum Refused {
    Job(i64),
    Task(i64),
}

/// Refuses a claim that is no longer valid, for a change that only its holder may make.
pub(crate) fn check_claim(
    tx: &dyn Tx,
    claim: Claim<'_>,
    change: &'static str,
) -> Result<(), Error> {
    match holding(tx, claim, change)? {
        Holding::Live => Ok(()),
        Holding::Ended(outcome) => Err(ended(claim, outcome)),
    }
}

/// What the holder of a right token holds.
pub(crate) enum Holding {
    /// The job.
    Live,
    /// What the job ended as.
    Ended(String),
}

pub(crate) fn holding(
    tx: &dyn Tx,
    claim: Claim<'_>,
    change: &'static str,
) -> Result<Holding, Error> {
    let Claim { job: id, token } = claim;
    let ClaimRow {
        status,
        token: given,
        outcome,
        ..
    } = claim_row(tx, id)?;
    let is_running = status.as_deref() == Some("running");
    match (given, outcome) {
        (Some(given), outcome) if is_token(token, &given) => match outcome {
            Some(outcome) => Ok(Holding::Ended(outcome)),
            None if is_running => Ok(Holding::Live),
            // Another program has changed its status.
            None => Err(wrong_status(id, status.as_deref(), change, "running")),
        },
        (None, _) if is_running => Err(Error::NotClaimedHere { id }),
        (None, _) if status.as_deref() != Some("queued") => {
            Err(wrong_status(id, status.as_deref(), change, "running"))
        }
        _ => Err(Error::StaleToken { id }),
    }
}

pub(crate) fn ended(claim: Claim<'_>, outcome: String) -> Error {
    Error::Ended {
        id: claim.job,
        outcome,
    }
}

/// What a job's row has about its claim.
pub(crate) struct ClaimRow {
    pub status: Option<String>,
    pub token: Option<String>,
    pub outcome: Option<String>,
    pub attempt: i64,
}

/// Reads it. A change also keeps others from changing it until its transaction ends.
pub(crate) fn claim_row(tx: &dyn Tx, id: i64) -> Result<ClaimRow, Error> {
    let row = tx.row(
        &format!(
            "SELECT status, gate_token, gate_outcome, CAST(coalesce(gate_attempt, 0) AS BIGINT)
             FROM jobs WHERE id = $1 {}",
            tx.locking()
        ),
        values![id],
        |row| {
            Ok(ClaimRow {
                status: row.shown(0)?,
                token: row.shown(1)?,
                outcome: row.shown(2)?,
                attempt: row.get(3)?,
            })
        },
    );
    row?.ok_or(Error::NoJob { id })
}

/// At most one row a minute for a job and a name, so that a worker that keeps trying does not fill
/// the audit.
fn note_refusal(tx: &dyn Tx, actor: Actor<'_>, refused: Refused) -> Result<(), Error> {
    let (subject, query, id) = match refused {
        Refused::Job(id) => (
            format!("job {id}"),
            "SELECT repo FROM jobs WHERE id = $1",
            id,
        ),
        Refused::Task(id) => (
            format!("task {id}"),
            "SELECT repo FROM tasks WHERE id = $1",
            id,
        ),
    };
    let repo: Option<String> = tx.row(query, values![id], |row| row.shown(0))?.flatten();
    let minute = SignedDuration::from_mins(1);
    let since = sql_time(actor.now.checked_sub(minute).unwrap_or(Timestamp::MIN));
    let is_known = tx.exists(
        "SELECT 1 FROM serial_gate_audit
             WHERE repo IS NOT DISTINCT FROM $1 AND action = 'token refused' AND subject = $2
             AND who = $3
                AND at > $4 AND at <= $5",
        values![
            repo,
            subject,
            actor.who,
            since,
            latest(actor.now, Duration::ZERO)
        ],
    )?;
    if is_known {
        return Ok(());
    }
    let row = AuditRow {
        action: "token refused",
        repo: repo.as_deref(),
        subject,
        before: None,
        after: None,
    };
    let why = "the token is not the one of a claim of it";
    audit::write_down(tx, Actor { why, ..actor }, row)
}

pub(crate) fn wrong_status(
    id: i64,
    status: Option<&str>,
    change: &'static str,
    needed: &'static str,
) -> Error {
    Error::Status {
        id,
        status: status.unwrap_or("NULL").into(),
        change,
        needed,
    }
}
