//! A job's life: every statement that changes a job.
//!
//! Owns every `UPDATE jobs` of the gate. Leaves the states to `job_state`, to `records::jobs` who
//! may cause an event and what the audit records, and to `records::attempts` the rows of earlier
//! attempts. Callers rely on this: a job never changes its id and so keeps its place; it has
//! `gate_ended_at` exactly while the gate has ended it; and its columns tell of its last attempt
//! exactly while it has a worker (`gate_worker`), else a row in `serial_gate_attempt` does.

use std::sync::LazyLock;

use jiff::Timestamp;

use super::engine::{Row, Tx, values};
pub(crate) use super::job_state::{Event, JobState};
use super::records::attempts::{self, AttemptEnd, Ended};
use super::records::task_end::{FinishedStages, is_idle};
use super::token::next_fence;
use super::{Error, sql_time};

/// As an SQL condition. A table name may precede it: `jobs.{IS_QUEUED}`.
pub(crate) const IS_QUEUED: &str = "status = 'queued'";
/// The same.
pub(crate) const IS_RUNNING: &str = "status = 'running'";
/// The same.
pub(crate) const IS_FAILED: &str = "status = 'failed'";
/// The same.
pub(crate) const IS_CANCELLED: &str = "status = 'cancelled'";

/// A running job that is put off: nobody works on it until its delay is over.
macro_rules! is_put_off {
    () => {
        "(jobs.gate_put_off IS NOT NULL AND jobs.gate_worker IS NULL
            AND (jobs.gate_token IS NULL OR jobs.gate_outcome IS NOT NULL))"
    };
}
pub(crate) use is_put_off;

/// The same.
pub(crate) const IS_PUT_OFF: &str = is_put_off!();

/// A running job whose lease is over at `$1`.
pub(crate) const EXPIRED: &str = "status = 'running' AND gate_lease_until <= $1";

/// A claim, as it is written to the job.
pub(crate) struct NewClaim<'a> {
    pub job: i64,
    pub worker: &'a str,
    pub token: &'a str,
    pub now: Timestamp,
    pub lease_until: &'a str,
    /// The length of the lease, in seconds.
    pub lease: i64,
    pub generation: Option<i64>,
}

static CLAIM: LazyLock<String> = LazyLock::new(|| {
    let assignments = claim_assignments(["$2", "$3", "$4", "$5", "$6", "$7", "$8"]);
    format!(
        "UPDATE jobs SET {assignments} WHERE id = $1
         RETURNING task_id, (SELECT work_item_id FROM tasks WHERE tasks.id = task_id), repo, agent,
            gate_attempt, gate_fence",
    )
});

/// What a claim writes to a job: the worker, the time, the end and the length of the lease, the
/// token, the time in milliseconds and the generation, each a parameter or a variable.
pub(crate) fn claim_assignments(
    [worker, at, until, lease, token, now, generation]: [&str; 7],
) -> String {
    format!(
        "status = '{}', gate_worker = {worker}, gate_claimed_at = {at},
            gate_lease_until = {until}, gate_lease = {lease}, gate_token = {token},
            gate_fence = {}, gate_generation = {generation}, gate_error = NULL,
            gate_outcome = NULL, gate_ended_at = NULL,
            gate_attempt = CASE WHEN CAST(coalesce(gate_attempt, 0) AS BIGINT) < 1000000
                THEN CAST(coalesce(gate_attempt, 0) AS BIGINT) ELSE 1000000 END + 1",
        word(JobState::Queued, Event::Claim, false),
        next_fence(now)
    )
}

/// A worker claims a job. Returns what `read` makes of its task, its task's work item, its repo,
/// its agent, its attempt and its fence; none if a trigger has ignored the claim.
pub(crate) fn claim<T>(
    tx: &dyn Tx,
    claim: &NewClaim<'_>,
    read: impl FnOnce(Row<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let (at, now) = (sql_time(claim.now), claim.now.as_millisecond());
    let values = values![
        claim.job,
        claim.worker,
        at,
        claim.lease_until,
        claim.lease,
        claim.token,
        now,
        claim.generation,
    ];
    tx.row(&CLAIM, values, read)
}

/// Claims a job for the program that adds and prepares it, before any worker sees the job. This is
/// not an attempt.
pub(crate) fn claim_added(tx: &dyn Tx, claim: &NewClaim<'_>) -> Result<(), Error> {
    let sql = format!(
        "UPDATE jobs SET status = '{}', gate_worker = $2, gate_lease_until = $3,
            gate_token = $4, gate_lease = $6, gate_outcome = NULL, gate_fence = {} WHERE id = $1",
        word(JobState::Queued, Event::Claim, false),
        next_fence("$5")
    );
    let now = claim.now.as_millisecond();
    let values = values![
        claim.job,
        claim.worker,
        claim.lease_until,
        claim.token,
        now,
        claim.lease,
    ];
    tx.execute(&sql, values)?;
    Ok(())
}

/// A worker ends its job.
pub(crate) fn end(
    tx: &dyn Tx,
    job: i64,
    status: &str,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE jobs SET status = $2, gate_outcome = $2, gate_error = $3, gate_lease_until = NULL,
            gate_answer = NULL, gate_ended_at = $4 WHERE id = $1",
        values![job, status, error, sql_time(now)],
    )?;
    Ok(())
}

