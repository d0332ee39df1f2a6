//! The rows of a task's life: its jobs with their attempts, and the tasks that ended before it.
//!
//! Owns the reads. Leaves what they mean to the queue. Callers rely on this: each goes by an index
//! and has a limit; and an unreadable time is left out.

use jiff::Timestamp;

use super::attempts::AttemptEnd;
use super::task_end::FinishedStages;
use crate::store::engine::{Row, Tx, values};
use crate::store::job::JobState;
use crate::store::{Error, Store};

/// How many jobs of a task are read, the newest ones.
const JOBS: u32 = 100;

/// How many earlier attempts of its jobs are read, the newest ones.
const ATTEMPTS: u32 = 200;

/// How many earlier tasks of a repo are read of each finished stage, those with the highest ids.
const EARLIER: u32 = 1_000;

/// How many finished stages are looked at.
const STAGES: usize = 20;

/// A job of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LifeJob {
    pub id: i64,
    pub repo: Option<String>,
    pub agent: Option<String>,
    /// None for another program's status.
    pub state: Option<JobState>,
    pub created_at: Option<Timestamp>,
    /// None if the gate has not ended it.
    pub ended_at: Option<Timestamp>,
    /// When the lease of a running job is over, or the delay of a job that was put off.
    pub lease_until: Option<Timestamp>,
    /// Its last attempt, if its columns tell of one.
    pub last: Option<LifeAttempt>,
}

/// An attempt at a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LifeAttempt {
    pub job: i64,
    pub attempt: i64,
    pub worker: String,
    pub claimed_at: Option<Timestamp>,
    /// None for the last attempt: its job tells.
    pub ended_at: Option<Timestamp>,
    /// The same.
    pub end: Option<AttemptEnd>,
    pub error: Option<String>,
}

/// An earlier task of a repo that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FinishedTask {
    pub id: i64,
    pub work_item: Option<String>,
    pub ended_at: Timestamp,
}

impl Store {
    /// When a task was added, if that is known.
    pub(crate) fn task_created_at(&mut self, task: i64) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT created_at FROM tasks WHERE id = $1";
        let found = self.read(|tx| tx.row(sql, values![task], |row| row.time(0)))?;
        Ok(found.flatten())
    }

    /// The newest jobs of a task, the newest first, and whether there are more.
    pub(crate) fn jobs_of_task(&mut self, task: i64) -> Result<(Vec<LifeJob>, bool), Error> {
        let mut jobs = self.read(|tx| tx.rows(&jobs(), values![task], job_at))?;
        let most = usize::try_from(JOBS).unwrap_or(usize::MAX);
        let are_more = jobs.len() > most;
        jobs.truncate(most);
        Ok((jobs, are_more))
    }

    /// The newest earlier attempts at the jobs of a task, the newest first, and whether there are
    /// more.
    pub(crate) fn attempts_at_task(
        &mut self,
        task: i64,
    ) -> Result<(Vec<LifeAttempt>, bool), Error> {
        let mut attempts = self.read(|tx| {
            tx.rows(&attempts(tx), values![task], |row| {
                Ok(LifeAttempt {
                    job: row.get(0)?,
                    attempt: row.get(1)?,
                    worker: row.shown(2)?.unwrap_or_default(),
                    claimed_at: row.time(3)?,
                    error: row.shown(4)?,
                    ended_at: row.time(5)?,
                    end: row.shown(6)?.as_deref().and_then(AttemptEnd::of),
                })
            })
        })?;
        let most = usize::try_from(ATTEMPTS).unwrap_or(usize::MAX);
        let are_more = attempts.len() > most;
        attempts.truncate(most);
        Ok((attempts, are_more))
    }

    /// The tasks of a repo with lower ids than this one that are finished, as far as it is known
    /// when they ended; of very many, those with the highest ids.
    pub(crate) fn finished_before(
        &mut self,
        repo: &str,
        task: i64,
        finished: &FinishedStages,
    ) -> Result<Vec<FinishedTask>, Error> {
        self.read(|tx| {
            let mut tasks = Vec::new();
            for stage in finished.iter().take(STAGES) {
                let found = tx.rows(&earlier(), values![repo, task, stage], |row| {
                    let (id, work_item) = (row.get(0)?, row.shown(1)?);
                    Ok(row.time(2)?.map(|ended_at| FinishedTask {
                        id,
                        work_item,
                        ended_at,
                    }))
                })?;
                tasks.extend(found.into_iter().flatten());
            }
            Ok(tasks)
        })
    }
}

/// Every query, for a check of their plans.
pub(crate) fn queries(tx: &dyn Tx) -> Vec<String> {
    vec![jobs(), attempts(tx), earlier()]
}

fn jobs() -> String {
    format!(
        "SELECT id, repo, agent, status, created_at, gate_ended_at, gate_lease_until, gate_worker,
            CAST(coalesce(gate_attempt, 0) AS BIGINT), gate_claimed_at, gate_error
         FROM jobs WHERE task_id = $1 ORDER BY id DESC LIMIT {JOBS} + 1"
    )
}

fn job_at(row: Row<'_>) -> Result<LifeJob, Error> {
    let (id, claimed_at) = (row.get(0)?, row.time(9)?);
    let worker = row.shown(7)?.filter(|_| claimed_at.is_some());
    let last = worker.map(|worker| {
        Ok::<_, Error>(LifeAttempt {
            job: id,
            attempt: row.get(8)?,
            worker,
            claimed_at,
            ended_at: None,
            end: None,
            error: row.shown(10)?,
        })
    });
    Ok(LifeJob {
        id,
        repo: row.shown(1)?,
        agent: row.shown(2)?,
        state: JobState::of(row.shown(3)?.as_deref()),
        created_at: row.time(4)?,
        ended_at: row.time(5)?,
        lease_until: row.time(6)?,
        last: last.transpose()?,
    })
}

fn attempts(tx: &dyn Tx) -> String {
    let then = tx.then_join();
    format!(
        "SELECT past.job, past.attempt, past.worker, past.claimed_at, past.error, past.ended_at,
            past.outcome
         FROM jobs {then} serial_gate_attempt AS past ON past.job = jobs.id
         WHERE jobs.task_id = $1 ORDER BY past.id DESC LIMIT {ATTEMPTS} + 1"
    )
}

fn earlier() -> String {
    format!(
        "SELECT id, work_item_id, CASE WHEN gate_stage = stage THEN gate_stage_at END FROM tasks
         WHERE repo = $1 AND id < $2 AND stage = $3 ORDER BY id DESC LIMIT {EARLIER}"
    )
}
