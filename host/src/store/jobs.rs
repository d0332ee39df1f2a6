//! A job's life: `queued` → `running` → `done`, `failed` or `cancelled`, and back to `queued`.
//!
//! Owns every change of a job's status but the claim itself, the end of a lease (`leases`) and the
//! end of its task (`task_end`). A claim's token (`holding`) opens the way out of `running`, once:
//! what the job ended as is kept beside it (`gate_outcome`), so that a worker whose answer was lost
//! hears it again, until the job is claimed anew. When a lease runs out or an operator puts a
//! running job back, the token is gone, so that a worker that was given up cannot end the job for
//! its successor. A job never changes its id, and with that never its place. Callers rely on this:
//! no job goes back to the queue while its task is finished.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::alerts::{self, NewAlert};
use super::audit::{self, Deed};
use super::effect::Effect;
use super::error::{not_empty, without_nul};
use super::holding::{Holding, check_claim, claim_row, ended, holding, wrong_status};
use super::job_error::kept;
use super::task_end::FinishedStages;
use super::time::whole_seconds;
use super::token::{new_token, next_fence};
use super::transaction::Transaction;
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
pub enum Ending<'a> {
    /// It was done.
    Done,
    /// It failed, which is told by an alert: nothing tries it again.
    Failed {
        /// What went wrong.
        error: Option<&'a str>,
    },
}

impl Ending<'_> {
    /// The job's status from then on.
    pub fn status(self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::Failed { .. } => "failed",
        }
    }
}

/// A claim, as its holder shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The job.
    pub job: i64,
    /// The token that the claim gave.
    pub token: &'a str,
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

    /// Ends a claimed job. The same end again, with the same token, is no error and changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// When there is no such job, the token is not its claim's, or the job has ended otherwise.
    pub fn end_job(
        &mut self,
        act: Act<'_>,
        claim: Claim<'_>,
        ending: Ending<'_>,
    ) -> Result<(), Error> {
        self.writing_for_a_holder(act, |transaction| end(transaction, act, claim, ending))
    }

    /// Prolongs the lease of a claimed job, and returns when it ends.
    ///
    /// # Errors
    ///
    /// When there is no such job, it is not running, or the token is not its claim's.
    pub fn heartbeat(
        &mut self,
        act: Act<'_>,
        claim: Claim<'_>,
        lease: Duration,
    ) -> Result<Timestamp, Error> {
        self.writing_for_a_holder(act, |transaction| {
            keep_alive(transaction, act, claim, lease)
        })
    }

    /// Looks whether a claim is still good.
    ///
    /// # Errors
    ///
    /// When it is not, or the database cannot be read.
    pub fn check_claim(&mut self, claim: Claim<'_>) -> Result<(), Error> {
        self.doing(|connection| check_claim(connection, claim, "kept"))
    }

    /// Puts a running, failed or cancelled job back to its old place in the queue, for an operator:
    /// with a row in the audit.
    ///
    /// # Errors
    ///
    /// When there is no such job, it is in none of these states, or its task is finished.
    pub fn requeue(
        &mut self,
        act: Act<'_>,
        id: i64,
        finished: &FinishedStages,
    ) -> Result<(), Error> {
        self.writing(|transaction| put_in_queue(transaction, act, id, finished))
    }

    /// Gives a claimed job back, to its old place in the queue. `error` says why, if nobody asked
    /// for it.
    ///
    /// # Errors
    ///
    /// When the claim is no longer good.
    pub fn put_back(
        &mut self,
        act: Act<'_>,
        claim: Claim<'_>,
        error: Option<&str>,
        finished: &FinishedStages,
    ) -> Result<(), Error> {
        self.writing_for_a_holder(act, |transaction| {
            give_back(transaction, claim, error, finished)
        })
    }

    /// Puts a job whose branch could not be cut back to its place, where it may be claimed again
    /// after a delay. Until then it counts as running, as one whose worker is not heard of.
    ///
    /// # Errors
    ///
    /// When the claim is no longer good.
    pub fn put_off(
        &mut self,
        act: Act<'_>,
        claim: Claim<'_>,
        delay: Duration,
        error: &str,
        finished: &FinishedStages,
    ) -> Result<(), Error> {
        let until = sql_time(super::lease_end(act.now, delay));
        let error = kept(error);
        self.writing_for_a_holder(act, |transaction| {
            check_claim(transaction, claim, "put off")?;
            let is_over = finished_task_of(transaction, claim.job, finished)?.is_some();
            transaction
                .prepare_cached(
                    "UPDATE jobs SET gate_worker = NULL, gate_token = NULL, gate_error = ?3,
                        status = CASE WHEN ?5 THEN 'cancelled' ELSE status END,
                        gate_lease_until = CASE WHEN ?5 THEN NULL ELSE ?2 END, gate_lease = ?4,
                        gate_put_off = coalesce(gate_put_off, 0) + 1 WHERE id = ?1",
                )?
                .execute(params![
                    claim.job,
                    until,
                    error,
                    whole_seconds(delay),
                    is_over
                ])?;
            is_let_go(transaction, claim.job)
        })
    }

    /// How often a job was put off.
    ///
    /// # Errors
    ///
    /// When there is no such job, or the database cannot be read.
    pub fn times_put_off(&mut self, job: i64) -> Result<u32, Error> {
        self.doing(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT min(max(CAST(coalesce(gate_put_off, 0) AS INTEGER), 0), 1000000) FROM jobs WHERE id = ?1",
            )?;
            let times = query.query_row([job], |row| row.get(0)).optional()?;
            times.ok_or(Error::NoJob { id: job })
        })
    }
}

