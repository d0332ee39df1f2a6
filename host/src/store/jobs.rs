//! A job's life: `queued` → `running` → `done`, `failed` or `cancelled`, and back to `queued`.
//!
//! Owns every change of a job's status but the claim itself and the end of a lease (`leases`). A claim's token opens the way out of `running`, once:
//! what the job ended as is kept beside it (`gate_outcome`), so that a worker whose answer was lost hears it again, until
//! the job is claimed anew. When a lease runs out or an operator puts a running job back, the token is gone, so that a
//! worker that was given up cannot end the job for its successor. A job never changes its id, and with that never its
//! place. Callers rely on this: no job goes back to the queue while its task is finished.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::alerts::{self, NewAlert};
use super::audit::{self, Deed};
use super::effect::Effect;
use super::error::not_empty;
use super::task_end::FinishedStages;
use super::time::{latest, whole_seconds};
use super::token::{is_token, new_token, next_fence};
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

    /// Ends a claimed job. The same end again, with the same token, is no error and changes nothing.
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
        let status = ending.status();
        let change = match ending {
            Ending::Done => "finished",
            Ending::Failed { .. } => "failed",
        };
        self.with_claim(act, claim, |transaction| {
            match holding(transaction, claim, change)? {
                Holding::Ended(outcome) if outcome == status => return Ok(()),
                Holding::Ended(outcome) => return Err(ended(claim, outcome)),
                Holding::Live => {}
            }
            let error = match ending {
                Ending::Done => None,
                Ending::Failed { error } => error,
            };
            transaction
                .prepare_cached(
                    "UPDATE jobs SET status = ?2, gate_outcome = ?2, gate_error = ?3, gate_lease_until = NULL
                     WHERE id = ?1",
                )?
                .execute(params![claim.job, status, error])?;
            stays(transaction, claim.job, status)?;
            if let Ending::Failed { .. } = ending {
                alert_of_failure(transaction, act.now, claim.job)?;
            }
            Ok(())
        })
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
        let until = super::lease_end(act.now, lease);
        self.with_claim(act, claim, |transaction| {
            check_claim(transaction, claim, "kept alive")?;
            transaction
                .prepare_cached(
                    "UPDATE jobs SET gate_lease_until = ?2, gate_lease = ?3 WHERE id = ?1",
                )?
                .execute(params![claim.job, sql_time(until), whole_seconds(lease)])?;
            let kept = transaction
                .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1 AND gate_lease_until = ?2")?
                .exists(params![claim.job, sql_time(until)])?;
            if kept {
                Ok(until)
            } else {
                Err(undone(claim.job))
            }
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

    /// Puts a running, failed or cancelled job back to its old place in the queue, for an operator: with a row in
    /// the audit.
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
        self.writing(|transaction| {
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
            stays(transaction, id, "queued")?;
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

    /// Gives a claimed job back, to its old place in the queue. `error` says why, if nobody asked for it.
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
        self.with_claim(act, claim, |transaction| {
            check_claim(transaction, claim, "put back")?;
            let sql = format!(
                "UPDATE jobs SET {}, gate_worker = NULL, gate_lease_until = NULL, gate_token = NULL, gate_error = ?3
                 WHERE id = ?1",
                queued_or_cancelled("?2")
            );
            transaction
                .prepare_cached(&sql)?
                .execute(params![claim.job, finished.as_json(), error])?;
            is_let_go(transaction, claim)
        })
    }

    /// Puts a job whose branch could not be cut back to its place, where it may be claimed again after a delay. Until
    /// then it counts as running, as one whose worker is not heard of.
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
        self.with_claim(act, claim, |transaction| {
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
            is_let_go(transaction, claim)
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

    /// Makes a change for the holder of a claim. A token that is not the claim's is written down in the audit: somebody
    /// works on a job that is not theirs.
    pub(super) fn with_claim<T>(
        &mut self,
        act: Act<'_>,
        claim: Claim<'_>,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = self.writing(step);
        if let Err(Error::StaleToken { .. }) = &result
            && let Err(error) = self.writing(|transaction| note_refusal(transaction, act, claim))
        {
            tracing::warn!("a token that was refused is not in the audit: {error}");
        }
        result
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
    stays(transaction, job, "running")?;
    Ok(token)
}

/// Refuses a claim that is no longer good, for a change that only its holder may make.
pub(super) fn check_claim(
    connection: &Connection,
    claim: Claim<'_>,
    change: &'static str,
) -> Result<(), Error> {
    match holding(connection, claim, change)? {
        Holding::Live => Ok(()),
        Holding::Ended(outcome) => Err(ended(claim, outcome)),
    }
}

/// Refuses a job whose status is another one than it was given in this transaction: a trigger of the orchestrator's may
/// have ignored the change, or undone it.
pub(super) fn stays(connection: &Connection, id: i64, status: &str) -> Result<(), Error> {
    let is_there = connection
        .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1 AND status = ?2")?
        .exists(params![id, status])?;
    if is_there { Ok(()) } else { Err(undone(id)) }
}

fn undone(job: i64) -> Error {
    Error::Undone {
        what: format!("the change of job {job}"),
        table: "jobs",
    }
}

/// A job is queued again, or ends as cancelled where its task is finished; in SQL. `finished` is the parameter with the
/// finished stages.
pub(super) fn queued_or_cancelled(finished: &str) -> String {
    format!(
        "status = CASE WHEN EXISTS (SELECT 1 FROM tasks WHERE tasks.id = jobs.task_id
             AND tasks.stage IN (SELECT value FROM json_each({finished}))) THEN 'cancelled' ELSE 'queued' END"
    )
}

/// Refuses to have let a job go that is still its holder's.
fn is_let_go(connection: &Connection, claim: Claim<'_>) -> Result<(), Error> {
    let row = claim_row(connection, claim.job)?;
    match row.token {
        None => Ok(()),
        Some(_) => Err(undone(claim.job)),
    }
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

/// What the holder of a right token holds.
enum Holding {
    /// The job.
    Live,
    /// What the job ended as.
    Ended(String),
}

fn holding(
    connection: &Connection,
    claim: Claim<'_>,
    change: &'static str,
) -> Result<Holding, Error> {
    let Claim { job: id, token } = claim;
    let ClaimRow {
        status,
        token: given,
        outcome,
    } = claim_row(connection, id)?;
    let is_running = status.as_deref() == Some("running");
    match (given, outcome) {
        (Some(given), outcome) if is_token(token, &given) => match outcome {
            Some(outcome) => Ok(Holding::Ended(outcome)),
            None if is_running => Ok(Holding::Live),
            // Another program has moved it.
            None => Err(wrong_status(id, status.as_deref(), change, "running")),
        },
        (None, _) if is_running => Err(Error::NotClaimedHere { id }),
        (None, _) if status.as_deref() != Some("queued") => {
            Err(wrong_status(id, status.as_deref(), change, "running"))
        }
        _ => Err(Error::StaleToken { id }),
    }
}

fn ended(claim: Claim<'_>, outcome: String) -> Error {
    Error::Ended {
        id: claim.job,
        outcome,
    }
}

/// What a job's row says of its claim.
struct ClaimRow {
    status: Option<String>,
    token: Option<String>,
    outcome: Option<String>,
}

fn claim_row(connection: &Connection, id: i64) -> Result<ClaimRow, Error> {
    let mut query = connection
        .prepare_cached("SELECT status, gate_token, gate_outcome FROM jobs WHERE id = ?1")?;
    let row = query.query_row([id], |row| {
        Ok(ClaimRow {
            status: row.get::<_, Shown>(0)?.0,
            token: row.get::<_, Shown>(1)?.0,
            outcome: row.get::<_, Shown>(2)?.0,
        })
    });
    row.optional()?.ok_or(Error::NoJob { id })
}

/// At most one row a minute for a job and a name: a worker that goes on trying does not fill the audit.
fn note_refusal(
    transaction: &Transaction<'_>,
    act: Act<'_>,
    claim: Claim<'_>,
) -> Result<(), Error> {
    let subject = format!("job {}", claim.job);
    let repo: Option<String> = transaction
        .prepare_cached("SELECT repo FROM jobs WHERE id = ?1")?
        .query_row([claim.job], |row| Ok(row.get::<_, Shown>(0)?.0))
        .optional()?
        .flatten();
    let minute = jiff::SignedDuration::from_mins(1);
    let since = sql_time(act.now.checked_sub(minute).unwrap_or(Timestamp::MIN));
    let is_known = transaction
        .prepare_cached(
            "SELECT 1 FROM serial_gate_audit
             WHERE repo IS ?1 AND action = 'token refused' AND subject = ?2 AND who = ?3
                AND at > ?4 AND at <= ?5",
        )?
        .exists(params![
            repo,
            subject,
            act.who,
            since,
            latest(act.now, Duration::ZERO)
        ])?;
    if is_known {
        return Ok(());
    }
    let deed = Deed {
        action: "token refused",
        repo: repo.as_deref(),
        subject,
        before: None,
        after: None,
    };
    let why = "the token is not the one of the job's claim";
    audit::write_down(transaction, Act { why, ..act }, deed)
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
