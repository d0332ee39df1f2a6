//! The heads of the waiting lines: the first queued job of each repo that a gated agent is to do,
//! and since when it is there.
//!
//! Owns the note of that, for heads whose row does not tell: `created_at` may be missing,
//! unreadable, or ahead of the clock. Those who look write it, and only where it changes, so that
//! no claim and no statement of another program pays for it. A note is about a row, and not about
//! an id, which may be used again: as much of the row is kept as tells it from another. It stays
//! for as long as that row is queued, so that two who look under different rules do not undo each
//! other's notes. Callers rely on this: what a look costs depends on the repos and their agents,
//! and not on how long the lines are.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::claim::plan;
use super::transaction::Transaction;
use super::value::{Raw, Shown};
use super::written::{Written, is_past};
use super::{Error, Store, sql_time};
use crate::clause::Agents;

/// Whether a note is about a row of `jobs`.
const IS_ITS_ROW: &str =
    "noted.job = jobs.id AND noted.repo IS jobs.repo AND noted.task IS jobs.task_id
    AND noted.created_at IS jobs.created_at";

/// Joins its note to a row of `jobs`, as [`IS_ITS_ROW`].
pub(super) const NOTED: &str =
    "LEFT JOIN serial_gate_head AS noted ON noted.job = jobs.id AND noted.repo IS jobs.repo
    AND noted.task IS jobs.task_id AND noted.created_at IS jobs.created_at";

/// The first job of a waiting line.
pub(super) struct Head {
    pub job: i64,
    pub repo: Option<String>,
    pub work_item: Option<String>,
    /// Since when it is in the queue, as far as that is known.
    pub since: Timestamp,
    /// Whether that is when it was first seen, and its row does not tell.
    pub is_seen: bool,
}

/// What is known of the time that a job has been in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueuedSince {
    /// What its row says, if that is a time.
    pub(super) created_at: Option<Timestamp>,
    /// When it was first seen at the head of its repo, if it was.
    pub(super) noted: Option<Timestamp>,
}

impl QueuedSince {
    /// The first of both that a right clock can have written by now. A row that a clock ahead has
    /// written comes to be past, and was seen before that.
    pub fn at(self, now: Timestamp) -> Option<Timestamp> {
        let both = [self.created_at, self.noted].into_iter().flatten();
        both.filter(|time| is_past(*time, now)).min()
    }
}

/// All heads, and what is to be noted of them.
pub(super) struct Heads {
    pub heads: Vec<Head>,
    /// Those without a note that need one.
    unseen: Vec<i64>,
    /// Notes of rows that are in no queue any more.
    gone: Vec<i64>,
}

impl Heads {
    /// Looks at all of them.
    pub(super) fn read(
        connection: &Connection,
        agents: &Agents,
        now: Timestamp,
    ) -> rusqlite::Result<Heads> {
        let mut gone = connection.prepare_cached(&format!(
            "SELECT noted.job FROM serial_gate_head AS noted WHERE NOT EXISTS (
                SELECT 1 FROM jobs WHERE jobs.id = noted.job AND jobs.status = 'queued' AND {IS_ITS_ROW})"
        ))?;
        let gone = gone.query_map([], |row| row.get(0))?;
        let mut all = Heads {
            heads: Vec::new(),
            unseen: Vec::new(),
            gone: gone.collect::<Result<_, _>>()?,
        };
        each(connection, agents, |_, job| all.add(connection, job, now))?;
        Ok(all)
    }

    fn add(&mut self, connection: &Connection, job: i64, now: Timestamp) -> rusqlite::Result<()> {
        let mut query = connection.prepare_cached(&format!(
            "SELECT jobs.repo, jobs.created_at, noted.since, tasks.work_item_id
             FROM jobs {NOTED} LEFT JOIN tasks ON tasks.id = jobs.task_id WHERE jobs.id = ?1"
        ))?;
        let (since, head) = query.query_row([job], |row| {
            let queued = QueuedSince {
                created_at: row.get::<_, Written>(1)?.0,
                noted: row.get::<_, Written>(2)?.0,
            };
            let since = queued.at(now);
            let head = Head {
                job,
                repo: row.get::<_, Shown>(0)?.0,
                work_item: row.get::<_, Shown>(3)?.0,
                since: since.unwrap_or(now),
                is_seen: since.is_none() || since != queued.created_at,
            };
            Ok((since, head))
        })?;
        if since.is_none() {
            self.unseen.push(job);
        }
        self.heads.push(head);
        Ok(())
    }

    /// Whether every note is as it should be.
    pub(super) fn are_noted(&self) -> bool {
        self.unseen.is_empty() && self.gone.is_empty()
    }

    /// Brings the notes to what they should be.
    pub(super) fn note(&self, transaction: &Transaction<'_>, now: Timestamp) -> Result<(), Error> {
        for job in &self.gone {
            transaction
                .prepare_cached("DELETE FROM serial_gate_head WHERE job = ?1")?
                .execute([job])?;
        }
        for job in &self.unseen {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO serial_gate_head (job, repo, task, created_at, since)
                     SELECT id, repo, task_id, created_at, ?2 FROM jobs WHERE id = ?1",
                )?
                .execute(params![job, sql_time(now)])?;
        }
        Ok(())
    }
}

