//! Which repos and agents a queue knows, so that a mistyped name is noticed.
//!
//! Owns the look-ups, whose cost does not depend on how many rows there are: they go from one name
//! to the next in an index. A repo is known if any task, job, freeze (cleared ones too) or deploy
//! has it; an agent, if any job ever had it. Leaves to callers the names in a configuration, and
//! what to report about an unknown name. It stays with SQLite, because it looks into files that are
//! not prepared, and skips values that only SQLite lets into a text column.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::engine::Sqlite;
use super::value::Shown;
use crate::store::Error;
use crate::store::indexes::PARTITIONS;
use crate::store::job::IS_QUEUED;

/// Where a repo's name can be.
const WITH_REPOS: [&str; 4] = ["tasks", "jobs", "repo_freeze", "serial_gate_deploy"];

/// Where it is the repo of work.
const WITH_WORK: [&str; 2] = ["tasks", "jobs"];

/// How many names are read to suggest the intended one.
const NAMES: u32 = 20_000;

/// How many agents of a repo are read, and how many jobs of each.
const AGENTS: usize = 20;
const JOBS: u32 = 100;

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

impl Sqlite {
    /// Whether a row has this repo.
    pub fn knows_repo(&mut self, repo: &str) -> Result<bool, Error> {
        self.read(|connection| Ok(is_in(connection, &WITH_REPOS, repo)?))
    }

    /// Whether a task or a job has this repo.
    pub fn has_work_in(&mut self, repo: &str) -> Result<bool, Error> {
        self.read(|connection| Ok(is_in(connection, &WITH_WORK, repo)?))
    }

    /// The repos that rows have, each once, in no order.
    pub fn known_repos(&mut self) -> Result<Vec<String>, Error> {
        self.read(|connection| Ok(repos_in(connection, &WITH_REPOS)?))
    }

    /// The repos of tasks and jobs, each once, in no order.
    pub fn repos_with_work(&mut self) -> Result<Vec<String>, Error> {
        self.read(|connection| Ok(repos_in(connection, &WITH_WORK)?))
    }

    /// The repos with an active freeze, each once.
    pub fn frozen_repos(&mut self) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT DISTINCT repo FROM repo_freeze WHERE cleared_at IS NULL AND repo > ''
                 LIMIT {NAMES}"
            ))?;
            let rows =
                query.query_map([], |row| Ok(row.get::<_, Shown>(0)?.0.unwrap_or_default()))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The agents of a repo's queued jobs, and whether these are all.
    pub fn queued_agents(&mut self, repo: &str) -> Result<(Vec<String>, bool), Error> {
        self.read(|connection| {
            let mut agents = connection.prepare_cached(&format!(
                "WITH RECURSIVE found (agent) AS (
                    SELECT min(agent) FROM jobs INDEXED BY {PARTITIONS}
                    WHERE {IS_QUEUED} AND repo = ?1 AND agent >= ''
                    UNION ALL
                    SELECT (SELECT min(agent) FROM jobs INDEXED BY {PARTITIONS}
                        WHERE {IS_QUEUED} AND repo = ?1 AND agent > found.agent) FROM found
                    WHERE found.agent IS NOT NULL
                 ) SELECT agent FROM found WHERE typeof(agent) = 'text' LIMIT {AGENTS} + 1"
            ))?;
            let agents = agents.query_map([repo], |row| row.get::<_, Shown>(0))?;
            let agents: Vec<Shown> = agents.collect::<Result<_, _>>()?;
            let are_all = agents.len() <= AGENTS;
            let agents = agents.into_iter().take(AGENTS).filter_map(|agent| agent.0);
            Ok((agents.collect(), are_all))
        })
    }

    /// Whether queued jobs of an agent in a repo are the first of their task, judged by a few of
    /// them.
    pub fn firsts_of(&mut self, repo: &str, agent: &str) -> Result<Firsts, Error> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT count(*), coalesce(max(is_first), 0) FROM (
                    SELECT NOT EXISTS (SELECT 1 FROM jobs AS earlier
                        WHERE earlier.task_id = job.task_id AND earlier.id < job.id) AS is_first
                    FROM jobs AS job INDEXED BY {PARTITIONS}
                    WHERE {IS_QUEUED} AND repo = ?1 AND agent = ?2 LIMIT {JOBS} + 1)"
            ))?;
            let (jobs, is_there): (u32, bool) =
                query.query_row([repo, agent], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(match (is_there, jobs > JOBS) {
                (true, _) => Firsts::Some,
                (false, true) => Firsts::NotLookedAt,
                (false, false) => Firsts::None,
            })
        })
    }

    /// The agents of the first jobs of a repo's latest tasks, judged by its newest jobs.
    pub fn last_first_agents(&mut self, repo: &str) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT DISTINCT (SELECT agent FROM jobs AS first
                    WHERE first.task_id = newest.task_id ORDER BY first.id LIMIT 1)
                 FROM (SELECT task_id FROM jobs WHERE repo = ?1 ORDER BY id DESC
                 LIMIT {JOBS}) AS newest
                 WHERE newest.task_id IS NOT NULL"
            ))?;
            let agents = query.query_map([repo], |row| row.get::<_, Shown>(0))?;
            let agents: Vec<Shown> = agents.collect::<Result<_, _>>()?;
            Ok(agents.into_iter().filter_map(|agent| agent.0).collect())
        })
    }

    /// Whether any job, in whatever state, has this agent.
    pub fn knows_agent(&mut self, agent: &str) -> Result<bool, Error> {
        self.has_jobs_of(agent, 1)
    }

    /// Whether as many jobs, in whatever state, have this agent.
    pub fn has_jobs_of(&mut self, agent: &str, jobs: u32) -> Result<bool, Error> {
        self.read(|connection| {
            let sql = "SELECT 1 FROM jobs WHERE agent || '' = ?1 LIMIT 1 OFFSET ?2 - 1";
            Ok(connection.prepare_cached(sql)?.exists((agent, jobs))?)
        })
    }

    /// The agents that jobs have had.
    pub fn known_agents(&mut self) -> Result<Vec<String>, Error> {
        self.read(|connection| Ok(names(connection, "jobs", "agent || ''")?))
    }

    /// The stages that tasks are in.
    pub fn known_stages(&mut self) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let mut query =
                connection.prepare_cached("SELECT DISTINCT stage || '' FROM tasks LIMIT 1000")?;
            let stages = query.query_map([], |row| row.get::<_, Shown>(0))?;
            let stages = stages.filter_map(|stage| stage.map(|stage| stage.0).transpose());
            Ok(stages.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// How many jobs of an agent are queued; none if there are more than are counted.
    pub fn queued_for(&mut self, agent: &str) -> Result<Option<u32>, Error> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY {PARTITIONS}
                 WHERE {IS_QUEUED} AND agent = ?1 LIMIT {COUNTED} + 1)"
            ))?;
            let counted: u32 = query.query_row([agent], |row| row.get(0))?;
            Ok(Some(counted).filter(|counted| *counted <= COUNTED))
        })
    }
}

