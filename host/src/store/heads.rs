//! The heads of the waiting lines: the first queued job of each repo that a gated agent is to do, and since when it is there.
//!
//! Owns the note of that, for heads whose row does not tell: `created_at` may be missing, unreadable, or ahead of the clock.
//! Those who look write it, and only where it changes, so that no claim and no statement of another program pays for it. A
//! note is about a row, and not about an id, which may be used again: as much of the row is kept as tells it from another.
//! Callers rely on this: what a look costs depends on the repos and their agents, and not on how long the lines are; and a
//! repo without a head has no note.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::transaction::Transaction;
use super::value::{Raw, Shown};
use super::written::{Written, is_past};
use super::{Error, sql_time};
use crate::clause::Agents;

/// Joins the note of a head to its row in `jobs`.
pub(super) const NOTED: &str =
    "LEFT JOIN serial_gate_head AS noted ON noted.repo = jobs.repo AND noted.job = jobs.id
    AND noted.task IS jobs.task_id AND noted.created_at IS jobs.created_at";

/// The first job of a waiting line.
pub(super) struct Head {
    pub job: i64,
    pub repo: Option<String>,
    pub work_item: Option<String>,
    /// Since when it is in the queue, as far as that is known.
    pub since: Timestamp,
}

/// What is known of the time that a job has been in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueuedSince {
    /// What its row says, if that is a time.
    pub(super) created_at: Option<Timestamp>,
    /// When it was first seen at the head of its repo, if somebody looked.
    pub(super) noted: Option<Timestamp>,
}

impl QueuedSince {
    /// The first of both that a right clock can have written by now. A row that a clock ahead has written comes to be past,
    /// and was seen before that.
    pub fn at(self, now: Timestamp) -> Option<Timestamp> {
        let both = [self.created_at, self.noted].into_iter().flatten();
        both.filter(|time| is_past(*time, now)).min()
    }
}

/// All heads, and what is to be noted of them.
pub(super) struct Heads {
    pub heads: Vec<Head>,
    wanted: Notes,
    known: Notes,
}

/// By repo, which is a text or a blob.
type Notes = BTreeMap<(bool, Vec<u8>), Note>;

#[derive(PartialEq)]
struct Note {
    repo: Raw,
    job: i64,
    task: Raw,
    created_at: Raw,
    since: String,
}

impl Heads {
    /// Looks at all of them.
    pub(super) fn read(
        connection: &Connection,
        agents: &Agents,
        now: Timestamp,
    ) -> rusqlite::Result<Heads> {
        let mut all = Heads {
            heads: Vec::new(),
            wanted: Notes::new(),
            known: known(connection)?,
        };
        each(connection, agents, |repo, job| {
            all.add(connection, repo, job, now)
        })?;
        Ok(all)
    }

    fn add(
        &mut self,
        connection: &Connection,
        repo: &Raw,
        job: i64,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        let mut query = connection.prepare_cached(&format!(
            "SELECT jobs.repo, jobs.task_id, jobs.created_at, jobs.created_at, noted.since, tasks.work_item_id
             FROM jobs {NOTED} LEFT JOIN tasks ON tasks.id = jobs.task_id WHERE jobs.id = ?1"
        ))?;
        query.query_row([job], |row| {
            let queued = QueuedSince {
                created_at: row.get::<_, Written>(3)?.0,
                noted: row.get::<_, Written>(4)?.0,
            };
            let since = queued.at(now).unwrap_or(now);
            let seen = queued.noted.filter(|noted| is_past(*noted, now));
            let tells = queued.created_at.is_some_and(|time| is_past(time, now));
            // A note stays as long as its row is the head, although the row may tell by now.
            if seen.is_some() || !tells {
                let note = Note {
                    repo: repo.clone(),
                    job,
                    task: row.get(1)?,
                    created_at: row.get(2)?,
                    since: sql_time(seen.unwrap_or(now)),
                };
                self.wanted.insert(key(repo), note);
            }
            self.heads.push(Head {
                job,
                repo: row.get::<_, Shown>(0)?.0,
                work_item: row.get::<_, Shown>(5)?.0,
                since,
            });
            Ok(())
        })
    }

    /// Whether every note is as it should be.
    pub(super) fn are_noted(&self) -> bool {
        self.wanted == self.known
    }

    /// Brings the notes to what they should be.
    pub(super) fn note(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        for (key, known) in &self.known {
            if self.wanted.get(key) != Some(known) {
                transaction
                    .prepare_cached("DELETE FROM serial_gate_head WHERE repo = ?1")?
                    .execute([&known.repo])?;
            }
        }
        for (key, wanted) in &self.wanted {
            if self.known.get(key) != Some(wanted) {
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO serial_gate_head (repo, job, task, created_at, since)
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![
                        wanted.repo,
                        wanted.job,
                        wanted.task,
                        wanted.created_at,
                        wanted.since
                    ])?;
            }
        }
        Ok(())
    }
}

fn key(repo: &Raw) -> (bool, Vec<u8>) {
    match repo {
        Raw::Text(text) => (false, text.clone()),
        Raw::Blob(bytes) => (true, bytes.clone()),
        // A repo is compared as text, so there is no other.
        Raw::Null | Raw::Integer(_) | Raw::Real(_) => (false, Vec::new()),
    }
}

/// The notes that there are. One whose time cannot be read is another one than any that is wanted.
fn known(connection: &Connection) -> rusqlite::Result<Notes> {
    let mut query = connection
        .prepare_cached("SELECT repo, job, task, created_at, since FROM serial_gate_head")?;
    let notes = query.query_map([], |row| {
        Ok(Note {
            repo: row.get(0)?,
            job: row.get(1)?,
            task: row.get(2)?,
            created_at: row.get(3)?,
            since: row.get::<_, Shown>(4)?.0.unwrap_or_default(),
        })
    })?;
    notes
        .map(|note| note.map(|note| (key(&note.repo), note)))
        .collect()
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

/// The head of each repo that has one. The repos are found one after the other in the index, and so are the agents of a
/// repo where the rule does not name those that it gates.
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
