//! The heads of the waiting lines: the first queued job of a gated agent in each repo, and since
//! when it is there.
//!
//! Owns the note of when a head was first seen, for rows whose `created_at` is missing, unreadable,
//! or ahead of the clock. A look writes notes, and only when they change, so that neither claims
//! nor other programs pay for them. A note is about a row, not an id, which may be reused: it keeps
//! enough of the row to recognise it. It stays while that row is queued, so that looks under
//! different rules do not undo each other's notes. Callers rely on this: the cost of a look depends
//! on how many repos and agents there are, not on how long the lines are.

use jiff::Timestamp;

use crate::clause::Agents;
use crate::store::engine::{Tx, Value, values};
use crate::store::indexes::PARTITIONS;
use crate::store::job::IS_QUEUED;
use crate::store::raw::Raw;
use crate::store::written::is_past;
use crate::store::{Error, sql_time};

/// Whether a note is about a row of `jobs`. An orchestrator's `created_at` may have any type.
pub(crate) const IS_ITS_ROW: &str = "noted.job = jobs.id
    AND noted.repo IS NOT DISTINCT FROM jobs.repo
    AND noted.task IS NOT DISTINCT FROM jobs.task_id
    AND CAST(noted.created_at AS TEXT) IS NOT DISTINCT FROM CAST(jobs.created_at AS TEXT)";

/// The first job of a waiting line.
pub(crate) struct LineHead {
    pub job: i64,
    pub repo: Option<String>,
    pub work_item: Option<String>,
    /// Since when it is in the queue, if that is known.
    pub since: Timestamp,
    /// Whether that is when it was first seen, for lack of a usable time in its row.
    pub is_seen: bool,
}

/// What is known of the time that a job has been in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueuedSince {
    /// The time in its row, if it is one.
    pub(crate) created_at: Option<Timestamp>,
    /// When it was first seen at the head of its repo, if it was.
    pub(crate) noted: Option<Timestamp>,
}

impl QueuedSince {
    /// The earlier of both that a right clock can have written by now. A time by a clock ahead
    /// becomes past one day; the note is then earlier.
    pub fn at(self, now: Timestamp) -> Option<Timestamp> {
        let both = [self.created_at, self.noted].into_iter().flatten();
        both.filter(|time| is_past(*time, now)).min()
    }
}

/// All heads, and which notes to change.
pub(crate) struct LineHeads {
    pub heads: Vec<LineHead>,
    /// Heads that need a note and have none.
    unseen: Vec<i64>,
    /// Notes about rows that are no longer queued.
    gone: Vec<i64>,
}

impl LineHeads {
    /// Reads all heads.
    pub(crate) fn read(tx: &dyn Tx, agents: &Agents, now: Timestamp) -> Result<LineHeads, Error> {
        let gone = tx.rows(
            &format!(
                "SELECT noted.job FROM serial_gate_head AS noted WHERE NOT EXISTS (
                SELECT 1 FROM jobs WHERE jobs.id = noted.job AND jobs.{IS_QUEUED}
                AND {IS_ITS_ROW})"
            ),
            &[],
            |row| row.get(0),
        )?;
        let mut all = LineHeads {
            heads: Vec::new(),
            unseen: Vec::new(),
            gone,
        };
        each(tx, agents, |_, job| all.add(tx, job, now))?;
        Ok(all)
    }

    fn add(&mut self, tx: &dyn Tx, job: i64, now: Timestamp) -> Result<(), Error> {
        let (since, head) = tx.only(
            &format!(
                "SELECT jobs.repo, jobs.created_at, noted.since, tasks.work_item_id
             FROM jobs LEFT JOIN serial_gate_head AS noted ON {IS_ITS_ROW}
             LEFT JOIN tasks ON tasks.id = jobs.task_id WHERE jobs.id = $1"
            ),
            values![job],
            |row| {
                let queued = QueuedSince {
                    created_at: row.time(1)?,
                    noted: row.time(2)?,
                };
                let since = queued.at(now);
                let head = LineHead {
                    job,
                    repo: row.shown(0)?,
                    work_item: row.shown(3)?,
                    since: since.unwrap_or(now),
                    is_seen: since.is_none() || since != queued.created_at,
                };
                Ok((since, head))
            },
        )?;
        if since.is_none() {
            self.unseen.push(job);
        }
        self.heads.push(head);
        Ok(())
    }

    /// Whether every note is right.
    pub(crate) fn are_noted(&self) -> bool {
        self.unseen.is_empty() && self.gone.is_empty()
    }

    /// Writes the notes.
    pub(crate) fn note(&self, tx: &dyn Tx, now: Timestamp) -> Result<(), Error> {
        for job in &self.gone {
            tx.execute("DELETE FROM serial_gate_head WHERE job = $1", values![job])?;
        }
        for job in &self.unseen {
            tx.execute(
                "INSERT INTO serial_gate_head (job, repo, task, created_at, since)
                 SELECT id, repo, task_id, created_at, $2 FROM jobs WHERE id = $1
                 ON CONFLICT (job) DO UPDATE SET repo = excluded.repo, task = excluded.task,
                    created_at = excluded.created_at, since = excluded.since",
                values![job, sql_time(now)],
            )?;
        }
        Ok(())
    }
}

