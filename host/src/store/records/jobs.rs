//! What may happen to a job after its claim, and who may cause it.
//!
//! Owns who may cause each event of a job's life, and its row in the audit. Leaves the states and
//! the statements to `store::job`, the claim itself to the engine, what follows the end of a job to
//! `ending`, and the end of a task to `task_end`. A claim's token (`holding`) ends the job once: the
//! outcome is stored with the token, so that a worker whose answer was lost gets it again, until the
//! next claim. Callers rely on this: when a lease ends or an operator requeues a running job, its
//! token is gone, so the old worker cannot end its successor's job.

use std::time::Duration;

use jiff::Timestamp;

use super::advance::hold_task;
use super::alerts::{self, NewAlert};
use super::audit::{self, AuditRow};
use super::holding::{check_claim, claim_row, wrong_status};
use super::job_error::kept;
use super::lookup::work_item_of;
use super::pulls;
use super::task_end::FinishedStages;
use crate::store::engine::{Tx, Value, values};
use crate::store::job::{self, Event, JobState};
use crate::store::job::{IS_QUEUED, IS_RUNNING};
use crate::store::time::whole_seconds;
use crate::store::{Actor, AlertKind, Error, Store, lease_end, sql_time};

/// A claim, as its holder shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The job.
    pub job: i64,
    /// The token that the claim gave.
    pub token: &'a str,
}

/// The count of delays stops here.
const MOST_DELAYS: i64 = 1_000_000;

impl Store {
    /// Prolongs the lease of a claimed job, and returns when it ends.
    ///
    /// # Errors
    ///
    /// When there is no such job, it is not running, or the token is not its claim's.
    pub fn heartbeat(
        &mut self,
        actor: Actor<'_>,
        claim: Claim<'_>,
        lease: Duration,
    ) -> Result<Timestamp, Error> {
        self.writing_for_a_holder(actor, |tx| keep_alive(tx, actor, claim, lease))
    }

    /// Checks that a claim is still valid.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn check_claim(&mut self, claim: Claim<'_>) -> Result<(), Error> {
        self.read(|tx| check_claim(tx, claim, "kept"))
    }

    /// Puts a running, failed or cancelled job back to its old place in the queue for an operator,
    /// with a row in the audit. False if that ended its task, whose branch was merged, and with it
    /// the job. `seen` is the attempt that the caller knows of: a later one belongs to a worker that
    /// the caller has not seen.
    ///
    /// # Errors
    ///
    /// When there is no such job, it is in none of these states, its task is finished, or it
    /// has had another attempt than `seen` since.
    pub fn requeue(
        &mut self,
        actor: Actor<'_>,
        id: i64,
        seen: Option<i64>,
        finished: &FinishedStages,
    ) -> Result<bool, Error> {
        self.write(|tx| {
            hold_task(tx, id)?;
            seen.map_or(Ok(()), |seen| check_attempt(tx, id, seen))?;
            put_in_queue(tx, actor, id, finished)?;
            let has_ended = pulls::after_job(tx, actor.now, id, finished)?;
            Ok(!has_ended)
        })
    }

    /// Gives a claimed job back, to its old place in the queue. `error` is the reason, if there is
    /// one.
    ///
    /// # Errors
    ///
    /// When the claim is no longer valid.
    pub fn put_back(
        &mut self,
        actor: Actor<'_>,
        claim: Claim<'_>,
        error: Option<&str>,
        finished: &FinishedStages,
    ) -> Result<(), Error> {
        self.writing_for_a_holder(actor, |tx| {
            hold_task(tx, claim.job)?;
            give_back(tx, actor.now, claim, error, finished)?;
            pulls::after_job(tx, actor.now, claim.job, finished).map(drop)
        })
    }

    /// Puts a job whose branch could not be cut back to its place, where it may be claimed again
    /// after a delay. Until then it counts as running, like a job whose worker sends no heartbeats.
    ///
    /// # Errors
    ///
    /// When the claim is no longer valid.
    pub fn put_off(
        &mut self,
        actor: Actor<'_>,
        claim: Claim<'_>,
        delay: Duration,
        error: &str,
        finished: &FinishedStages,
    ) -> Result<(), Error> {
        let until = sql_time(lease_end(actor.now, delay));
        let error = kept(error);
        self.writing_for_a_holder(actor, |tx| {
            hold_task(tx, claim.job)?;
            check_claim(tx, claim, "put off")?;
            let is_over = finished_task_of(tx, claim.job, finished)?.is_some();
            let (job, seconds) = (claim.job, whole_seconds(delay));
            job::defer(tx, job, &until, seconds, &error, is_over, actor.now)?;
            is_let_go(tx, claim.job)?;
            pulls::after_job(tx, actor.now, claim.job, finished).map(drop)
        })
    }

    /// How often a job was put off.
    ///
    /// # Errors
    ///
    /// When there is no such job.
    pub fn times_put_off(&mut self, job: i64) -> Result<u32, Error> {
        let sql = "SELECT CAST(coalesce(gate_put_off, 0) AS BIGINT) FROM jobs WHERE id = $1";
        let times: Option<i64> = self.read(|tx| tx.row(sql, values![job], |row| row.get(0)))?;
        let times = times.ok_or(Error::NoJob { id: job })?;
        Ok(u32::try_from(times.clamp(0, MOST_DELAYS)).unwrap_or_default())
    }
}

