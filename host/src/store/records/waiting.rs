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

use crate::clause::Agents;
use crate::store::engine::{Tx, Value, values};
use crate::store::indexes::PARTITIONS;
use crate::store::job::IS_QUEUED;
use crate::store::raw::Raw;
use crate::store::written::is_past;
use crate::store::{Error, sql_time};

/// Whether a note is about a row of `jobs`.
pub(crate) const IS_ITS_ROW: &str = "noted.job = jobs.id
    AND noted.repo IS NOT DISTINCT FROM jobs.repo
    AND noted.task IS NOT DISTINCT FROM jobs.task_id
    AND noted.created_at IS NOT DISTINCT FROM jobs.created_at";

/// The first job of a waiting line.
pub(crate) struct LineHead {
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
    pub(crate) created_at: Option<Timestamp>,
    /// When it was first seen at the head of its repo, if it was.
    pub(crate) noted: Option<Timestamp>,
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
pub(crate) struct LineHeads {
    pub heads: Vec<LineHead>,
    /// Those without a note that need one.
    unseen: Vec<i64>,
    /// Notes of rows that are in no queue any more.
    gone: Vec<i64>,
}

impl LineHeads {
    /// Looks at all of them.
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

    /// Whether every note is as it should be.
    pub(crate) fn are_noted(&self) -> bool {
        self.unseen.is_empty() && self.gone.is_empty()
    }

    /// Brings the notes to what they should be.
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

/// The head of each repo that has one. The repos are found one after the other in the index, and so
/// are the agents of a repo where the rule does not name those that it gates.
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
            // No clause can name it.
            _ => true,
        };
        if is_gated {
            of(&agent)?;
        }
        agent = next(tx, &queries.next_agent, values![repo, agent])?;
    }
    Ok(first)
}

/// What finds the heads, from one entry of an index to the next.
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
