//! The work of a task, and of all repos: which jobs matter.
//!
//! Owns the two lists: the jobs of one task, and all that run or failed. Leaves how a job is to `work_state`, every change to
//! `jobs` and `leases`, and what to do about it to the queue. Callers rely on this: no list grows with the history of a task
//! or of the queue.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::claim::plan;
use super::task_end::FinishedStages;
use super::value::{ExactId, Shown};
use super::work_state::{JOB, JobWork, WorkState, job_at};
use super::{Error, Store, sql_time};

/// How many jobs of a task are looked at, the newest first.
const JOBS_OF_A_TASK: u32 = 100;

/// How many running jobs are listed, and how many failed ones are looked at, the newest first.
const JOBS_OF_ALL: u32 = 10_000;

/// The work of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct TaskWork {
    /// The job that matters most: a running one, else the newest that waits or failed, else the newest of all.
    #[serde(flatten)]
    pub first: JobWork,
    /// The other jobs that are under way, wait, or failed and were not replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<JobWork>,
}

impl TaskWork {
    /// How the task is.
    pub fn state(&self) -> WorkState {
        self.first.state
    }

    /// The jobs that matter, the most important first.
    pub fn jobs(&self) -> impl Iterator<Item = &JobWork> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// From the jobs of a task, the newest first.
    fn of(jobs: Vec<JobWork>) -> TaskWork {
        let newest = jobs.first().cloned();
        let mut agents = BTreeSet::new();
        let mut matter: Vec<JobWork> = jobs
            .into_iter()
            .filter(|job| {
                let is_newest_of_agent = agents.insert(job.agent.clone());
                match job.state {
                    WorkState::Finished | WorkState::NoJob => false,
                    WorkState::Queued => true,
                    _ => job.is_under_way() || is_newest_of_agent,
                }
            })
            .collect();
        // The order is kept otherwise.
        matter.sort_by_key(|job| (!job.is_under_way(), job.is_under_way().then_some(job.state)));
        let mut matter = matter.into_iter();
        let first = matter.next().or(newest).unwrap_or_default();
        TaskWork {
            first,
            others: matter.collect(),
        }
    }
}

impl Store {
    /// The work of a task. What it costs does not depend on how many jobs the task has had.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn task_work(&mut self, now: Timestamp, task: i64) -> Result<TaskWork, Error> {
        self.doing(|connection| {
            let mut query = connection.prepare_cached(&of_a_task())?;
            let jobs = query.query_map(params![sql_time(now), task], job_at)?;
            Ok(TaskWork::of(jobs.collect::<Result<_, _>>()?))
        })
    }

    /// How a job is, if there is one with this id.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn job_work(&mut self, now: Timestamp, job: i64) -> Result<Option<JobWork>, Error> {
        self.doing(|connection| {
            let sql = format!("SELECT {JOB} FROM jobs WHERE jobs.id = ?2");
            let mut query = connection.prepare_cached(&sql)?;
            let mut jobs = query.query_map(params![sql_time(now), job], job_at)?;
            Ok(jobs.next().transpose()?)
        })
    }

    /// The jobs of all repos that run, in whatever way, and those that failed, by id. A failed job counts while its task
    /// is unfinished and no later job of the same task and agent is there.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn open_work(
        &mut self,
        now: Timestamp,
        finished: &FinishedStages,
    ) -> Result<Vec<JobWork>, Error> {
        let now = sql_time(now);
        self.doing(|connection| {
            let mut jobs = Vec::new();
            let mut read = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
                let mut query = connection.prepare_cached(sql)?;
                let rows = query.query_map(values, job_with_task_at)?;
                for job in rows {
                    jobs.push(job?);
                }
                Ok::<_, rusqlite::Error>(())
            };
            read(&running(), &[&now])?;
            read(&failed(), &[&now, &finished.as_json()])?;
            jobs.sort_by_key(|job| job.job_id);
            Ok(jobs)
        })
    }

    /// The steps of SQLite's plan for the work of a task, for what runs, and for what failed.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn work_plans(&mut self) -> Result<Vec<Vec<String>>, Error> {
        self.doing(|connection| {
            let queries = [of_a_task(), running(), failed()];
            Ok(queries
                .iter()
                .map(|query| plan(connection, query))
                .collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn of_a_task() -> String {
    format!(
        "SELECT {JOB} FROM jobs WHERE jobs.task_id = ?2 ORDER BY jobs.id DESC LIMIT {JOBS_OF_A_TASK}"
    )
}

fn running() -> String {
    format!(
        "SELECT {JOB}, tasks.work_item_id FROM jobs INDEXED BY serial_gate_jobs_leased
         LEFT JOIN tasks ON tasks.id = jobs.task_id WHERE jobs.status = 'running' LIMIT {JOBS_OF_ALL}"
    )
}

fn failed() -> String {
    format!(
        "SELECT {JOB}, tasks.work_item_id FROM (
            SELECT id FROM jobs INDEXED BY {FAILED} WHERE status = 'failed' ORDER BY id DESC LIMIT {JOBS_OF_ALL}
         ) AS latest CROSS JOIN jobs ON jobs.id = latest.id CROSS JOIN tasks ON tasks.id = jobs.task_id
         WHERE tasks.stage NOT IN (SELECT value FROM json_each(?2)) AND NOT EXISTS (
            SELECT 1 FROM jobs AS later WHERE later.task_id = jobs.task_id AND later.id > jobs.id
                AND later.agent IS jobs.agent)",
        FAILED = super::schema::FAILED,
    )
}

fn job_with_task_at(row: &Row<'_>) -> rusqlite::Result<JobWork> {
    Ok(JobWork {
        work_item_id: row.get::<_, Shown>(12)?.0,
        task_id: row.get::<_, ExactId>(1)?.0,
        ..job_at(row)?
    })
}
