//! Rows for people: tasks, jobs and repos as `queue`, `repo` and `explain` show them.
//!
//! Owns the reference's helpers (`repo_has_active_task`, the parts of its snapshot), with the
//! reference's fixed rule: a task is unfinished while its stage is not `done`. Leaves to the caller
//! whose jobs are in the waiting lines, and to the policy what is held.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::branches::{BRANCH, TaskBranch, branch_at};
use super::known::each_in;
use super::waiting::{IS_ITS_ROW, QueuedSince, repos};
use super::work::{TaskWork, work_of};
use crate::clause::Agents;
use crate::store::engine::{Row, ToValue, Tx, values};
use crate::store::indexes::UNFINISHED;
use crate::store::job::IS_QUEUED;
use crate::store::{Error, Store};

/// A task for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct TaskRow {
    /// Its id.
    pub id: i64,
    /// The name that people know it by.
    pub work_item_id: Option<String>,
    /// Its repo.
    pub repo: Option<String>,
    /// Its stage.
    pub stage: Option<String>,
    /// Since when, UTC, if that is known.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    #[schema(format = DateTime)]
    pub since: Option<String>,
}

/// The first unfinished task of a repo, with the reference's keys.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct ActiveTask {
    /// Its id.
    #[serde(skip)]
    pub id: i64,
    /// The name that people know it by.
    pub work_item_id: Option<String>,
    /// Its stage.
    pub stage: Option<String>,
    /// Its branch, once planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<TaskBranch>,
}

/// A queued job in the waiting line of a repo.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct WaitingJob {
    /// Its id.
    pub job_id: i64,
    /// Its task.
    #[serde(skip)]
    pub task_id: Option<i64>,
    /// Its task's work item.
    pub work_item_id: Option<String>,
    /// Its task's stage.
    pub stage: Option<String>,
    /// Since when it is in the queue, if that is known.
    #[serde(skip)]
    pub queued: QueuedSince,
}

/// A job for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct JobRow {
    /// Its id.
    pub id: i64,
    /// Its task.
    pub task_id: Option<i64>,
    /// Its task's work item.
    pub work_item_id: Option<String>,
    /// The repo it works in.
    pub repo: Option<String>,
    /// Who does it.
    pub agent: Option<String>,
    /// Its status.
    pub status: Option<String>,
    /// The worker that claimed it last.
    pub worker: Option<String>,
    /// When that was, UTC.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    pub claimed_at: Option<String>,
    /// When a running job goes back to the queue without a heartbeat, UTC.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    pub lease_until: Option<String>,
    /// The error of a failed job.
    pub error: Option<String>,
}

impl JobRow {
    /// Until when a job is deferred whose branch could not be cut, or whose attempt failed.
    pub fn put_off_until(&self) -> Option<&str> {
        let is_running = self.status.as_deref() == Some("running");
        let is_put_off = is_running && self.worker.is_none() && self.error.is_some();
        self.lease_until.as_deref().filter(|_| is_put_off)
    }
}

/// The columns of [`task_at`].
pub(crate) const TASK: &str = "id, work_item_id, repo, stage,
    CASE WHEN gate_stage = stage THEN gate_stage_at END";

pub(crate) fn task_at(row: Row<'_>) -> Result<TaskRow, Error> {
    task_from(row, 0)
}

/// The same from a column on.
pub(crate) fn task_from(row: Row<'_>, column: usize) -> Result<TaskRow, Error> {
    Ok(TaskRow {
        id: row.get(column)?,
        work_item_id: row.shown(column + 1)?,
        repo: row.shown(column + 2)?,
        stage: row.shown(column + 3)?,
        since: row.shown(column + 4)?,
    })
}

/// The work item of a task, if it has one.
pub(crate) fn work_item_of(tx: &dyn Tx, task: i64) -> Result<Option<String>, Error> {
    let sql = "SELECT work_item_id FROM tasks WHERE id = $1";
    let found = tx.row(sql, values![task], |row| row.shown(0))?;
    Ok(found.flatten())
}

impl Store {
    /// A task, if there is one with this id.
    pub fn task(&mut self, id: i64) -> Result<Option<TaskRow>, Error> {
        let sql = format!("SELECT {TASK} FROM tasks WHERE id = $1");
        self.one(&sql, id, task_at)
    }

    /// Each of these tasks that exists, by its id, with its work: in a constant number of statements.
    pub fn tasks_at_work(
        &mut self,
        now: Timestamp,
        ids: &[i64],
    ) -> Result<BTreeMap<i64, (TaskRow, TaskWork)>, Error> {
        let given = serde_json::Value::from(ids).to_string();
        self.read(|tx| {
            let (texts, then) = (tx.texts_of("$1"), tx.then_join());
            let sql = format!(
                "WITH texts (id) AS ({texts}),
                    given (task) AS (SELECT CAST(id AS BIGINT) FROM texts)
                 SELECT {TASK} FROM given {then} tasks ON tasks.id = given.task"
            );
            let tasks = tx.rows(&sql, values![given], task_at)?;
            let mut work = work_of(tx, now, ids)?;
            let with_work = |task: TaskRow| {
                let work = work.remove(&task.id).unwrap_or_default();
                (task.id, (task, work))
            };
            Ok(tasks.into_iter().map(with_work).collect())
        })
    }