impl Store {
    /// The steps of SQLite's plan for each query that finds heads.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn head_plans(&mut self) -> Result<Vec<Vec<String>>, Error> {
        self.doing(|connection| {
            let queries = [NEXT_REPO, FIRST_AGENT, NEXT_AGENT, FIRST_JOB];
            let plans = queries.map(|query| plan(connection, query));
            Ok(plans.into_iter().collect::<Result<_, _>>()?)
        })
    }
}

/// The repos that have a head.
pub(super) fn repos(connection: &Connection, agents: &Agents) -> rusqlite::Result<Vec<Raw>> {
    let mut repos = Vec::new();
    each(connection, agents, |repo, _| {
        repos.push(repo.clone());
        Ok(())
    })?;
    Ok(repos)
}

/// The head of each repo that has one. The repos are found one after the other in the index, and so
/// are the agents of a repo where the rule does not name those that it gates.
fn each(
    connection: &Connection,
    agents: &Agents,
    mut found: impl FnMut(&Raw, i64) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut repo = Raw::Text(Vec::new());
    loop {
        repo = next(connection, NEXT_REPO, params![repo])?;
        if repo == Raw::Null {
            return Ok(());
        }
        if let Some(job) = first_of(connection, agents, &repo)? {
            found(&repo, job)?;
        }
    }
}

fn first_of(connection: &Connection, agents: &Agents, repo: &Raw) -> rusqlite::Result<Option<i64>> {
    let mut first: Option<i64> = None;
    let mut of = |agent: &Raw| -> rusqlite::Result<()> {
        let mut query = connection.prepare_cached(FIRST_JOB)?;
        let job: Option<i64> = query.query_row(params![repo, agent], |row| row.get(0))?;
        first = first.into_iter().chain(job).min();
        Ok(())
    };
    if let Agents::Only(names) = agents {
        for name in names.iter().flatten() {
            of(&Raw::Text(name.clone().into_bytes()))?;
        }
        return Ok(first);
    }
    let mut agent = next(connection, FIRST_AGENT, params![repo])?;
    while agent != Raw::Null {
        let is_gated = match &agent {
            Raw::Text(name) => agents.contain(name),
            // No clause can name it.
            _ => true,
        };
        if is_gated {
            of(&agent)?;
        }
        agent = next(connection, NEXT_AGENT, params![repo, agent])?;
    }
    Ok(first)
}

const NEXT_REPO: &str = "SELECT min(repo) FROM jobs INDEXED BY serial_gate_jobs_partitions WHERE status = 'queued' AND repo > ?1";
const FIRST_AGENT: &str = "SELECT min(agent) FROM jobs INDEXED BY serial_gate_jobs_partitions
    WHERE status = 'queued' AND repo = ?1 AND agent IS NOT NULL";
const NEXT_AGENT: &str = "SELECT min(agent) FROM jobs INDEXED BY serial_gate_jobs_partitions
    WHERE status = 'queued' AND repo = ?1 AND agent > ?2";
const FIRST_JOB: &str = "SELECT min(id) FROM jobs INDEXED BY serial_gate_jobs_partitions
    WHERE status = 'queued' AND repo = ?1 AND agent = ?2";

fn next(
    connection: &Connection,
    query: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Raw> {
    let mut query = connection.prepare_cached(query)?;
    let next: Option<Raw> = query.query_row(parameters, |row| row.get(0)).optional()?;
    Ok(next.unwrap_or(Raw::Null))
}