/// Ends a claimed job, whose claim the caller has checked. A job that failed has an alert, because
/// nothing tries it again.
pub(crate) fn end(
    tx: &dyn Tx,
    now: Timestamp,
    claim: Claim<'_>,
    event: Event,
    error: Option<&str>,
) -> Result<(), Error> {
    let ended = JobState::Running.after(event, false);
    let status = ended.unwrap_or(JobState::Running).name();
    job::end(tx, claim.job, status, error, now)?;
    if event == Event::Fail {
        alert_of_failure(tx, now, claim.job)?;
    }
    check_ended(tx, claim, status, error)
}

/// Refuses the end of a job that is not there.
pub(crate) fn check_ended(
    tx: &dyn Tx,
    claim: Claim<'_>,
    status: &str,
    error: Option<&str>,
) -> Result<(), Error> {
    let query = "SELECT 1 FROM jobs WHERE id = $1 AND status = $2 AND gate_outcome = $2
        AND gate_error IS NOT DISTINCT FROM $3 AND CAST(gate_token AS TEXT) = $4";
    is_there(
        tx,
        claim.job,
        query,
        values![claim.job, status, error, claim.token],
    )
}

/// Prolongs the lease of a claimed job, as [`Store::heartbeat`] does.
pub(crate) fn keep_alive(
    tx: &dyn Tx,
    actor: Actor<'_>,
    claim: Claim<'_>,
    lease: Duration,
) -> Result<Timestamp, Error> {
    let until = lease_end(actor.now, lease);
    check_claim(tx, claim, "kept alive")?;
    job::set_lease(tx, claim.job, &sql_time(until), whole_seconds(lease))?;
    let query = &format!(
        "SELECT 1 FROM jobs WHERE id = $1 AND {IS_RUNNING} AND gate_outcome IS NULL
        AND gate_lease_until = $2 AND CAST(gate_token AS TEXT) = $3"
    );
    is_there(
        tx,
        claim.job,
        query,
        values![claim.job, sql_time(until), claim.token],
    )?;
    Ok(until)
}

/// Refuses a change of a job that has had another attempt since the caller looked.
fn check_attempt(tx: &dyn Tx, id: i64, seen: i64) -> Result<(), Error> {
    match claim_row(tx, id)?.attempt {
        attempt if attempt == seen => Ok(()),
        attempt => Err(Error::OtherAttempt { id, seen, attempt }),
    }
}