    /// A job, if there is one with this id.
    pub fn job(&mut self, id: i64) -> Result<Option<JobRow>, Error> {
        self.one(
            "SELECT id, task_id, repo, agent, status, gate_worker, gate_claimed_at,
             gate_lease_until, gate_error,
             (SELECT work_item_id FROM tasks WHERE tasks.id = jobs.task_id)
             FROM jobs WHERE id = $1",
            id,
            |row| {
                Ok(JobRow {
                    id: row.get(0)?,
                    task_id: row.id(1)?,
                    repo: row.shown(2)?,
                    agent: row.shown(3)?,
                    status: row.shown(4)?,
                    worker: row.shown(5)?,
                    claimed_at: row.shown(6)?,
                    lease_until: row.shown(7)?,
                    error: row.shown(8)?,
                    work_item_id: row.shown(9)?,
                })
            },
        )
    }

    /// Whether a repo has an unfinished task other than `except` (docs/rule.md, "Helpers that look
    /// alike"). Without a repo there is none.
    pub fn has_active_task(
        &mut self,
        repo: Option<&str>,
        except: Option<i64>,
    ) -> Result<bool, Error> {
        self.read(|tx| {
            tx.exists(
                "SELECT 1 FROM tasks WHERE repo = $1 AND stage != 'done' AND (CAST($2 AS BIGINT) IS NULL
                OR id != $2) LIMIT 1",
                values![repo, except],
            )
        })
    }

    /// The first unfinished task of a repo.
    pub fn active_task(&mut self, repo: &str) -> Result<Option<ActiveTask>, Error> {
        self.one(
            &format!(
                "SELECT id, work_item_id, stage, {BRANCH} FROM tasks WHERE repo = $1
                 AND stage != 'done' ORDER BY id LIMIT 1"
            ),
            repo,
            |row| {
                Ok(ActiveTask {
                    id: row.get(0)?,
                    work_item_id: row.shown(1)?,
                    stage: row.shown(2)?,
                    branch: branch_at(row, 3)?,
                })
            },
        )
    }

    /// The waiting line of a repo: the queued jobs of these agents.
    pub fn waiting(&mut self, repo: &str, agents: &Agents) -> Result<Vec<WaitingJob>, Error> {
        self.read(|tx| {
            let gated = agents.named(tx.dialect());
            tx.rows(
                &format!(
                    "SELECT jobs.id, jobs.task_id, tasks.work_item_id, tasks.stage, jobs.created_at,
                 noted.since
                 FROM jobs LEFT JOIN tasks ON tasks.id = jobs.task_id
                    LEFT JOIN serial_gate_head AS noted ON {IS_ITS_ROW}
                 WHERE jobs.repo = $1 AND jobs.{IS_QUEUED} AND {gated} ORDER BY jobs.id"
            ),
                values![repo],
                |row| {
                    Ok(WaitingJob {
                        job_id: row.get(0)?,
                        task_id: row.id(1)?,
                        work_item_id: row.shown(2)?,
                        stage: row.shown(3)?,
                        queued: QueuedSince {
                            created_at: row.time(4)?,
                            noted: row.time(5)?,
                        },
                    })
                },
            )
        })
    }

    /// The ids of the queued jobs, in claim order.
    pub fn queued_jobs(&mut self) -> Result<Vec<i64>, Error> {
        self.read(|tx| {
            tx.rows(
                &format!("SELECT id FROM jobs WHERE {IS_QUEUED} ORDER BY id"),
                &[],
                |row| row.get(0),
            )
        })
    }

    /// The repos with an active freeze or a waiting line of these agents.
    pub fn live_repos(&mut self, agents: &Agents) -> Result<Vec<String>, Error> {
        self.read(|tx| {
            let mut live = tx.rows(
                "SELECT DISTINCT repo FROM repo_freeze WHERE cleared_at IS NULL AND repo != ''",
                &[],
                |row| Ok(row.shown(0)?.unwrap_or_default()),
            )?;
            live.extend(repos(tx, agents)?);
            Ok(live)
        })
    }

    /// The repos with an unfinished task. Its cost depends on the number of repos, not of tasks.
    pub fn active_repos(&mut self) -> Result<Vec<String>, Error> {
        self.read(|tx| {
            // By the index of all tasks, a step would lead through the finished ones of a repo.
            let tasks = format!("tasks {}", tx.by_index(UNFINISHED));
            let given = each_in(&tasks, "repo", "AND stage != 'done'");
            tx.rows(
                &format!("WITH RECURSIVE {given} SELECT name FROM given WHERE name IS NOT NULL"),
                &[],
                |row| Ok(row.shown(0)?.unwrap_or_default()),
            )
        })
    }

    fn one<T>(
        &mut self,
        sql: &str,
        key: impl ToValue,
        read: impl FnOnce(Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.read(|tx| tx.row(sql, values![key], read))
    }
}
