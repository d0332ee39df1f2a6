//! The work of tasks: which of their jobs matter.
//!
//! Owns the list. Leaves the work of all repos to `open_work`, the state of a job to `work_state`,
//! every change to `jobs` and `leases`, and what to do about it to the queue. Callers rely on this:
//! the list does not grow with the history of a task, and no ended job hides a job that matters.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::work_state::{JOB, JobWork, WorkState, job_at};
use crate::store::engine::{Tx, values};
use crate::store::indexes::{FAILED, FOREIGN, IS_FOREIGN, IS_OPEN, OPEN};
use crate::store::job::IS_FAILED;
use crate::store::{Error, Store, sql_time};

/// How many jobs of a task are listed of each kind, the newest first.
const JOBS_OF_A_TASK: u32 = 100;

/// The work of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct TaskWork {
    /// The job that matters most: a running one, else the newest that waits or failed, else the
    /// newest of all.
    #[serde(flatten)]
    pub first: JobWork,
    /// The other jobs that run, wait, or failed without a replacement.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<JobWork>,
}

impl TaskWork {
    /// The state of the task.
    pub fn state(&self) -> WorkState {
        self.first.state
    }

    /// The jobs that matter, the most important first.
    pub fn jobs(&self) -> impl Iterator<Item = &JobWork> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// From the newest job of a task, and those that may matter.
    fn of(mut jobs: Vec<JobWork>) -> TaskWork {
        // Two queries may both find a job that changes in between.
        jobs.sort_by_key(|job| std::cmp::Reverse(job.job_id));
        jobs.dedup_by_key(|job| job.job_id);
        let newest = jobs.first().cloned();
        jobs.retain(|job| !matches!(job.state, WorkState::Finished | WorkState::NoJob));
        // The order is kept otherwise.
        jobs.sort_by_key(|job| (!job.is_under_way(), job.is_under_way().then_some(job.state)));
        let mut jobs = jobs.into_iter();
        TaskWork {
            first: jobs.next().or(newest).unwrap_or_default(),
            others: jobs.collect(),
        }
    }
}

impl Store {
    /// The work of a task. Its cost does not depend on how many jobs the task has had.
    pub fn task_work(&mut self, now: Timestamp, task: i64) -> Result<TaskWork, Error> {
        let mut found = self.read(|tx| work_of(tx, now, &[task]))?;
        Ok(found.remove(&task).unwrap_or_default())
    }

    /// The state of a job, if there is one with this id.
    pub fn job_work(&mut self, now: Timestamp, job: i64) -> Result<Option<JobWork>, Error> {
        let sql = format!("SELECT {JOB} FROM jobs WHERE jobs.id = $2");
        self.read(|tx| tx.row(&sql, values![sql_time(now), job], job_at))
    }
}

/// Whether a job in this state matters.
pub(super) fn is_open(state: WorkState) -> bool {
    !matches!(state, WorkState::Finished | WorkState::NoJob)
}

/// The jobs that matter although they do not run, each kind with its index.
pub(super) const LEFT: [(&str, &str); 2] = [(FAILED, IS_FAILED), (FOREIGN, IS_FOREIGN)];

/// There is no later job of the same task and agent.
pub(super) const IS_LAST: &str = "NOT EXISTS (SELECT 1 FROM jobs AS later
    WHERE later.task_id = jobs.task_id AND later.id > jobs.id
        AND later.agent IS NOT DISTINCT FROM jobs.agent)";

/// The work of tasks. A task without a job is not in it.
pub(crate) fn work_of(
    tx: &dyn Tx,
    now: Timestamp,
    tasks: &[i64],
) -> Result<BTreeMap<i64, TaskWork>, Error> {
    let now = sql_time(now);
    let mut jobs = BTreeMap::<i64, Vec<JobWork>>::new();
    let read = |sql: &str, tasks: &[i64]| {
        let tasks = serde_json::Value::from(tasks).to_string();
        tx.rows(sql, values![now, tasks], |row| {
            Ok((row.get(1)?, job_at(row)?))
        })
    };
    for sql in that_matter(tx) {
        for (task, job) in read(&sql, tasks)? {
            jobs.entry(task).or_default().push(job);
        }
    }
    // The newest job counts only where none matters.
    let matter = |jobs: &Vec<JobWork>| jobs.iter().any(|job| is_open(job.state));
    let is_over = |task: &&i64| !jobs.get(*task).is_some_and(matter);
    let over: Vec<i64> = tasks.iter().filter(is_over).copied().collect();
    if !over.is_empty() {
        for (task, job) in read(&newest(tx), &over)? {
            jobs.entry(task).or_default().push(job);
        }
    }
    let work = jobs.into_iter();
    Ok(work
        .map(|(task, jobs)| (task, TaskWork::of(jobs)))
        .collect())
}

/// Every query of the work of tasks, for a check of their plans.
pub(crate) fn queries(tx: &dyn Tx) -> Vec<String> {
    std::iter::once(newest(tx)).chain(that_matter(tx)).collect()
}

/// The ids of the second parameter, a list, as a table: `given (id)`.
pub(super) fn given(tx: &dyn Tx) -> String {
    let texts = tx.texts_of("$2");
    format!("WITH texts (id) AS ({texts}), given (id) AS (SELECT CAST(id AS BIGINT) FROM texts)")
}

/// The newest job of each task.
fn newest(tx: &dyn Tx) -> String {
    let (given, then) = (given(tx), tx.then_join());
    format!(
        "{given} SELECT {JOB} FROM given {then} jobs ON jobs.id = (
            SELECT max(newest.id) FROM jobs AS newest WHERE newest.task_id = given.id)"
    )
}

/// The jobs of each task that matter, however many others there are.
fn that_matter(tx: &dyn Tx) -> Vec<String> {
    let (given, then) = (given(tx), tx.then_join());
    let some = |kind: &str, from: String| {
        format!(
            "{given} SELECT * FROM (
                SELECT {JOB}, row_number() OVER (PARTITION BY {kind} ORDER BY jobs.id DESC)
                    AS number
                {from}
             ) AS numbered WHERE number <= {JOBS_OF_A_TASK}"
        )
    };
    let by_index = tx.by_index(OPEN);
    let open = some(
        "jobs.task_id, jobs.status",
        format!("FROM given {then} jobs {by_index} ON jobs.task_id = given.id WHERE {IS_OPEN}"),
    );
    let left = LEFT.map(|(index, which)| {
        let by_index = tx.by_index(index);
        let from = format!(
            "FROM (
                SELECT max(ended.id) AS id FROM given {then} jobs AS ended {by_index}
                ON ended.task_id = given.id WHERE ({which})
                GROUP BY ended.task_id, ended.agent
             ) AS latest {then} jobs ON jobs.id = latest.id WHERE {IS_LAST}"
        );
        some("jobs.task_id", from)
    });
    std::iter::once(open).chain(left).collect()
}