/// What the worker of an ended claim is told, if that is more than its outcome.
pub(crate) fn set_answer(tx: &dyn Tx, job: i64, answer: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE jobs SET gate_answer = $2 WHERE id = $1",
        values![job, answer],
    )?;
    Ok(())
}

/// A worker's attempt has failed, and the job is tried again after a delay, in seconds. The claim
/// has ended as failed.
pub(crate) fn try_again(
    tx: &dyn Tx,
    job: i64,
    until: &str,
    delay: i64,
    error: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let end = AttemptEnd::TriedAgain;
    attempts::keep(
        tx,
        Ended::of(end, "id = $1", now),
        values![job],
        Some(error),
    )?;
    let failed = word(JobState::Running, Event::Fail, false);
    tx.execute(
        &format!(
            "UPDATE jobs SET gate_worker = NULL, gate_outcome = '{failed}', gate_error = $3,
            gate_lease_until = $2, gate_lease = $4, gate_put_off = coalesce(gate_put_off, 0),
            gate_failures = coalesce(gate_failures, 0) + 1 WHERE id = $1"
        ),
        values![job, until, error, delay],
    )?;
    Ok(())
}

/// Sets when the lease of a running job ends, and its length in seconds.
pub(crate) fn set_lease(tx: &dyn Tx, job: i64, until: &str, length: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE jobs SET gate_lease_until = $2, gate_lease = $3 WHERE id = $1",
        values![job, until, length],
    )?;
    Ok(())
}

/// A worker gives its job back.
pub(crate) fn release(
    tx: &dyn Tx,
    job: i64,
    error: Option<&str>,
    finished: &FinishedStages,
    now: Timestamp,
) -> Result<(), Error> {
    let end = AttemptEnd::GivenBack;
    attempts::keep(tx, Ended::of(end, "id = $1", now), values![job], error)?;
    let sql = format!(
        "UPDATE jobs SET {}, gate_worker = NULL, gate_lease_until = NULL, gate_token = NULL,
            gate_error = $2 WHERE id = $1",
        back_in_the_queue(tx, Event::Release, "$3", "$4")
    );
    tx.execute(&sql, values![job, error, finished.as_json(), sql_time(now)])?;
    Ok(())
}

/// A worker gives its job back until later. The delay is in seconds.
pub(crate) fn defer(
    tx: &dyn Tx,
    job: i64,
    until: &str,
    delay: i64,
    error: &str,
    task_is_finished: bool,
    now: Timestamp,
) -> Result<(), Error> {
    let end = AttemptEnd::PutOff;
    attempts::keep(
        tx,
        Ended::of(end, "id = $1", now),
        values![job],
        Some(error),
    )?;
    let state = JobState::Running.after(Event::Defer, task_is_finished);
    let goes_on = state == Some(JobState::Running);
    let (until, ended_at) = match goes_on {
        true => (Some(until), None),
        false => (None, Some(sql_time(now))),
    };
    let state = state.map(JobState::name);
    tx.execute(
        "UPDATE jobs SET gate_worker = NULL, gate_token = NULL, gate_error = $3,
            status = coalesce($5, status), gate_lease_until = $2, gate_lease = $4,
            gate_put_off = coalesce(gate_put_off, 0) + 1, gate_ended_at = $6 WHERE id = $1",
        values![job, until, error, delay, state, ended_at],
    )?;
    Ok(())
}

