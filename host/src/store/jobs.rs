//! Jobs after they were claimed: finished, failed, kept alive, put back.
//!
//! Owns the life of a job: `queued` → `running` → `done` or `failed`, and back to `queued`. A
//! claim's token opens the way out of `running`; when a lease runs out or an operator puts the job
//! back, the token is gone, so a worker that was given up cannot end the job for its successor. A
//! job never changes its id, and with that never its place.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::alerts::{self, NewAlert};
use super::audit::{self, Deed};
use super::error::not_empty;
use super::value::Shown;
use super::{Act, AlertKind, Error, Store, sql_time};

/// A job to add to a task.
#[derive(Debug, Clone, Copy)]
pub struct NewJob<'a> {
    /// The task.
    pub task_id: i64,
    /// Who does it.
    pub agent: &'a str,
    /// The repo it works in; none means the task's.
    pub repo: Option<&'a str>,
}

/// How a worker ends a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// It was done.
    Done,
    /// It failed, which is told by an alert: nothing tries it again by itself.
    Failed {
        /// When.
        at: Timestamp,
    },
}

/// A claim, as its holder shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The job.
    pub job: i64,
    /// The token that the claim gave.
    pub token: i64,
}

impl Store {
    /// Adds a queued job to a task and returns its id.
    ///
    /// # Errors
    ///
    /// When there is no such task, the agent or the repo is empty, or the database refuses.
    pub fn add_job(&mut self, now: Timestamp, job: NewJob<'_>) -> Result<i64, Error> {
        check_names(job)?;
        self.writing(|transaction| insert(transaction, now, job))
    }

    /// Ends a claimed job. `error` is what a failed job leaves behind.
    ///
    /// # Errors
    ///
    /// When there is no such job, it is not running, or the token is not its claim's.
    pub fn end_job(
        &mut self,
        id: i64,
        token: i64,
        status: JobStatus,
        error: Option<&str>,
    ) -> Result<(), Error> {
        let (name, change) = match status {
            JobStatus::Done => ("done", "finished"),
            JobStatus::Failed { .. } => ("failed", "failed"),
        };
        self.writing(|transaction| {
            check_claim(transaction, id, token, change)?;
            transaction
                .prepare_cached(
                    "UPDATE jobs SET status = ?2, gate_error = ?3, gate_lease_until = NULL WHERE id = ?1",
                )?
                .execute(params![id, name, error])?;
            if let JobStatus::Failed { at } = status {
                alert_of_failure(transaction, at, id)?;
            }
            Ok(())
        })
    }

    /// Prolongs the lease of a claimed job.
    ///
    /// # Errors
    ///
    /// When there is no such job, it is not running, or the token is not its claim's.
    pub fn heartbeat(&mut self, id: i64, token: i64, lease_until: Timestamp) -> Result<(), Error> {
        self.writing(|transaction| {
            check_claim(transaction, id, token, "kept alive")?;
            transaction
                .prepare_cached("UPDATE jobs SET gate_lease_until = ?2 WHERE id = ?1")?
                .execute(params![id, sql_time(lease_until)])?;
            Ok(())
        })
    }

    /// Puts a running or failed job back to its old place in the queue, for an operator: with a row in
    /// the audit.
    ///
    /// # Errors
    ///
    /// When there is no such job, or it is neither running nor failed.
    pub fn requeue(&mut self, act: Act<'_>, id: i64) -> Result<(), Error> {
        self.writing(|transaction| {
            let before = status_and_token(transaction, id)?.0;
            let before = before.as_deref();
            if !matches!(before, Some("running" | "failed")) {
                return Err(wrong_status(id, before, "requeued", "running or failed"));
            }
            let repo = transaction.query_row(
                &format!("{REQUEUE}, gate_put_off = NULL WHERE id = ?1 RETURNING repo"),
                [id],
                |row| Ok(row.get::<_, Shown>(0)?.0),
            )?;
            let deed = Deed {
                action: "job requeue",
                repo: repo.as_deref(),
                subject: format!("job {id}"),
                before,
                after: Some("queued"),
            };
            audit::write_down(transaction, act, deed)
        })
    }