/// Ends a claimed job, as [`Store::end_job`] does.
pub(super) fn end(
    transaction: &Transaction<'_>,
    act: Act<'_>,
    claim: Claim<'_>,
    ending: Ending<'_>,
) -> Result<(), Error> {
    let status = ending.status();
    let change = match ending {
        Ending::Done => "finished",
        Ending::Failed { .. } => "failed",
    };
    match holding(transaction, claim, change)? {
        Holding::Ended(outcome) if outcome == status => return Ok(()),
        Holding::Ended(outcome) => return Err(ended(claim, outcome)),
        Holding::Live => {}
    }
    let error = match ending {
        Ending::Done => None,
        Ending::Failed { error } => error.map(kept),
    };
    transaction
        .prepare_cached(
            "UPDATE jobs SET status = ?2, gate_outcome = ?2, gate_error = ?3, gate_lease_until = NULL
             WHERE id = ?1",
        )?
        .execute(params![claim.job, status, error])?;
    if let Ending::Failed { .. } = ending {
        alert_of_failure(transaction, act.now, claim.job)?;
    }
    let query = "SELECT 1 FROM jobs WHERE id = ?1 AND status = ?2 AND gate_outcome = ?2
        AND gate_error IS ?3 AND CAST(gate_token AS TEXT) = ?4";
    is_there(
        transaction,
        claim.job,
        query,
        params![claim.job, status, error, claim.token],
    )
}

/// Prolongs the lease of a claimed job, as [`Store::heartbeat`] does.
pub(super) fn keep_alive(
    transaction: &Transaction<'_>,
    act: Act<'_>,
    claim: Claim<'_>,
    lease: Duration,
) -> Result<Timestamp, Error> {
    let until = super::lease_end(act.now, lease);
    check_claim(transaction, claim, "kept alive")?;
    transaction
        .prepare_cached("UPDATE jobs SET gate_lease_until = ?2, gate_lease = ?3 WHERE id = ?1")?
        .execute(params![claim.job, sql_time(until), whole_seconds(lease)])?;
    let query = "SELECT 1 FROM jobs WHERE id = ?1 AND status = 'running' AND gate_outcome IS NULL
        AND gate_lease_until = ?2 AND CAST(gate_token AS TEXT) = ?3";
    is_there(
        transaction,
        claim.job,
        query,
        params![claim.job, sql_time(until), claim.token],
    )?;
    Ok(until)
}

/// Puts a job back to its old place in the queue, as [`Store::requeue`] does.
pub(super) fn put_in_queue(
    transaction: &Transaction<'_>,
    act: Act<'_>,
    id: i64,
    finished: &FinishedStages,
) -> Result<(), Error> {
    let row = claim_row(transaction, id)?;
    let before = row.status.as_deref();
    if !matches!(before, Some("running" | "failed" | "cancelled")) {
        return Err(wrong_status(
            id,
            before,
            "requeued",
            "running, failed or cancelled",
        ));
    }
    if let Some(task) = finished_task_of(transaction, id, finished)? {
        return Err(Error::TaskIsFinished { job: id, task });
    }
    // Who failed it may not have heard of that yet, and is told so until the job is claimed anew.
    let repo = transaction.query_row(
        "UPDATE jobs SET status = 'queued', gate_worker = NULL, gate_lease_until = NULL, gate_put_off = NULL,
            gate_token = CASE WHEN gate_outcome IS NULL THEN NULL ELSE gate_token END
         WHERE id = ?1 RETURNING repo",
        [id],
        |row| Ok(row.get::<_, Shown>(0)?.0),
    );
    let repo = repo.optional()?.ok_or_else(|| undone(id))?;
    let deed = Deed {
        action: "job requeue",
        repo: repo.as_deref(),
        subject: format!("job {id}"),
        before,
        after: Some("queued"),
    };
    audit::write_down(transaction, act, deed)?;
    let query = "SELECT 1 FROM jobs WHERE id = ?1 AND status = 'queued'
        AND (gate_token IS NULL OR gate_outcome IS NOT NULL)";
    is_there(transaction, id, query, [id])
}