/// Puts every job whose lease is over back to the queue, and returns how many there were. The worker
/// whose attempt failed may not know yet: it can still ask until the next claim.
pub(crate) fn expire(
    tx: &dyn Tx,
    now: Timestamp,
    finished: &FinishedStages,
) -> Result<usize, Error> {
    let at = sql_time(now);
    let end = AttemptEnd::LeaseOver;
    attempts::keep(tx, Ended::of(end, EXPIRED, now), values![at], None)?;
    let sql = format!(
        "UPDATE jobs SET {}, gate_worker = NULL, gate_lease_until = NULL,
            gate_token = CASE WHEN gate_outcome IS NULL THEN NULL ELSE gate_token END
         WHERE {EXPIRED}",
        back_in_the_queue(tx, Event::Expire, "$2", "$1")
    );
    tx.execute(&sql, values![at, finished.as_json()])
}

/// An operator puts a job back. The worker that failed it may not know yet: it can still ask until
/// the next claim. Returns its repo; none if a trigger has ignored the change.
pub(crate) fn requeue(
    tx: &dyn Tx,
    job: i64,
    now: Timestamp,
) -> Result<Option<Option<String>>, Error> {
    attempts::keep(tx, Ended::requeued("id = $1", now), values![job], None)?;
    let queued = word(JobState::Failed, Event::Requeue, false);
    tx.row(
        &format!(
            "UPDATE jobs SET status = '{queued}', gate_worker = NULL, gate_lease_until = NULL,
            gate_put_off = NULL, gate_failures = NULL, gate_ended_at = NULL,
            gate_token = CASE WHEN gate_outcome IS NULL THEN NULL ELSE gate_token END
         WHERE id = $1 RETURNING repo"
        ),
        values![job],
        |row| row.shown(0),
    )
}

/// A task ends, and with it each of its waiting or running jobs except `kept`. A job that ended
/// before and was requeued keeps its outcome: its last holder may ask again.
pub(crate) fn end_all_of(
    tx: &dyn Tx,
    task: i64,
    kept: Option<i64>,
    now: Timestamp,
) -> Result<(), Error> {
    let cancelled = word(JobState::Running, Event::EndTask, false);
    tx.execute(
        &format!(
            "{} WHERE task_id = $1 AND ({IS_QUEUED} OR {IS_RUNNING}) AND id IS DISTINCT FROM $2",
            cancel(cancelled, "$3")
        ),
        values![task, kept, sql_time(now)],
    )?;
    // The holder of a job that another program cancelled gets the same answer.
    tx.execute(
        &format!(
            "UPDATE jobs SET gate_outcome = '{cancelled}'
         WHERE task_id = $1 AND {IS_CANCELLED} AND gate_token IS NOT NULL
            AND gate_outcome IS NULL"
        ),
        values![task],
    )?;
    Ok(())
}

/// A task leaves a stage, and the jobs of the stage's agent with which no worker is busy are
/// cancelled.
pub(crate) fn cancel_idle(
    tx: &dyn Tx,
    task: i64,
    agent: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let cancelled = word(JobState::Running, Event::EndTask, false);
    tx.execute(
        &format!(
            "{} WHERE task_id = $1 AND agent = $2 AND {}",
            cancel(cancelled, "$3"),
            is_idle("$3")
        ),
        values![task, agent, sql_time(now)],
    )?;
    Ok(())
}

/// The statement that cancels jobs at a time, which is a parameter. The holder of a claim is told so;
/// a claim that has ended keeps its outcome.
fn cancel(cancelled: &str, at: &str) -> String {
    format!(
        "UPDATE jobs SET status = '{cancelled}', gate_lease_until = NULL, gate_ended_at = {at},
            gate_outcome = CASE WHEN gate_token IS NULL THEN gate_outcome
                ELSE coalesce(gate_outcome, '{cancelled}') END"
    )
}

/// Sets only the status of a job, for a trial.
pub(crate) fn set_status(tx: &dyn Tx, job: i64, status: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE jobs SET status = $2 WHERE id = $1",
        values![job, status],
    )?;
    Ok(())
}

/// The word for the state after an event.
fn word(state: JobState, event: Event, task_is_finished: bool) -> &'static str {
    state.after(event, task_is_finished).unwrap_or(state).name()
}

/// The assignments that put a running job back, or cancel it if its task is finished. `finished` is
/// the parameter with the finished stages, `at` the one with the time.
fn back_in_the_queue(tx: &dyn Tx, event: Event, finished: &str, at: &str) -> String {
    let is_over = format!(
        "EXISTS (SELECT 1 FROM tasks WHERE tasks.id = jobs.task_id AND tasks.stage IN ({}))",
        tx.texts_of(finished)
    );
    format!(
        "status = CASE WHEN {is_over} THEN '{}' ELSE '{}' END,
            gate_ended_at = CASE WHEN {is_over} THEN {at} END",
        word(JobState::Running, event, true),
        word(JobState::Running, event, false)
    )
}
