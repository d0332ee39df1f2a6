//! What is in another program's tables: how many rows, and which statuses, agents and stages.
//!
//! Owns the count, which takes no lock and reads a bounded number of rows: the newest tasks and
//! jobs, and the first queued jobs. Leaves to the queue what the rule makes of them. It stays with
//! SQLite, because it also reads databases that are not prepared: missing tables and columns count
//! as empty. Callers rely on this: nothing is changed.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::connection::connect;
use super::engine::Sqlite;
use super::error::at;
use super::transaction::Transaction;
use super::value::Shown;
use super::value::Written;
use crate::store::Error;
use crate::store::job::IS_QUEUED;

/// How many rows of a table are read.
const SAMPLE: u32 = 100_000;

/// How many values of a column are listed.
const LISTED: usize = 10;

/// A value and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Counted {
    /// The value; none for NULL.
    pub value: Option<String>,
    /// How many of the read rows have it.
    pub rows: u64,
}

/// What is in the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Census {
    /// How many tasks there are.
    pub tasks: u64,
    /// How many jobs there are.
    pub jobs: u64,
    /// How many rows of each table were read at most.
    pub sample: u32,
    /// Whether any job is queued, in the sample or not.
    pub any_queued: bool,
    /// The statuses of the newest jobs, the most frequent first.
    pub statuses: Vec<Counted>,
    /// The agents of the first queued jobs.
    pub queued_agents: Vec<Counted>,
    /// The agents of the newest jobs.
    pub agents: Vec<Counted>,
    /// The agents that had the first job of a task, of the newest jobs.
    pub first_agents: Vec<Counted>,
    /// How many tasks these were counted for.
    pub first_tasks: u64,
    /// The stages of the newest tasks.
    pub stages: Vec<Counted>,
    /// A `created_at` of a queued job, or of a task, that is no time.
    pub unreadable_time: Option<String>,
}

impl Sqlite {
    /// What is in the tables.
    pub fn census(&mut self) -> Result<Census, Error> {
        self.read(|connection| census(connection))
    }

    /// What is in the tables of a database that need not be prepared.
    pub fn census_at(path: &Path) -> Result<Census, Error> {
        let read = || census(&connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?);
        read().map_err(|error: Error| at(error, path))
    }
}

fn census(connection: &Connection) -> Result<Census, Error> {
    let t = Transaction::read(connection)?;
    let has = |table: &str, column: &str| has_column(&t, table, column);
    let mut census = Census {
        sample: SAMPLE,
        ..Census::default()
    };
    if has("tasks", "stage")? {
        census.tasks = count(&t, "tasks")?;
        let sql = format!("SELECT stage FROM tasks ORDER BY id DESC LIMIT {SAMPLE}");
        census.stages = top(&values(&t, &sql)?);
    }
    if has("jobs", "status")? && has("jobs", "agent")? && has("jobs", "task_id")? {
        census.jobs = count(&t, "jobs")?;
        count_jobs(&t, &mut census)?;
    }
    if has("jobs", "created_at")? {
        census.unreadable_time = unreadable_time(&t)?;
    }
    Ok(census)
}

type Counts = BTreeMap<Option<String>, u64>;

fn count_jobs(t: &Connection, census: &mut Census) -> Result<(), Error> {
    let queued = &format!("SELECT agent FROM jobs WHERE {IS_QUEUED} ORDER BY id");
    census.any_queued = t.prepare(&format!("{queued} LIMIT 1"))?.exists([])?;
    if census.any_queued {
        census.queued_agents = top(&values(t, &format!("{queued} LIMIT {SAMPLE}"))?);
    }
    let (mut statuses, mut agents, mut first) = (Counts::new(), Counts::new(), Counts::new());
    let mut first_of: BTreeMap<i64, Option<String>> = BTreeMap::new();
    let mut query = t.prepare(&format!(
        "SELECT status, agent, CASE WHEN typeof(task_id) = 'integer' THEN task_id END
         FROM jobs ORDER BY id DESC LIMIT {SAMPLE}"
    ))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let agent = text(row, 1)?;
        *statuses.entry(text(row, 0)?).or_default() += 1;
        *agents.entry(agent.clone()).or_default() += 1;
        if let Some(task) = row.get(2)? {
            // The ids descend, so the last one seen is the first.
            first_of.insert(task, agent);
        }
    }
    for agent in first_of.into_values() {
        *first.entry(agent).or_default() += 1;
    }
    census.first_tasks = first.values().sum();
    census.statuses = top(&statuses);
    census.agents = top(&agents);
    census.first_agents = top(&first);
    Ok(())
}

fn count(t: &Connection, table: &str) -> Result<u64, Error> {
    let sql = format!("SELECT count(*) FROM {table}");
    Ok(t.query_row(&sql, [], |row| row.get(0))?)
}

fn values(t: &Connection, sql: &str) -> Result<Counts, Error> {
    let mut counts = Counts::new();
    let mut query = t.prepare(sql)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        *counts.entry(text(row, 0)?).or_default() += 1;
    }
    Ok(counts)
}

/// The beginning of a value, because another program may store a long text in a status. A blob is
/// no name.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    const LONGEST: usize = 200;
    if matches!(row.get_ref(column)?, ValueRef::Blob(_)) {
        return Ok(None);
    }
    let text = row.get::<_, Shown>(column)?.0;
    Ok(text.map(|text| match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }))
}

fn top(counts: &Counts) -> Vec<Counted> {
    let mut all: Vec<(&Option<String>, &u64)> = counts.iter().collect();
    all.sort_by(|(a, many), (b, few)| few.cmp(many).then_with(|| a.cmp(b)));
    all.into_iter()
        .take(LISTED)
        .map(|(value, rows)| Counted {
            value: value.clone(),
            rows: *rows,
        })
        .collect()
}

fn has_column(t: &Connection, table: &str, column: &str) -> Result<bool, Error> {
    let mut query = t.prepare_cached(
        "SELECT 1 FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE
            AND EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table'
            AND name = ?1 COLLATE NOCASE)",
    )?;
    Ok(query.exists([table, column])?)
}

/// Reads the first queued jobs, whose age matters.
fn unreadable_time(t: &Connection) -> Result<Option<String>, Error> {
    let mut query = t.prepare(&format!(
        "SELECT created_at FROM (SELECT id, created_at FROM jobs WHERE {IS_QUEUED}
            ORDER BY id LIMIT 100)
         WHERE created_at IS NOT NULL"
    ))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, Written>(0)?.0.is_none() {
            return Ok(text(row, 0)?);
        }
    }
    Ok(None)
}
