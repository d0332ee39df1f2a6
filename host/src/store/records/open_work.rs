//! The work of all repos: which jobs run, and which wait for people.
//!
//! Owns the list and the counts. Leaves the work of one task to `work`, and the state of a job to
//! `work_state`. Callers rely on this: neither grows with the history of the queue, no ended job
//! hides a job that matters, and counts are complete.

use jiff::Timestamp;

use super::task_end::FinishedStages;
use super::work::{IS_LAST, LEFT, given, is_open};
use super::work_state::{JOB, JobWork, STATE, WorkState, job_at, state_at};
use crate::store::engine::{Row, Tx, values};
use crate::store::indexes::LEASED;
use crate::store::job::IS_RUNNING;
use crate::store::{Error, Store, sql_time};

/// How many jobs are listed of each kind, the newest first. All are counted.
const LISTED: u32 = 10_000;

/// What runs and what waits for people, in all repos.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenWork {
    /// The jobs by id; of very many, not all.
    pub jobs: Vec<JobWork>,
    /// How many there are, all of them.
    pub counts: Vec<WorkCount>,
}

/// Jobs of one repo that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkCount {
    /// The repo they work in.
    pub repo: Option<String>,
    /// Their state.
    pub state: WorkState,
    /// How many there are.
    pub jobs: usize,
    /// When the first of them was claimed, UTC.
    pub since: Option<String>,
}

impl Store {
    /// The jobs of all repos that run, failed, or have another program's status. The last two kinds
    /// count while their task is unfinished and has no later job of the same agent.
    pub fn open_work(
        &mut self,
        now: Timestamp,
        finished: &FinishedStages,
    ) -> Result<OpenWork, Error> {
        self.read(|tx| {
            let left = left(tx, finished)?;
            let (jobs, counts) = (jobs(tx, now, &left)?, counts(tx, now, &left)?);
            Ok(OpenWork { jobs, counts })
        })
    }

    /// The jobs of [`Store::open_work`], without the counts.
    pub fn open_jobs(
        &mut self,
        now: Timestamp,
        finished: &FinishedStages,
    ) -> Result<Vec<JobWork>, Error> {
        self.read(|tx| jobs(tx, now, &left(tx, finished)?))
    }
}

fn jobs(tx: &dyn Tx, now: Timestamp, left: &[Vec<i64>; 2]) -> Result<Vec<JobWork>, Error> {
    let mut jobs = read_open(tx, now, left, listed, job_with_task_at)?;
    jobs.retain(|job| is_open(job.state));
    jobs.sort_by_key(|job| job.job_id);
    jobs.dedup_by_key(|job| job.job_id);
    Ok(jobs)
}

/// The counts of [`Store::open_work`].
pub(crate) fn open_counts(
    tx: &dyn Tx,
    now: Timestamp,
    finished: &FinishedStages,
) -> Result<Vec<WorkCount>, Error> {
    counts(tx, now, &left(tx, finished)?)
}

/// Every query of the counts, for a check of their plans.
pub(crate) fn queries_of_counts(tx: &dyn Tx) -> Vec<String> {
    let left = LEFT.map(|(index, which)| left_query(tx, index, which));
    let counted = [counted(tx, Kind::Running), counted(tx, Kind::Left)];
    left.into_iter().chain(counted).collect()
}

/// Every query of the list, besides those.
pub(crate) fn queries_of_list(tx: &dyn Tx) -> Vec<String> {
    vec![listed(tx, Kind::Running), listed(tx, Kind::Left)]
}

/// Which jobs are read.
#[derive(Clone, Copy)]
enum Kind {
    Running,
    /// Those that neither run nor ended.
    Left,
}

/// The jobs that failed, and those with another program's status, of unfinished tasks: the newest of
/// each task and agent, and each job without a task. They are read first, because a server cannot
/// know how few they are, and would read all jobs to join them.
fn left(tx: &dyn Tx, finished: &FinishedStages) -> Result<[Vec<i64>; 2], Error> {
    let read = |(index, which)| {
        let query = left_query(tx, index, which);
        tx.rows(&query, values![finished.as_json()], |row| row.get(0))
    };
    let [failed, foreign] = LEFT;
    Ok([read(failed)?, read(foreign)?])
}

fn left_query(tx: &dyn Tx, index: &str, which: &str) -> String {
    let (by_index, finished) = (tx.by_index(index), tx.texts_of("$1"));
    format!(
        "SELECT latest.id FROM (
            SELECT max(id) AS id, task_id FROM jobs {by_index}
            WHERE task_id IS NOT NULL AND ({which}) GROUP BY task_id, agent
            UNION ALL
            SELECT id, task_id FROM jobs {by_index} WHERE task_id IS NULL AND ({which})
         ) AS latest
         WHERE coalesce((SELECT stage FROM tasks WHERE tasks.id = latest.task_id), '')
            NOT IN ({finished})"
    )
}

fn counts(tx: &dyn Tx, now: Timestamp, left: &[Vec<i64>; 2]) -> Result<Vec<WorkCount>, Error> {
    let mut counts = read_open(tx, now, left, counted, count_at)?;
    counts.retain(|count| is_open(count.state));
    Ok(counts)
}

/// Reads something of each kind of jobs.
fn read_open<T>(
    tx: &dyn Tx,
    now: Timestamp,
    left: &[Vec<i64>; 2],
    query: fn(&dyn Tx, Kind) -> String,
    read: fn(Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let now = sql_time(now);
    let mut found = tx.rows(&query(tx, Kind::Running), values![now], read)?;
    for ids in left.iter().filter(|ids| !ids.is_empty()) {
        let ids = serde_json::Value::from(ids.as_slice()).to_string();
        found.extend(tx.rows(&query(tx, Kind::Left), values![now, ids], read)?);
    }
    Ok(found)
}

fn listed(tx: &dyn Tx, kind: Kind) -> String {
    let (with, from) = of(tx, kind);
    format!("{with} SELECT {JOB}, tasks.work_item_id {from} ORDER BY jobs.id DESC LIMIT {LISTED}")
}

fn counted(tx: &dyn Tx, kind: Kind) -> String {
    let (with, from) = of(tx, kind);
    format!(
        "{with} SELECT jobs.repo, count(*), min(jobs.gate_claimed_at), {STATE} {from}
         GROUP BY 1, 4, 5, 6"
    )
}

/// What comes before a query's columns, and what after them.
fn of(tx: &dyn Tx, kind: Kind) -> (String, String) {
    let with_task = "LEFT JOIN tasks ON tasks.id = jobs.task_id";
    match kind {
        Kind::Running => {
            let by_index = tx.by_index(LEASED);
            let from = format!("FROM jobs {by_index} {with_task} WHERE jobs.{IS_RUNNING}");
            (String::new(), from)
        }
        Kind::Left => {
            let then = tx.then_join();
            let from =
                format!("FROM given {then} jobs ON jobs.id = given.id {with_task} WHERE {IS_LAST}");
            (given(tx), from)
        }
    }
}

fn count_at(row: Row<'_>) -> Result<WorkCount, Error> {
    Ok(WorkCount {
        repo: row.shown(0)?,
        jobs: row.get(1)?,
        since: row.shown(2)?,
        state: state_at(row, 3)?,
    })
}

fn job_with_task_at(row: Row<'_>) -> Result<JobWork, Error> {
    Ok(JobWork {
        work_item_id: row.shown(13)?,
        task_id: row.id(1)?,
        ..job_at(row)?
    })
}
