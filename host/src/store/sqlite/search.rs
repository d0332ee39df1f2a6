//! The first job of each partition that a clause lets through.
//!
//! Owns the search, whose cost does not depend on how many jobs are held: from one agent of the
//! repo to the next, and for each of them the shorter of two ways. Leaves what is kept of it to
//! `heads`. It believes the clause and its shape (`crate::clause::Partitions`), and no index of
//! ours. No statement with a clause has anything else but the columns of `jobs`. Without a shape,
//! the search goes through the queue.

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::heads::Head;
use super::sandbox::Sandbox;
use super::transaction::Transaction;
use crate::clause::Rendered;
use crate::store::indexes::{LINES, PARTITIONS, QUEUED};
use crate::store::job::IS_QUEUED;
use crate::store::raw::Raw;

/// A clause, and a transaction to ask it in.
pub(crate) struct Search<'a> {
    pub transaction: &'a Transaction<'a>,
    pub clause: &'a Rendered,
}

impl Search<'_> {
    /// Whether the clause lets a job through that is said to be queued, for this agent if for one.
    pub(crate) fn is_claimable(&self, job: i64, agent: Option<&str>) -> rusqlite::Result<bool> {
        self.transaction
            .prepare_cached(&claimable(self.clause))?
            .exists(params![job, agent])
    }

    /// The first job of each agent in a repo that may be claimed, by the clause alone.
    pub(crate) fn firsts_of(&self, repo: &Raw) -> rusqlite::Result<Vec<Head>> {
        let mut firsts = Vec::new();
        let mut next = self.next_agent(repo, None)?;
        while let Some(NextAgent {
            agent,
            job,
            is_claimable,
        }) = next
        {
            next = self.next_agent(repo, Some(&agent))?;
            let first = if is_claimable {
                Some(job)
            } else {
                self.first_of_agent(repo, &agent)?
            };
            firsts.extend(first.map(|job| (agent, job)));
        }
        Ok(firsts)
    }

    /// The first job of a partition. Two ways lead to it, and it is not known which is the shorter
    /// one: in the order of ids, to the first that may be claimed; in the order of tasks, of which
    /// one job each tells for all, through all that may be claimed, to the first that is held
    /// (`Partitions`). They are gone together, so that the shorter one ends the search. Both are
    /// long only where many jobs of later tasks have lower ids than many of earlier ones that may
    /// be claimed.
    pub(crate) fn first_of_agent(&self, repo: &Raw, agent: &Raw) -> rusqlite::Result<Option<i64>> {
        let mut by_id = self
            .transaction
            .prepare_cached(&in_order_of_ids(self.clause))?;
        let mut by_id = by_id.query([repo, agent])?;
        let (mut first, mut task) = (None, None);
        loop {
            match by_id.next()? {
                Some(row) if is_true(row.get(1)?) => return row.get(0).map(Some),
                Some(_) => {}
                None => return Ok(None),
            }
            match self.next_task(repo, agent, task.as_ref())? {
                Some(next) if next.is_claimable => {
                    first = first.into_iter().chain([next.job]).min();
                    task = Some(next.task);
                }
                _ => return Ok(first),
            }
        }
    }

    /// The task after another in a partition, by its first job.
    fn next_task(
        &self,
        repo: &Raw,
        agent: &Raw,
        after: Option<&Raw>,
    ) -> rusqlite::Result<Option<NextTask>> {
        let next = |tasks: &str, values: &[&Raw]| {
            let mut query = self
                .transaction
                .prepare_cached(&next_task(self.clause, tasks))?;
            let next = query.query_row(params_from_iter(values), |row| {
                Ok(NextTask {
                    job: row.get(0)?,
                    is_claimable: is_true(row.get(1)?),
                    task: row.get(2)?,
                })
            });
            next.optional()
        };
        match after {
            None => next(ANY, &[repo, agent]),
            Some(Raw::Null) => next(WITH_TASK, &[repo, agent]),
            Some(task) => next(LATER_TASK, &[repo, agent, task]),
        }
    }

    /// The agent after another among a repo's queued jobs.
    fn next_agent(&self, repo: &Raw, after: Option<&Raw>) -> rusqlite::Result<Option<NextAgent>> {
        let next = |agents: &str, values: &[&Raw]| {
            let mut query = self
                .transaction
                .prepare_cached(&next_agent(self.clause, agents))?;
            let next = query.query_row(params_from_iter(values), |row| {
                Ok(NextAgent {
                    agent: row.get(0)?,
                    job: row.get(1)?,
                    is_claimable: is_true(row.get(2)?),
                })
            });
            next.optional()
        };
        match after {
            None => next(ANY, &[repo]),
            Some(Raw::Null) => next(NAMED, &[repo]),
            Some(agent) => next(LATER, &[repo, agent]),
        }
    }
}