/// Gives a claimed job back, as [`Store::put_back`] does.
pub(super) fn give_back(
    transaction: &Transaction<'_>,
    claim: Claim<'_>,
    error: Option<&str>,
    finished: &FinishedStages,
) -> Result<(), Error> {
    check_claim(transaction, claim, "put back")?;
    let sql = format!(
        "UPDATE jobs SET {}, gate_worker = NULL, gate_lease_until = NULL, gate_token = NULL, gate_error = ?3
         WHERE id = ?1",
        queued_or_cancelled("?2")
    );
    transaction.prepare_cached(&sql)?.execute(params![
        claim.job,
        finished.as_json(),
        error.map(kept)
    ])?;
    is_let_go(transaction, claim.job)
}

pub(super) fn check_names(job: NewJob<'_>) -> Result<(), Error> {
    not_empty("agent", job.agent)?;
    not_empty("repo", job.repo.unwrap_or("the task's"))?;
    without_nul("agent", job.agent)?;
    without_nul("repo", job.repo.unwrap_or_default())
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    now: Timestamp,
    job: NewJob<'_>,
) -> Result<i64, Error> {
    let mut task = transaction.prepare_cached("SELECT 1 FROM tasks WHERE id = ?1")?;
    if !task.exists([job.task_id])? {
        return Err(Error::NoTask { id: job.task_id });
    }
    let effect = Effect {
        what: "the job",
        table: "jobs",
    };
    let added = transaction
        .prepare_cached(
            "INSERT INTO jobs (task_id, repo, agent, status, created_at)
             SELECT id, coalesce(?2, repo), ?3, 'queued', ?4 FROM tasks WHERE id = ?1 RETURNING id",
        )?
        .query_row(
            params![job.task_id, job.repo, job.agent, sql_time(now)],
            |row| row.get(0),
        );
    let id: i64 = effect.returned(added)?;
    let query =
        "SELECT 1 FROM jobs WHERE id = ?1 AND task_id = ?2 AND agent = ?3 AND status = 'queued'
         AND repo IS coalesce(?4, (SELECT repo FROM tasks WHERE id = ?2))";
    effect.is_there(
        transaction,
        query,
        params![id, job.task_id, job.agent, job.repo],
    )?;
    Ok(id)
}

/// Gives a job that was just added to whoever prepares it, and returns the claim's token.
pub(super) fn claim_added(
    transaction: &Transaction<'_>,
    job: i64,
    worker: &str,
    now: Timestamp,
    lease: Duration,
) -> Result<String, Error> {
    let token = new_token()?;
    transaction
        .prepare_cached(&format!(
            "UPDATE jobs SET status = 'running', gate_worker = ?2, gate_lease_until = ?3, gate_token = ?4,
                gate_lease = ?6, gate_outcome = NULL, gate_fence = {} WHERE id = ?1",
            next_fence("?5")
        ))?
        .execute(params![
            job,
            worker,
            sql_time(super::lease_end(now, lease)),
            token,
            now.as_millisecond(),
            whole_seconds(lease)
        ])?;
    let query = "SELECT 1 FROM jobs WHERE id = ?1 AND status = 'running' AND gate_token = ?2";
    is_there(transaction, job, query, params![job, token])?;
    Ok(token)
}

/// Refuses a change that the query does not find afterwards: a trigger of the orchestrator's may
/// have ignored it, or changed it again.
pub(super) fn is_there(
    connection: &Connection,
    job: i64,
    query: &str,
    values: impl Params,
) -> Result<(), Error> {
    // The name of the change is only made where it is needed: claims come through here.
    if connection.prepare_cached(query)?.exists(values)? {
        Ok(())
    } else {
        Err(undone(job))
    }
}

pub(super) fn undone(job: i64) -> Error {
    Error::Undone {
        what: format!("the change of job {job}"),
        table: "jobs",
    }
}

/// A job is queued again, or ends as cancelled where its task is finished; in SQL. `finished` is
/// the parameter with the finished stages.
pub(super) fn queued_or_cancelled(finished: &str) -> String {
    format!(
        "status = CASE WHEN EXISTS (SELECT 1 FROM tasks WHERE tasks.id = jobs.task_id
             AND tasks.stage IN (SELECT value FROM json_each({finished}))) THEN 'cancelled' ELSE 'queued' END"
    )
}

/// Refuses to have let a job go that is still its holder's, or that nobody could claim.
fn is_let_go(connection: &Connection, job: i64) -> Result<(), Error> {
    let query = "SELECT 1 FROM jobs WHERE id = ?1 AND gate_token IS NULL
        AND (status IN ('queued', 'cancelled') OR (status = 'running' AND gate_lease_until IS NOT NULL))";
    is_there(connection, job, query, [job])
}

/// The task of a job, if it is finished.
fn finished_task_of(
    connection: &Connection,
    job: i64,
    finished: &FinishedStages,
) -> Result<Option<i64>, Error> {
    let mut query = connection.prepare_cached(
        "SELECT tasks.id FROM jobs JOIN tasks ON tasks.id = jobs.task_id
         WHERE jobs.id = ?1 AND tasks.stage IN (SELECT value FROM json_each(?2))",
    )?;
    let task = query.query_row(params![job, finished.as_json()], |row| row.get(0));
    Ok(task.optional()?)
}

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
