//! What happened to the jobs in a span of time, for the pictures of it.
//!
//! Owns the reads of earlier attempts, of what runs or waits now, and of freezes. Leaves the jobs that
//! ended to `ended_jobs`, and the pictures to the queue. Callers rely on this: each read goes by an
//! index; and an unreadable time is left out.

use std::collections::HashMap;

use jiff::Timestamp;

use super::ended_jobs::{self, PastJob, past_job_at};
use super::freezes::NUMBER;
use crate::store::engine::{Row, Tx, Value, values};
use crate::store::indexes::{LEASED, PARTITIONS};
use crate::store::job::{IS_QUEUED, IS_RUNNING, JobState};
use crate::store::{Error, Store, sql_time};

/// How many jobs that wait are read, those with the lowest ids. They have waited longest.
const MOST_WAITING: u32 = 10_000;

/// How many freezes of a repo are read, the newest ones.
const MOST_FREEZES: u32 = 10_000;

/// An attempt that has a row in `serial_gate_attempt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastAttempt {
    pub job: i64,
    pub claimed_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub has_failed: bool,
}

/// When a repo was frozen, and opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastFreeze {
    /// What people know it by.
    pub number: i64,
    pub reason: Option<String>,
    pub frozen_at: Option<Timestamp>,
    pub cleared_at: Option<Timestamp>,
    pub is_active: bool,
}

impl Store {
    /// The earlier attempts that ended from a time on, of a repo or of all.
    pub(crate) fn past_attempts(
        &mut self,
        from: Timestamp,
        repo: Option<&str>,
    ) -> Result<Vec<PastAttempt>, Error> {
        let from = sql_time(from);
        self.read(|tx| match repo {
            Some(repo) => tx.rows(&attempts("repo = $2 AND"), values![from, repo], attempt_at),
            None => tx.rows(&attempts(""), values![from], attempt_at),
        })
    }

    /// The jobs of a repo that run now.
    pub(crate) fn running_jobs(&mut self, repo: &str) -> Result<Vec<PastJob>, Error> {
        self.read(|tx| tx.rows(&running(tx), values![repo], job_at))
    }

    /// The jobs of a repo that wait now, those with the lowest ids.
    pub(crate) fn waiting_jobs(&mut self, repo: &str) -> Result<Vec<PastJob>, Error> {
        self.read(|tx| tx.rows(&waiting(tx), values![repo], job_at))
    }

    /// The newest freezes of a repo.
    pub(crate) fn past_freezes(&mut self, repo: &str) -> Result<Vec<PastFreeze>, Error> {
        self.read(|tx| {
            tx.rows(&freezes(tx), values![repo], |row| {
                Ok(PastFreeze {
                    number: row.get(2)?,
                    reason: row.shown(3)?,
                    frozen_at: row.time(0)?,
                    cleared_at: row.time(1)?,
                    is_active: matches!(row.0.value(1)?, Value::Null),
                })
            })
        })
    }
}

/// When the first attempt of each job began.
pub(crate) fn first_claims(attempts: &[PastAttempt]) -> HashMap<i64, Timestamp> {
    let mut first = HashMap::new();
    for attempt in attempts {
        if let Some(claimed_at) = attempt.claimed_at {
            let known = first.entry(attempt.job).or_insert(claimed_at);
            *known = claimed_at.min(*known);
        }
    }
    first
}

/// Every query, for a check of their plans.
pub(crate) fn queries(tx: &dyn Tx) -> Vec<String> {
    let mut queries = ended_jobs::queries(tx);
    queries.extend([
        attempts("repo = $2 AND"),
        running(tx),
        waiting(tx),
        freezes(tx),
    ]);
    queries
}

fn attempts(repo: &str) -> String {
    format!(
        "SELECT job, claimed_at, ended_at, outcome FROM serial_gate_attempt
         WHERE {repo} ended_at >= $1"
    )
}

/// The columns of [`job_at`].
const JOB: &str = "jobs.id, jobs.created_at,
    CASE WHEN jobs.gate_worker IS NOT NULL THEN jobs.gate_claimed_at END, jobs.gate_lease_until,
    jobs.status";

fn running(tx: &dyn Tx) -> String {
    let by_index = tx.by_index(LEASED);
    format!("SELECT {JOB} FROM jobs {by_index} WHERE jobs.{IS_RUNNING} AND jobs.repo = $1")
}

fn waiting(tx: &dyn Tx) -> String {
    let by_index = tx.by_index(PARTITIONS);
    format!(
        "SELECT {JOB} FROM jobs {by_index} WHERE jobs.{IS_QUEUED} AND jobs.repo = $1
         ORDER BY jobs.id LIMIT {MOST_WAITING}"
    )
}

fn freezes(tx: &dyn Tx) -> String {
    let by_index = tx.by_index("serial_gate_freezes_repo");
    format!(
        "SELECT frozen_at, cleared_at, {NUMBER}, reason FROM repo_freeze {by_index}
         WHERE repo = $1
         ORDER BY id DESC LIMIT {MOST_FREEZES}"
    )
}

/// A job that has not ended. Without a worker nobody works on it, however long its delay is.
fn job_at(row: Row<'_>) -> Result<PastJob, Error> {
    let job = past_job_at(row)?;
    let until = job.until.filter(|_| job.claimed_at.is_some());
    Ok(PastJob { until, ..job })
}

fn attempt_at(row: Row<'_>) -> Result<PastAttempt, Error> {
    Ok(PastAttempt {
        job: row.get(0)?,
        claimed_at: row.time(1)?,
        ended_at: row.time(2)?,
        has_failed: row.shown(3)?.as_deref() == Some(JobState::Failed.name()),
    })
}
