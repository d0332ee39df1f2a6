//! What the overview shows of every repo, and more of a few of them.
//!
//! Owns the statements, whose number does not depend on how many repos there are. Each goes by an
//! index, and reads what is open: no finished task, no job that ended well, no cleared freeze. Leaves
//! the order of the repos to the queue. Callers rely on this: what cannot be read is an error, and
//! nothing is left out of a long list.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::branches::{BRANCH, branch_at};
use super::known::{all_repos_in, queries_of_all_repos_in};
use super::lookup::{ActiveTask, TASK, TaskRow, task_from};
use super::open_work::{WorkCount, open_counts, queries_of_counts};
use super::task_end::FinishedStages;
use super::unfinished::{first_tasks, query_of_first_tasks};
use super::waiting::{IS_ITS_ROW, QueuedSince};
use super::work::{TaskWork, work_of};
use crate::store::engine::{Row, Tx, values};
use crate::store::indexes::PARTITIONS;
use crate::store::job::IS_QUEUED;
use crate::store::{Error, Store};

/// How many waiting jobs of a repo are shown.
const NEXT: u32 = 3;

/// Where a repo's name can be besides `tasks`.
const BESIDES_TASKS: [&str; 3] = ["jobs", "repo_freeze", "serial_gate_deploy"];

/// What every repo has, each list in no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverviewRows {
    /// The repos of tasks, jobs, freezes and deploys; a repo may be there more than once.
    pub repos: Vec<String>,
    /// The first unfinished task of each repo that has one, with the state of its jobs.
    pub active: Vec<(TaskRow, TaskWork)>,
    /// The newest active freeze of each frozen repo.
    pub freezes: Vec<NewestFreeze>,
    /// How many jobs run or failed.
    pub counts: Vec<WorkCount>,
    /// The queued jobs.
    pub waiting: Vec<Line>,
}

/// The newest active freeze of a repo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestFreeze {
    /// The repo.
    pub repo: String,
    /// Its number.
    pub number: i64,
    /// When the repo was frozen, if that is a time.
    pub since: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
    /// How many active freezes the repo has, this one included.
    pub active: usize,
}

/// The queued jobs of a repo, of all agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The repo; none for the jobs without one.
    pub repo: Option<String>,
    /// How many there are.
    pub jobs: usize,
    /// Since when the first of them is in the queue.
    pub first: QueuedSince,
}

/// What is shown of a repo besides its row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepoRows {
    /// Its first unfinished task, with its branch.
    pub active: Option<ActiveTask>,
    /// What the jobs of that task do.
    pub work: TaskWork,
    /// Its first queued jobs.
    pub next: Vec<QueuedJob>,
}

/// A queued job of any agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedJob {
    /// Its id.
    pub job_id: i64,
    /// Its task.
    pub task_id: Option<i64>,
    /// Its task's work item.
    pub work_item_id: Option<String>,
    /// Who does it.
    pub agent: Option<String>,
    /// Since when it is in the queue, if that is known.
    pub queued: QueuedSince,
}

impl Store {
    /// What every repo has.
    pub fn overview_rows(
        &mut self,
        now: Timestamp,
        finished: &FinishedStages,
    ) -> Result<OverviewRows, Error> {
        self.read(|tx| {
            let mut repos = all_repos_in(tx, &BESIDES_TASKS)?;
            let mut active = Vec::new();
            for (repo, task) in first_tasks(tx, None, finished, TASK, first_at)? {
                repos.push(repo);
                active.extend(task);
            }
            let ids: Vec<i64> = active.iter().map(|task: &TaskRow| task.id).collect();
            let mut work = work_of(tx, now, &ids)?;
            let with_work = |task: TaskRow| {
                let work = work.remove(&task.id).unwrap_or_default();
                (task, work)
            };
            Ok(OverviewRows {
                repos,
                active: active.into_iter().map(with_work).collect(),
                freezes: tx.rows(&newest_freezes(tx), &[], freeze_at)?,
                counts: open_counts(tx, now, finished)?,
                waiting: tx.rows(&lines(tx), &[], line_at)?,
            })
        })
    }

    /// The same for a few repos, and more of each.
    pub fn rows_of_repos(
        &mut self,
        now: Timestamp,
        finished: &FinishedStages,
        repos: &[String],
    ) -> Result<BTreeMap<String, RepoRows>, Error> {
        let names = serde_json::Value::from(repos).to_string();
        self.read(|tx| {
            let active = first_tasks(tx, Some(repos), finished, &with_branch(), active_at)?;
            let ids = active
                .iter()
                .filter_map(|(_, task)| Some(task.as_ref()?.id));
            let mut work = work_of(tx, now, &ids.collect::<Vec<i64>>())?;
            let mut rows = BTreeMap::<String, RepoRows>::new();
            for (repo, active) in active {
                let work = active.as_ref().and_then(|task| work.remove(&task.id));
                let row = RepoRows {
                    active,
                    work: work.unwrap_or_default(),
                    next: Vec::new(),
                };
                rows.insert(repo, row);
            }
            for (repo, job) in tx.rows(&next_jobs(tx), values![names], next_at)? {
                rows.entry(repo).or_default().next.push(job);
            }
            Ok(rows)
        })
    }
}