/// What is in a database that may not be prepared yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Whether it has settings already, which another preparation leaves unchanged.
    pub has_generations: bool,
    /// The repos.
    pub repos: Vec<String>,
}

/// Looks into a file before it is prepared. The preparation reports what cannot be read.
pub fn look_into(path: &Path) -> Found {
    found(path).unwrap_or_default()
}

fn found(path: &Path) -> rusqlite::Result<Found> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let has_generations = column(&connection, "serial_gate_generation", "id")?
        && connection
            .prepare("SELECT 1 FROM serial_gate_generation LIMIT 1")?
            .exists([])?;
    let mut repos = Vec::new();
    for table in WITH_REPOS {
        if column(&connection, table, "repo")? {
            // There may be no index yet, so this is one pass over the table.
            let mut query = connection.prepare(&format!(
                "SELECT DISTINCT repo FROM {table} WHERE typeof(repo) = 'text' AND repo != ''
                 LIMIT {NAMES}"
            ))?;
            let rows = query.query_map([], |row| row.get::<_, Shown>(0))?;
            repos.extend(
                rows.collect::<Result<Vec<_>, _>>()?
                    .into_iter()
                    .filter_map(|repo| repo.0),
            );
        }
    }
    Ok(Found {
        has_generations,
        repos,
    })
}

fn column(connection: &Connection, table: &str, name: &str) -> rusqlite::Result<bool> {
    let mut query = connection
        .prepare_cached("SELECT 1 FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE")?;
    let found = query.query_row([table, name], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

fn is_in(connection: &Connection, tables: &[&str], repo: &str) -> rusqlite::Result<bool> {
    for table in tables {
        let mut query =
            connection.prepare_cached(&format!("SELECT 1 FROM {table} WHERE repo = ?1 LIMIT 1"))?;
        if query.exists([repo])? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn repos_in(connection: &Connection, tables: &[&str]) -> rusqlite::Result<Vec<String>> {
    let mut all = Vec::new();
    for table in tables {
        all.extend(names(connection, table, "repo")?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The texts of an indexed column, from one to the next in the index.
fn names(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<Vec<String>> {
    let mut query = connection.prepare_cached(&format!(
        "WITH RECURSIVE found (name) AS (
            SELECT min({column}) FROM {table} WHERE {column} > ''
            UNION ALL
            SELECT (SELECT min({column}) FROM {table} WHERE {column} > found.name) FROM found
            WHERE found.name IS NOT NULL
         ) SELECT name FROM found WHERE typeof(name) = 'text' LIMIT {NAMES}"
    ))?;
    let rows = query.query_map([], |row| row.get::<_, Shown>(0))?;
    Ok(rows
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .filter_map(|name| name.0)
        .collect())
}
