//! Which repos and agents a queue knows, so that a mistyped name is noticed.
//!
//! Owns the look-ups, whose cost does not depend on how many rows there are: they go from one name
//! to the next in an index. A repo is known if any task, job, freeze (cleared ones too) or deploy
//! has it; an agent, if any job ever had it. Leaves to callers the names in a configuration, and
//! what to report about an unknown name. Callers rely on this: a value that is no text is no name.

use crate::store::engine::{Row, Tx, Value, values};
use crate::store::indexes::{PARTITIONS, QUEUED};
use crate::store::job::IS_QUEUED;
use crate::store::{Error, Store};

/// Where a repo's name can be.
pub(crate) const WITH_REPOS: [&str; 4] = ["tasks", "jobs", "repo_freeze", "serial_gate_deploy"];

/// Where it is the repo of work.
const WITH_WORK: [&str; 2] = ["tasks", "jobs"];

/// How many names are read to suggest the intended one.
pub(crate) const NAMES: u32 = 20_000;

/// How many agents of a repo are read, and how many jobs of each.
const AGENTS: usize = 20;
const JOBS: usize = 100;

/// Up to how many queued jobs are counted.
const COUNTED: u32 = 1_000;

/// Whether queued jobs are the first of their task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firsts {
    /// Some are.
    Some,
    /// None is.
    None,
    /// None of those that were read is, and there are more.
    NotLookedAt,
}

impl Store {
    /// Whether a row has this repo.
    pub fn knows_repo(&mut self, repo: &str) -> Result<bool, Error> {
        self.read(|tx| is_in(tx, &WITH_REPOS, repo))
    }

    /// Whether as many tasks, finished or not, have this repo.
    pub fn has_tasks_in(&mut self, repo: &str, tasks: u32) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM tasks WHERE repo = $1 LIMIT 1 OFFSET $2 - 1";
        self.read(|tx| tx.exists(sql, values![repo, tasks]))
    }

    /// Whether a task or a job has this repo.
    pub fn has_work_in(&mut self, repo: &str) -> Result<bool, Error> {
        self.read(|tx| is_in(tx, &WITH_WORK, repo))
    }

    /// The repos that rows have, each once, in no order.
    pub fn known_repos(&mut self) -> Result<Vec<String>, Error> {
        self.read(|tx| repos_in(tx, &WITH_REPOS))
    }

    /// The repos of tasks and jobs, each once, in no order.
    pub fn repos_with_work(&mut self) -> Result<Vec<String>, Error> {
        self.read(|tx| repos_in(tx, &WITH_WORK))
    }

    /// The repos with an active freeze, each once.
    pub fn frozen_repos(&mut self) -> Result<Vec<String>, Error> {
        let sql = format!(
            "SELECT DISTINCT repo FROM repo_freeze WHERE cleared_at IS NULL AND repo > ''
             LIMIT {NAMES}"
        );
        self.read(|tx| names(tx, &sql, &[]))
    }

    /// The agents of a repo's queued jobs, and whether these are all.
    pub fn queued_agents(&mut self, repo: &str) -> Result<(Vec<String>, bool), Error> {
        self.read(|tx| {
            let jobs = format!("jobs {}", tx.by_index(PARTITIONS));
            let sql = format!(
                "WITH RECURSIVE found (agent) AS (
                    SELECT min(agent) FROM {jobs}
                    WHERE {IS_QUEUED} AND repo = $1 AND agent >= ''
                    UNION ALL
                    SELECT (SELECT min(agent) FROM {jobs}
                        WHERE {IS_QUEUED} AND repo = $1 AND agent > found.agent) FROM found
                    WHERE found.agent IS NOT NULL
                 ) SELECT agent FROM found WHERE agent IS NOT NULL LIMIT {AGENTS} + 1"
            );
            let mut agents = names(tx, &sql, values![repo])?;
            let are_all = agents.len() <= AGENTS;
            agents.truncate(AGENTS);
            Ok((agents, are_all))
        })
    }

    /// Whether queued jobs of an agent in a repo are the first of their task, judged by a few of
    /// them.
    pub fn firsts_of(&mut self, repo: &str, agent: &str) -> Result<Firsts, Error> {
        self.read(|tx| {
            let sql = format!(
                "SELECT CASE WHEN EXISTS (SELECT 1 FROM jobs AS earlier
                    WHERE earlier.task_id = job.task_id AND earlier.id < job.id)
                    THEN 0 ELSE 1 END
                 FROM jobs AS job {}
                 WHERE {IS_QUEUED} AND repo = $1 AND agent = $2 LIMIT {JOBS} + 1",
                tx.by_index(PARTITIONS)
            );
            let are_first: Vec<bool> = tx.rows(&sql, values![repo, agent], |row| row.get(0))?;
            Ok(if are_first.contains(&true) {
                Firsts::Some
            } else if are_first.len() > JOBS {
                Firsts::NotLookedAt
            } else {
                Firsts::None
            })
        })
    }

    /// The agents of the first jobs of a repo's latest tasks, judged by its newest jobs.
    pub fn last_first_agents(&mut self, repo: &str) -> Result<Vec<String>, Error> {
        let sql = format!(
            "SELECT DISTINCT (SELECT agent FROM jobs AS first
                WHERE first.task_id = newest.task_id ORDER BY first.id LIMIT 1)
             FROM (SELECT task_id FROM jobs WHERE repo = $1 ORDER BY id DESC
             LIMIT {JOBS}) AS newest
             WHERE newest.task_id IS NOT NULL"
        );
        self.read(|tx| names(tx, &sql, values![repo]))
    }

    /// Whether any job, in whatever state, has this agent.
    pub fn knows_agent(&mut self, agent: &str) -> Result<bool, Error> {
        self.has_jobs_of(agent, 1)
    }

    /// Whether as many jobs, in whatever state, have this agent.
    pub fn has_jobs_of(&mut self, agent: &str, jobs: u32) -> Result<bool, Error> {
        // The words of the index that covers the jobs in every state.
        let sql = "SELECT 1 FROM jobs WHERE agent || '' = $1 LIMIT 1 OFFSET $2 - 1";
        self.read(|tx| tx.exists(sql, values![agent, jobs]))
    }

    /// The agents that jobs have had.
    pub fn known_agents(&mut self) -> Result<Vec<String>, Error> {
        self.read(|tx| each_name(tx, "jobs", "agent || ''"))
    }

    /// The stages that tasks are in.
    pub fn known_stages(&mut self) -> Result<Vec<String>, Error> {
        let sql = "SELECT DISTINCT stage || '' FROM tasks LIMIT 1000";
        self.read(|tx| names(tx, sql, &[]))
    }

    /// Whether any job is queued.
    pub fn has_queued_jobs(&mut self) -> Result<bool, Error> {
        self.has_more_queued_than(0)
    }

    /// Whether more than `most` jobs are queued. Reads no more of them.
    pub fn has_more_queued_than(&mut self, most: usize) -> Result<bool, Error> {
        self.read(|tx| {
            let sql = format!(
                "SELECT 1 FROM jobs {} WHERE {IS_QUEUED} ORDER BY id LIMIT 1 OFFSET $1",
                tx.by_index(QUEUED)
            );
            tx.exists(&sql, values![most])
        })
    }

    /// How many jobs of an agent are queued; none if there are more than are counted.
    pub fn queued_for(&mut self, agent: &str) -> Result<Option<u32>, Error> {
        self.read(|tx| {
            let sql = format!(
                "SELECT count(*) FROM (SELECT 1 FROM jobs {}
                 WHERE {IS_QUEUED} AND agent = $1 LIMIT {COUNTED} + 1) AS counted",
                tx.by_index(PARTITIONS)
            );
            let counted: u32 = tx.only(&sql, values![agent], |row| row.get(0))?;
            Ok(Some(counted).filter(|counted| *counted <= COUNTED))
        })
    }
}