/// Every query of this file, for a check of their plans.
pub(crate) fn queries(tx: &dyn Tx, finished: &FinishedStages) -> Vec<String> {
    let mut queries = queries_of_all_repos_in(&BESIDES_TASKS);
    queries.extend(queries_of_counts(tx));
    queries.extend([
        query_of_first_tasks(tx, false, finished, TASK),
        query_of_first_tasks(tx, true, finished, &with_branch()),
        newest_freezes(tx),
        lines(tx),
        next_jobs(tx),
    ]);
    queries
}

fn first_at(row: Row<'_>) -> Result<(String, Option<TaskRow>), Error> {
    let repo = row.shown(0)?.unwrap_or_default();
    let is_there = row.id(1)?.is_some();
    Ok((repo, is_there.then(|| task_from(row, 1)).transpose()?))
}

fn with_branch() -> String {
    format!("tasks.id, work_item_id, stage, {BRANCH}")
}

fn active_at(row: Row<'_>) -> Result<(String, Option<ActiveTask>), Error> {
    let repo = row.shown(0)?.unwrap_or_default();
    let Some(id) = row.id(1)? else {
        return Ok((repo, None));
    };
    let task = ActiveTask {
        id,
        work_item_id: row.shown(2)?,
        stage: row.shown(3)?,
        branch: branch_at(row, 4)?,
    };
    Ok((repo, Some(task)))
}

/// The number is that of [`Store::active_freeze`].
fn newest_freezes(tx: &dyn Tx) -> String {
    format!(
        "SELECT newest.repo, CAST(CASE WHEN newest.gate_number IS NULL THEN newest.id
            ELSE active.number END AS BIGINT), newest.frozen_at, newest.reason, active.freezes
         FROM (
            SELECT max(id) AS id, max(gate_number) AS number, count(*) AS freezes
            FROM repo_freeze WHERE cleared_at IS NULL AND repo != '' GROUP BY repo
         ) AS active {} repo_freeze AS newest ON newest.id = active.id",
        tx.then_join()
    )
}

fn freeze_at(row: Row<'_>) -> Result<NewestFreeze, Error> {
    Ok(NewestFreeze {
        repo: row.shown(0)?.unwrap_or_default(),
        number: row.get(1)?,
        since: row.time(2)?,
        reason: row.shown(3)?,
        active: row.get(4)?,
    })
}

fn lines(tx: &dyn Tx) -> String {
    let (by_index, then) = (tx.by_index(PARTITIONS), tx.then_join());
    format!(
        "SELECT jobs.repo, line.jobs, jobs.created_at, noted.since
         FROM (
            SELECT min(id) AS id, count(*) AS jobs FROM jobs {by_index} WHERE {IS_QUEUED}
            GROUP BY repo
         ) AS line {then} jobs ON jobs.id = line.id
         LEFT JOIN serial_gate_head AS noted ON {IS_ITS_ROW}"
    )
}

fn line_at(row: Row<'_>) -> Result<Line, Error> {
    Ok(Line {
        repo: row.shown(0)?,
        jobs: row.get(1)?,
        first: queued_at(row, 2)?,
    })
}

fn queued_at(row: Row<'_>, first: usize) -> Result<QueuedSince, Error> {
    Ok(QueuedSince {
        created_at: row.time(first)?,
        noted: row.time(first + 1)?,
    })
}

/// No `ORDER BY id LIMIT`: a server would look for the jobs of a repo among all queued ones.
fn next_jobs(tx: &dyn Tx) -> String {
    let (by_index, then, names) = (tx.by_index(PARTITIONS), tx.then_join(), tx.texts_of("$1"));
    format!(
        "WITH given (name) AS ({names}), line (id, number) AS (
            SELECT queued.id, row_number() OVER (PARTITION BY queued.repo ORDER BY queued.id)
            FROM given {then} jobs AS queued {by_index} ON queued.repo = given.name
            WHERE {IS_QUEUED}
         ) SELECT jobs.repo, jobs.id, jobs.task_id, tasks.work_item_id, jobs.agent,
            jobs.created_at, noted.since
         FROM line {then} jobs ON jobs.id = line.id
         LEFT JOIN tasks ON tasks.id = jobs.task_id
         LEFT JOIN serial_gate_head AS noted ON {IS_ITS_ROW}
         WHERE line.number <= {NEXT} ORDER BY jobs.id"
    )
}

fn next_at(row: Row<'_>) -> Result<(String, QueuedJob), Error> {
    let job = QueuedJob {
        job_id: row.get(1)?,
        task_id: row.id(2)?,
        work_item_id: row.shown(3)?,
        agent: row.shown(4)?,
        queued: queued_at(row, 5)?,
    };
    Ok((row.shown(0)?.unwrap_or_default(), job))
}