/// Puts a job back to its old place in the queue, as [`Store::requeue`] does.
pub(crate) fn put_in_queue(
    tx: &dyn Tx,
    actor: Actor<'_>,
    id: i64,
    finished: &FinishedStages,
) -> Result<(), Error> {
    let row = claim_row(tx, id)?;
    let before = row.status.as_deref();
    let state = JobState::of(before);
    if state
        .and_then(|state| state.after(Event::Requeue, false))
        .is_none()
    {
        return Err(wrong_status(
            id,
            before,
            "requeued",
            "running, failed or cancelled",
        ));
    }
    if let Some(task) = finished_task_of(tx, id, finished)? {
        return Err(Error::TaskIsFinished {
            job: id,
            task,
            work_item: work_item_of(tx, task)?,
        });
    }
    let repo = job::requeue(tx, id, actor.now)?.ok_or_else(|| undone(id))?;
    let row = AuditRow {
        action: "job requeue",
        repo: repo.as_deref(),
        subject: format!("job {id}"),
        before,
        after: Some(JobState::Queued.name()),
    };
    audit::write_down(tx, actor, row)?;
    let query = &format!(
        "SELECT 1 FROM jobs WHERE id = $1 AND {IS_QUEUED}
        AND (gate_token IS NULL OR gate_outcome IS NOT NULL)"
    );
    is_there(tx, id, query, values![id])
}

/// Gives a claimed job back, as [`Store::put_back`] does.
pub(crate) fn give_back(
    tx: &dyn Tx,
    now: Timestamp,
    claim: Claim<'_>,
    error: Option<&str>,
    finished: &FinishedStages,
) -> Result<(), Error> {
    check_claim(tx, claim, "put back")?;
    let error = error.map(kept);
    job::release(tx, claim.job, error.as_deref(), finished, now)?;
    is_let_go(tx, claim.job)
}

/// Refuses a change that the query does not find afterwards: a trigger of the orchestrator may have
/// ignored or reverted it.
pub(crate) fn is_there(
    tx: &dyn Tx,
    job: i64,
    query: &str,
    values: &[Value<'_>],
) -> Result<(), Error> {
    // Claims come through here, so the name is built only for an error.
    if tx.exists(query, values)? {
        Ok(())
    } else {
        Err(undone(job))
    }
}

pub(crate) fn undone(job: i64) -> Error {
    Error::Undone {
        what: format!("the change of job {job}"),
        table: "jobs",
    }
}

/// Refuses a release after which the job still has a token, or could not be claimed.
fn is_let_go(tx: &dyn Tx, job: i64) -> Result<(), Error> {
    let query = &format!(
        "SELECT 1 FROM jobs WHERE id = $1 AND gate_token IS NULL
        AND (status IN ('queued', 'cancelled') OR ({IS_RUNNING} AND gate_lease_until IS NOT NULL))"
    );
    is_there(tx, job, query, values![job])
}

/// The task of a job, if it is finished.
pub(crate) fn finished_task_of(
    tx: &dyn Tx,
    job: i64,
    finished: &FinishedStages,
) -> Result<Option<i64>, Error> {
    tx.row(
        &format!(
            "SELECT tasks.id FROM jobs JOIN tasks ON tasks.id = jobs.task_id
         WHERE jobs.id = $1 AND tasks.stage IN ({})",
            tx.texts_of("$2")
        ),
        values![job, finished.as_json()],
        |row| row.get(0),
    )
}

fn alert_of_failure(tx: &dyn Tx, at: Timestamp, id: i64) -> Result<(), Error> {
    let [repo, work_item, worker, error] = tx.only(
        "SELECT jobs.repo, tasks.work_item_id, jobs.gate_worker, jobs.gate_error
         FROM jobs LEFT JOIN tasks ON tasks.id = jobs.task_id WHERE jobs.id = $1",
        values![id],
        |row| {
            let text = |column| row.shown(column);
            Ok([text(0)?, text(1)?, text(2)?, text(3)?])
        },
    )?;
    let alert = NewAlert {
        kind: AlertKind::JobFailed,
        repo: repo.as_deref(),
        work_item: work_item.as_deref(),
        subject: Some(id),
        who: &worker.unwrap_or_default(),
        why: &error.unwrap_or_default(),
    };
    alerts::add(tx, at, alert)
}