/// The repos of tasks and jobs, all of them, each once, in their order.
pub(crate) fn repos_with_work(tx: &dyn Tx) -> Result<Vec<String>, Error> {
    all_repos_in(tx, &WITH_WORK)
}

/// The queries of [`all_repos_in`], for a check of their plans.
pub(crate) fn queries_of_all_repos_in(tables: &[&str]) -> Vec<String> {
    tables.iter().map(|table| walk(table, "repo")).collect()
}

/// The repos that rows of these tables have, all of them, each once, in their order.
pub(crate) fn all_repos_in(tx: &dyn Tx, tables: &[&str]) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for table in tables {
        all.extend(names(tx, &walk(table, "repo"), &[])?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn is_in(tx: &dyn Tx, tables: &[&str], repo: &str) -> Result<bool, Error> {
    for table in tables {
        let sql = format!("SELECT 1 FROM {table} WHERE repo = $1 LIMIT 1");
        if tx.exists(&sql, values![repo])? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn repos_in(tx: &dyn Tx, tables: &[&str]) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for table in tables {
        all.extend(each_name(tx, table, "repo")?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The names in an indexed column, from one to the next in the index.
fn each_name(tx: &dyn Tx, table: &str, column: &str) -> Result<Vec<String>, Error> {
    let sql = format!("{} LIMIT {NAMES}", walk(table, column));
    names(tx, &sql, &[])
}

fn walk(table: &str, column: &str) -> String {
    let given = each_in(table, column, "");
    format!("WITH RECURSIVE {given} SELECT name FROM given WHERE name IS NOT NULL")
}

/// The names in an indexed column as a table for `WITH RECURSIVE`, `given (name)`, whose last name
/// is NULL. It goes from one name to the next in the index. Texts sort after numbers.
pub(crate) fn each_in(table: &str, column: &str, which: &str) -> String {
    format!(
        "given (name) AS (
            SELECT min({column}) FROM {table} WHERE {column} > '' {which}
            UNION ALL
            SELECT (SELECT min({column}) FROM {table} WHERE {column} > given.name {which})
            FROM given WHERE given.name IS NOT NULL
         )"
    )
}

/// The names that a query finds.
fn names(tx: &dyn Tx, sql: &str, values: &[Value<'_>]) -> Result<Vec<String>, Error> {
    let found = tx.rows(sql, values, name)?;
    Ok(found.into_iter().flatten().collect())
}

fn name(row: Row<'_>) -> Result<Option<String>, Error> {
    match row.0.value(0)? {
        value @ Value::Text(_) => Ok(value.shown()),
        _ => Ok(None),
    }
}