    /// Puts every job whose lease ran out back to its old place, and returns how many there were.
    /// Takes the write lock only if there is one.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn requeue_expired(&mut self, now: Timestamp) -> Result<usize, Error> {
        const EXPIRED: &str = "status = 'running' AND gate_lease_until <= ?1";
        let now = sql_time(now);
        let any = self.doing(|connection| {
            let mut query = connection
                .prepare_cached(&format!("SELECT 1 FROM jobs WHERE {EXPIRED} LIMIT 1"))?;
            Ok(query.exists([&now])?)
        })?;
        if !any {
            return Ok(0);
        }
        self.writing(|transaction| {
            Ok(transaction.execute(&format!("{REQUEUE} WHERE {EXPIRED}"), [&now])?)
        })
    }
}

pub(super) fn check_names(job: NewJob<'_>) -> Result<(), Error> {
    not_empty("agent", job.agent)?;
    not_empty("repo", job.repo.unwrap_or("the task's"))
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    now: Timestamp,
    job: NewJob<'_>,
) -> Result<i64, Error> {
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO jobs (task_id, repo, agent, status, created_at)
             SELECT id, coalesce(?2, repo), ?3, 'queued', ?4 FROM tasks WHERE id = ?1",
        )?
        .execute(params![job.task_id, job.repo, job.agent, sql_time(now)])?;
    if inserted == 0 {
        return Err(Error::NoTask { id: job.task_id });
    }
    Ok(transaction.last_insert_rowid())
}

const REQUEUE: &str = "UPDATE jobs
    SET status = 'queued', gate_worker = NULL, gate_lease_until = NULL, gate_token = NULL";

fn alert_of_failure(transaction: &Transaction<'_>, at: Timestamp, id: i64) -> Result<(), Error> {
    let mut query = transaction.prepare_cached(
        "SELECT jobs.repo, tasks.work_item_id, jobs.gate_worker, jobs.gate_error
         FROM jobs LEFT JOIN tasks ON tasks.id = jobs.task_id WHERE jobs.id = ?1",
    )?;
    let [repo, work_item, worker, error] = query.query_row([id], |row| {
        let text = |column| Ok::<_, rusqlite::Error>(row.get::<_, Shown>(column)?.0);
        Ok([text(0)?, text(1)?, text(2)?, text(3)?])
    })?;
    let alert = NewAlert {
        kind: AlertKind::JobFailed,
        repo: repo.as_deref(),
        work_item: work_item.as_deref(),
        subject: Some(id),
        who: &worker.unwrap_or_default(),
        why: &error.unwrap_or_default(),
    };
    alerts::add(transaction, at, alert)
}

/// A token that is higher than any before.
pub(super) fn next_token(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached("UPDATE serial_gate_token SET last = last + 1 RETURNING last")?
        .query_row([], |row| row.get(0))
}

/// Gives a job that was just added to whoever prepares it, and returns the claim's token.
pub(super) fn claim_added(
    transaction: &Transaction<'_>,
    job: i64,
    worker: &str,
    until: Timestamp,
) -> rusqlite::Result<i64> {
    let token = next_token(transaction)?;
    transaction
        .prepare_cached(
            "UPDATE jobs SET status = 'running', gate_worker = ?2, gate_lease_until = ?3, gate_token = ?4 WHERE id = ?1",
        )?
        .execute(params![job, worker, sql_time(until), token])?;
    Ok(token)
}

pub(super) fn check_claim(
    transaction: &Transaction<'_>,
    id: i64,
    token: i64,
    change: &'static str,
) -> Result<(), Error> {
    match status_and_token(transaction, id)? {
        (Some(status), Some(has)) if status == "running" && has == token => Ok(()),
        (Some(status), Some(_)) if status == "running" => Err(Error::StaleToken { id, token }),
        (Some(status), None) if status == "running" => Err(Error::NotClaimedHere { id }),
        // Put back in the queue.
        (Some(status), None) if status == "queued" => Err(Error::StaleToken { id, token }),
        (status, _) => Err(wrong_status(id, status.as_deref(), change, "running")),
    }
}

fn status_and_token(
    transaction: &Transaction<'_>,
    id: i64,
) -> Result<(Option<String>, Option<i64>), Error> {
    let mut query =
        transaction.prepare_cached("SELECT status, gate_token FROM jobs WHERE id = ?1")?;
    let row = query
        .query_row([id], |row| Ok((row.get::<_, Shown>(0)?.0, row.get(1)?)))
        .optional()?;
    row.ok_or(Error::NoJob { id })
}

fn wrong_status(
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
