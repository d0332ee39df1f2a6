//! A job that is added to a task.
//!
//! Owns what a new job must have, and its claim by a program that prepares it first. Leaves the
//! rest of its life to `jobs`. Callers rely on this: an added job is queued, in the repo given for
//! it, whatever triggers the database has.

use std::time::Duration;

use jiff::Timestamp;

use super::effect::Effect;
use super::jobs::is_there;
use crate::store::engine::{Tx, values};
use crate::store::indexes::IS_OPEN;
use crate::store::job::{self, IS_QUEUED, IS_RUNNING, NewClaim};
use crate::store::names::{not_empty, without_nul};
use crate::store::time::whole_seconds;
use crate::store::token::new_token;
use crate::store::{Error, Store, lease_end, sql_time};

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

impl Store {
    /// Adds a queued job to a task and returns its id.
    ///
    /// # Errors
    ///
    /// When there is no such task, or the agent or the repo is empty.
    pub fn add_job(&mut self, now: Timestamp, job: NewJob<'_>) -> Result<i64, Error> {
        check_names(job)?;
        self.write(|tx| insert(tx, now, job))
    }
}

impl Store {
    /// Whether a job of this agent waits or runs for a task.
    pub fn has_open_job(&mut self, task: i64, agent: &str) -> Result<bool, Error> {
        let sql = format!("SELECT 1 FROM jobs WHERE task_id = $1 AND agent = $2 AND {IS_OPEN}");
        self.read(|tx| tx.exists(&sql, values![task, agent]))
    }

    /// The agent of a task's first job, if that is not this job and no job of the task has begun.
    pub fn agent_in_front(&mut self, task: i64, job: i64) -> Result<Option<String>, Error> {
        self.read(|tx| {
            let found = tx.row(
                &format!(
                    "SELECT agent FROM jobs WHERE task_id = $1 AND id < $2
                     AND NOT EXISTS (SELECT 1 FROM jobs WHERE task_id = $1 AND NOT {IS_QUEUED})
                     ORDER BY id LIMIT 1"
                ),
                values![task, job],
                |row| row.shown(0),
            )?;
            Ok(found.flatten())
        })
    }
}

pub(crate) fn check_names(job: NewJob<'_>) -> Result<(), Error> {
    not_empty("agent", job.agent)?;
    not_empty("repo", job.repo.unwrap_or("the task's"))?;
    without_nul("agent", job.agent)?;
    without_nul("repo", job.repo.unwrap_or_default())
}

pub(crate) fn insert(tx: &dyn Tx, now: Timestamp, job: NewJob<'_>) -> Result<i64, Error> {
    if !tx.exists("SELECT 1 FROM tasks WHERE id = $1", values![job.task_id])? {
        return Err(Error::NoTask { id: job.task_id });
    }
    let effect = Effect {
        what: "the job",
        table: "jobs",
    };
    let added = tx.row(
        "INSERT INTO jobs (task_id, repo, agent, status, created_at)
             SELECT id, coalesce($2, repo), $3, 'queued', $4 FROM tasks WHERE id = $1 RETURNING id",
        values![job.task_id, job.repo, job.agent, sql_time(now)],
        |row| row.get(0),
    );
    let id: i64 = effect.returned(added)?;
    let query = &format!(
        "SELECT 1 FROM jobs WHERE id = $1 AND task_id = $2 AND agent = $3 AND {IS_QUEUED}
         AND repo IS NOT DISTINCT FROM coalesce($4, (SELECT repo FROM tasks WHERE id = $2))"
    );
    effect.is_there(tx, query, values![id, job.task_id, job.agent, job.repo])?;
    Ok(id)
}

/// Claims a job that was just added for the program that prepares it, and returns the token.
pub(crate) fn claim_added(
    tx: &dyn Tx,
    job: i64,
    worker: &str,
    now: Timestamp,
    lease: Duration,
) -> Result<String, Error> {
    let token = new_token()?;
    let claim = NewClaim {
        job,
        worker,
        token: &token,
        now,
        lease_until: &sql_time(lease_end(now, lease)),
        lease: whole_seconds(lease),
        generation: None,
    };
    job::claim_added(tx, &claim)?;
    let query = &format!("SELECT 1 FROM jobs WHERE id = $1 AND {IS_RUNNING} AND gate_token = $2");
    is_there(tx, job, query, values![job, token])?;
    Ok(token)
}