/// An agent of a repo, and its first queued job there.
struct NextAgent {
    agent: Raw,
    job: i64,
    is_claimable: bool,
}

/// What the first job of a task tells of all its jobs in a partition.
struct NextTask {
    task: Raw,
    job: i64,
    is_claimable: bool,
}

/// The statements over the queue, which have to use their indexes however many jobs are held.
pub(crate) fn statements(clause: &Rendered) -> [String; 8] {
    [
        in_order_of_ids(clause),
        next_task(clause, ANY),
        next_task(clause, WITH_TASK),
        next_task(clause, LATER_TASK),
        claimable(clause),
        next_agent(clause, ANY),
        next_agent(clause, NAMED),
        next_agent(clause, LATER),
    ]
}

fn in_order_of_ids(clause: &Rendered) -> String {
    format!(
        "SELECT id, {clause} FROM jobs INDEXED BY {PARTITIONS}
         WHERE {IS_QUEUED} AND repo IS ?1 AND agent IS ?2 ORDER BY id"
    )
}

fn next_task(clause: &Rendered, tasks: &str) -> String {
    format!(
        "SELECT id, {clause}, task_id FROM jobs INDEXED BY {LINES}
         WHERE {IS_QUEUED} AND repo IS ?1 AND agent IS ?2{tasks} ORDER BY task_id, id LIMIT 1"
    )
}

const WITH_TASK: &str = " AND task_id IS NOT NULL";
const LATER_TASK: &str = " AND task_id > ?3";

fn claimable(clause: &Rendered) -> String {
    format!("SELECT 1 FROM jobs WHERE id = ?1 AND {IS_QUEUED} AND {FOR_AGENT} AND {clause}")
}

/// The first claimable job of an agent, or of all, outside of these repos.
pub(super) fn first_beyond(
    connection: &Connection,
    sandbox: &Sandbox,
    clause: &Rendered,
    agent: Option<&str>,
    aside: &[Raw],
) -> rusqlite::Result<Option<i64>> {
    if aside.is_empty() {
        let mut query = connection.prepare_cached(&first_queued(clause))?;
        let job = query.query_row([None, agent], |row| row.get(0));
        return job.optional();
    }
    let mut query = connection.prepare_cached(&queued(clause))?;
    let mut rows = query.query([None, agent])?;
    while let Some(row) = rows.next()? {
        let job: i64 = row.get(0)?;
        let repo = sandbox.open_for_own_statements(|| {
            let mut query = connection.prepare_cached("SELECT repo FROM jobs WHERE id = ?1")?;
            query.query_row([job], |row| row.get(0))
        })?;
        if !aside.contains(&repo) {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

/// The queue in claim order. Pinned to its index: with others available, SQLite may sort the whole
/// queue before it looks at the first job.
fn queued(clause: &Rendered) -> String {
    format!(
        "SELECT id FROM jobs INDEXED BY {QUEUED} WHERE {IS_QUEUED} AND {FOR_AGENT} AND {clause}
         ORDER BY id"
    )
}

pub(super) fn first_queued(clause: &Rendered) -> String {
    format!("{} LIMIT 1", queued(clause))
}

/// Of the agent that is bound second, or of any.
const FOR_AGENT: &str = "(?2 IS NULL OR agent = ?2)";

const ANY: &str = "";
const NAMED: &str = " AND agent IS NOT NULL";
const LATER: &str = " AND agent > ?2";

fn next_agent(clause: &Rendered, agents: &str) -> String {
    format!(
        "SELECT agent, id, {clause} FROM jobs INDEXED BY {PARTITIONS}
         WHERE {IS_QUEUED} AND repo IS ?1{agents} ORDER BY agent, id LIMIT 1"
    )
}

/// Whether a clause, which may be NULL, is true.
pub(crate) fn is_true(clause: Option<bool>) -> bool {
    clause == Some(true)
}