/// The repos that have a head.
pub(crate) fn repos(tx: &dyn Tx, agents: &Agents) -> Result<Vec<Raw>, Error> {
    let mut repos = Vec::new();
    each(tx, agents, |repo, _| {
        repos.push(repo.clone());
        Ok(())
    })?;
    Ok(repos)
}

/// The head of each repo that has one. Goes from one repo to the next in the index, and from one
/// agent to the next if the rule does not name the gated ones.
fn each(
    tx: &dyn Tx,
    agents: &Agents,
    mut found: impl FnMut(&Raw, i64) -> Result<(), Error>,
) -> Result<(), Error> {
    let queries = Queries::new(tx);
    let mut repo = Raw::Text(Vec::new());
    loop {
        repo = next(tx, &queries.next_repo, values![repo])?;
        if repo == Raw::Null {
            return Ok(());
        }
        if let Some(job) = first_of(tx, &queries, agents, &repo)? {
            found(&repo, job)?;
        }
    }
}

fn first_of(
    tx: &dyn Tx,
    queries: &Queries,
    agents: &Agents,
    repo: &Raw,
) -> Result<Option<i64>, Error> {
    let mut first: Option<i64> = None;
    let mut of = |agent: &Raw| -> Result<(), Error> {
        let job: Option<i64> =
            tx.only(&queries.first_job, values![repo, agent], |row| row.get(0))?;
        first = first.into_iter().chain(job).min();
        Ok(())
    };
    if let Agents::Only(names) = agents {
        for name in names.iter().flatten() {
            of(&Raw::Text(name.clone().into_bytes()))?;
        }
        return Ok(first);
    }
    let mut agent = next(tx, &queries.first_agent, values![repo])?;
    while agent != Raw::Null {
        let is_gated = match &agent {
            Raw::Text(name) => agents.contain(name),
            // No clause can name such an agent, so it is gated.
            _ => true,
        };
        if is_gated {
            of(&agent)?;
        }
        agent = next(tx, &queries.next_agent, values![repo, agent])?;
    }
    Ok(first)
}

/// The queries that find the heads, from one index entry to the next.
pub(crate) struct Queries {
    next_repo: String,
    first_agent: String,
    next_agent: String,
    first_job: String,
}

impl Queries {
    fn new(tx: &dyn Tx) -> Queries {
        let queued = |column: &str, which: &str| {
            let by_index = tx.by_index(PARTITIONS);
            format!("SELECT min({column}) FROM jobs {by_index} WHERE {IS_QUEUED} AND {which}")
        };
        Queries {
            next_repo: queued("repo", "repo > $1"),
            first_agent: queued("agent", "repo = $1 AND agent IS NOT NULL"),
            next_agent: queued("agent", "repo = $1 AND agent > $2"),
            first_job: queued("id", "repo = $1 AND agent = $2"),
        }
    }

    /// Each of them.
    pub(crate) fn all(tx: &dyn Tx) -> [String; 4] {
        let Queries {
            next_repo,
            first_agent,
            next_agent,
            first_job,
        } = Queries::new(tx);
        [next_repo, first_agent, next_agent, first_job]
    }
}

fn next(tx: &dyn Tx, query: &str, values: &[Value<'_>]) -> Result<Raw, Error> {
    tx.only(query, values, |row| row.get(0))
}
