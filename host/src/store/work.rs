//! The work of a task: which of its jobs matter, and how each of them is.
//!
//! Owns the state of a job as people see it, decided in one match, and the two lists that show it: of one task, and of all
//! that runs or failed. Leaves every change to `jobs` and `leases`, and what to do about a state to the queue. Callers rely
//! on this: no list grows with the history of a task or of the queue, and a job that another program moves without a lease
//! is never said to be worked on.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::claim::plan;
use super::task_end::FinishedStages;
use super::value::{ExactId, Shown};
use super::{Error, Store, sql_time};

/// How many jobs of a task are looked at, the newest first.
const JOBS_OF_A_TASK: u32 = 100;

/// How many running jobs are listed, and how many failed ones are looked at, the newest first.
const JOBS_OF_ALL: u32 = 10_000;

/// How a job is, or a task by the job that matters most.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WorkState {
    /// A worker has claimed it, and its lease goes on.
    Running,
    /// It was claimed, and its branch could not be cut. It is tried again later.
    PutOff,
    /// Its worker was not heard of before the lease ended. The next claim puts it back.
    Lapsed,
    /// Another program moved it without a lease. The gate cannot tell whether it is worked on.
    Foreign,
    /// It failed.
    Failed,
    /// It waits for a worker, or is held.
    Queued,
    /// It has ended. Of a task: every job has, and nothing runs or waits.
    Finished,
    /// The task has no job.
    #[default]
    NoJob,
}

impl WorkState {
    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            WorkState::Running => "running",
            WorkState::PutOff => "put_off",
            WorkState::Lapsed => "lapsed",
            WorkState::Foreign => "foreign",
            WorkState::Failed => "failed",
            WorkState::Queued => "queued",
            WorkState::Finished => "finished",
            WorkState::NoJob => "no_job",
        }
    }
}

/// A job, and how it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct JobWork {
    /// How it is.
    pub state: WorkState,
    /// Its id; none where a task has no job.
    pub job_id: Option<i64>,
    /// Its task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<i64>,
    /// Its task's work item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_item_id: Option<String>,
    /// The repo it works in.
    #[serde(skip)]
    pub repo: Option<String>,
    /// Who does it.
    pub agent: Option<String>,
    /// Its status in the database.
    pub status: Option<String>,
    /// The worker that claimed it last.
    pub worker: Option<String>,
    /// How often it was claimed.
    pub attempt: Option<i64>,
    /// When it was claimed last, UTC.
    pub since: Option<String>,
    /// Until when its worker has it without a heartbeat, or it is put off, UTC.
    pub lease_until: Option<String>,
    /// What went wrong last.
    pub error: Option<String>,
}

impl JobWork {
    /// Whether it counts as running: somebody may be working on it.
    fn is_under_way(&self) -> bool {
        self.status.as_deref() == Some("running")
    }
}

/// The work of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct TaskWork {
    /// The job that matters most: one that is under way, else the newest that waits or failed, else the newest of all.
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
            let jobs = query.query_map(params![sql_time(now), task], |row| job_at(row))?;
            Ok(TaskWork::of(jobs.collect::<Result<_, _>>()?))
        })
    }

    /// How a job is; none if there is none with this id.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn job_work(&mut self, now: Timestamp, job: i64) -> Result<Option<JobWork>, Error> {
        self.doing(|connection| {
            let sql = format!("SELECT {JOB} FROM jobs WHERE jobs.id = ?2");
            let mut query = connection.prepare_cached(&sql)?;
            let mut jobs = query.query_map(params![sql_time(now), job], |row| job_at(row))?;
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
                let rows = query.query_map(values, |row| job_with_task_at(row))?;
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

/// The columns of [`job_at`]; `?1` is now. An end of a lease is compared as a claim compares it.
const JOB: &str = "jobs.id, jobs.task_id, jobs.repo, jobs.agent, jobs.status, jobs.gate_worker, jobs.gate_claimed_at,
    jobs.gate_lease_until, jobs.gate_error, min(max(CAST(coalesce(jobs.gate_attempt, 0) AS INTEGER), 0), 1000000),
    jobs.gate_put_off IS NOT NULL AND jobs.gate_worker IS NULL AND jobs.gate_token IS NULL,
    jobs.gate_lease_until <= ?1";

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

fn job_at(row: &Row<'_>) -> rusqlite::Result<JobWork> {
    let text = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, Shown>(column)?.0);
    let status = text(4)?;
    let lease_until = text(7)?;
    let lease = match row.get::<_, Option<bool>>(11)? {
        None => Lease::None,
        Some(_) if row.get::<_, bool>(10)? => Lease::PutOff,
        Some(false) => Lease::GoesOn,
        Some(true) => Lease::IsOver,
    };
    let state = state(status.as_deref(), lease);
    // What an earlier claim left behind tells nothing of a job that waits, or that another program took.
    let is_claimed = !matches!(state, WorkState::Queued | WorkState::Foreign);
    let is_under_way = status.as_deref() == Some("running");
    Ok(JobWork {
        state,
        job_id: Some(row.get(0)?),
        task_id: None,
        work_item_id: None,
        repo: text(2)?,
        agent: text(3)?,
        status,
        worker: text(5)?.filter(|_| is_claimed),
        attempt: Some(row.get(9)?),
        since: text(6)?.filter(|_| is_claimed),
        lease_until: lease_until.filter(|_| is_under_way),
        error: text(8)?,
    })
}

/// What a job's lease says.
#[derive(Clone, Copy)]
enum Lease {
    /// There is none.
    None,
    /// It is a delay: the branch could not be cut.
    PutOff,
    GoesOn,
    IsOver,
}

/// The one place that decides how a job is.
fn state(status: Option<&str>, lease: Lease) -> WorkState {
    match (status, lease) {
        (Some("queued"), _) => WorkState::Queued,
        (Some("failed"), _) => WorkState::Failed,
        (Some("done" | "cancelled"), _) => WorkState::Finished,
        (Some("running"), Lease::PutOff) => WorkState::PutOff,
        (Some("running"), Lease::GoesOn) => WorkState::Running,
        (Some("running"), Lease::IsOver) => WorkState::Lapsed,
        (Some("running"), Lease::None) => WorkState::Foreign,
        (Some(other), _) if ends_a_job(other) => WorkState::Finished,
        (_, _) => WorkState::Foreign,
    }
}

/// Whether a status of another program's is a usual word for a job that has ended well, or is not wanted any more.
fn ends_a_job(status: &str) -> bool {
    const ENDS: [&str; 10] = [
        "done",
        "complete",
        "completed",
        "finished",
        "success",
        "succeeded",
        "canceled",
        "cancelled",
        "skipped",
        "closed",
    ];
    ENDS.contains(&status.trim().to_lowercase().as_str())
}
