//! The heads of the waiting lines: the first queued job of a gated agent in each repo, and since
//! when it is there.
//!
//! Owns the note of when a head was first seen, for rows whose `created_at` is missing, unreadable,
//! or ahead of the clock. A look writes notes, and only when they change, so that neither claims
//! nor other programs pay for them. A note is about a row, not an id, which may be reused: it keeps
//! enough of the row to recognise it. It stays while that row is queued, so that looks under
//! different rules do not undo each other's notes. Callers rely on this: the cost of a look depends
//! on how many repos and agents there are, not on how long the lines are.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::clause::Agents;
use crate::store::engine::{Tx, values};
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
        for (job, first) in firsts(tx, agents)? {
            let since = first.queued.at(now);
            if since.is_none() {
                all.unseen.push(job);
            }
            all.heads.push(LineHead {
                job,
                repo: first.repo,
                work_item: first.work_item,
                since: since.unwrap_or(now),
                is_seen: since.is_none() || since != first.queued.created_at,
            });
        }
        Ok(all)
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
pub(crate) fn repos(tx: &dyn Tx, agents: &Agents) -> Result<Vec<String>, Error> {
    let firsts = firsts(tx, agents)?;
    Ok(firsts.into_iter().filter_map(|(_, it)| it.repo).collect())
}

/// The row of a first job.
struct First {
    repo: Option<String>,
    queued: QueuedSince,
    work_item: Option<String>,
}

/// The first job of each repo that has one, with its id, in the order of the repos.
fn firsts(tx: &dyn Tx, agents: &Agents) -> Result<Vec<(i64, First)>, Error> {
    // A repo is a text, or on SQLite perhaps bytes.
    let mut firsts: BTreeMap<(bool, Vec<u8>), (i64, First)> = BTreeMap::new();
    tx.query(&first_jobs(tx), &[], &mut |row| {
        let is_gated = match row.get(5)? {
            Raw::Text(agent) => agents.contain(&agent),
            // No clause that excludes agents can name this one.
            _ => matches!(agents, Agents::AllBut(_)),
        };
        let repo = (!matches!(row.get(1)?, Raw::Text(_)), row.bytes(1)?);
        let job = row.get(0)?;
        let is_later = firsts.get(&repo).is_some_and(|(first, _)| *first < job);
        if is_gated && !is_later {
            let first = First {
                repo: row.shown(1)?,
                queued: QueuedSince {
                    created_at: row.time(2)?,
                    noted: row.time(3)?,
                },
                work_item: row.shown(4)?,
            };
            firsts.insert(repo, (job, first));
        }
        Ok(true)
    })?;
    Ok(firsts.into_values().collect())
}

/// The query for the first queued job of each agent in each repo. It goes from one agent to the next
/// in the index, and after a repo's last one to the next repo, which begins without an agent.
pub(crate) fn first_jobs(tx: &dyn Tx) -> String {
    let by_index = tx.by_index(PARTITIONS);
    let least = |column: &str, which: &str| {
        format!("(SELECT min({column}) FROM jobs {by_index} WHERE {IS_QUEUED} AND {which})")
    };
    let (first_repo, next_repo) = (
        least("repo", "repo > ''"),
        least("repo", "repo > line.repo"),
    );
    // NULL, of the column's type and collation.
    let no_agent = least("agent", "FALSE");
    let next_agent = format!(
        "CASE WHEN line.agent IS NULL THEN {} ELSE {} END",
        least("agent", "repo = line.repo AND agent IS NOT NULL"),
        least("agent", "repo = line.repo AND agent > line.agent")
    );
    let then = tx.then_join();
    format!(
        "WITH RECURSIVE line (repo, agent) AS (
            SELECT {first_repo}, {no_agent} UNION ALL
            SELECT CASE WHEN {next_agent} IS NULL THEN {next_repo} ELSE line.repo END, {next_agent}
            FROM line WHERE line.repo IS NOT NULL)
         SELECT jobs.id, jobs.repo, jobs.created_at, noted.since, tasks.work_item_id, jobs.agent
         FROM line {then} jobs ON jobs.id = (
            SELECT min(id) FROM jobs AS first {by_index}
            WHERE first.{IS_QUEUED} AND first.repo = line.repo AND first.agent = line.agent)
         LEFT JOIN serial_gate_head AS noted ON {IS_ITS_ROW}
         LEFT JOIN tasks ON tasks.id = jobs.task_id"
    )
}
