//! What is in another program's tables: how many rows, and which statuses, agents and stages.
//!
//! Owns the count, which takes no lock and reads a bounded number of rows: the newest tasks and
//! jobs, and the first queued jobs. Leaves to the queue what the rule makes of them, and to the
//! engine which columns there are: a database need not be prepared, so missing tables and columns
//! count as empty. Callers rely on this: nothing is changed.

use std::collections::BTreeMap;

use crate::store::Error;
use crate::store::engine::{Row, Tx, Value};
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

/// Counts what is there. `has` tells whether a table, which is no view, has a column.
pub(crate) fn census(
    t: &dyn Tx,
    has: impl Fn(&str, &str) -> Result<bool, Error>,
) -> Result<Census, Error> {
    let mut census = Census {
        sample: SAMPLE,
        ..Census::default()
    };
    if has("tasks", "stage")? {
        census.tasks = count(t, "tasks")?;
        let sql = format!("SELECT stage FROM tasks ORDER BY id DESC LIMIT {SAMPLE}");
        census.stages = top(&values(t, &sql)?);
    }
    if has("jobs", "status")? && has("jobs", "agent")? && has("jobs", "task_id")? {
        census.jobs = count(t, "jobs")?;
        count_jobs(t, &mut census)?;
    }
    if has("jobs", "created_at")? {
        census.unreadable_time = unreadable_time(t)?;
    }
    Ok(census)
}

type Counts = BTreeMap<Option<String>, u64>;

fn count_jobs(t: &dyn Tx, census: &mut Census) -> Result<(), Error> {
    let queued = &format!("SELECT agent FROM jobs WHERE {IS_QUEUED} ORDER BY id");
    census.any_queued = t.exists(&format!("{queued} LIMIT 1"), &[])?;
    if census.any_queued {
        census.queued_agents = top(&values(t, &format!("{queued} LIMIT {SAMPLE}"))?);
    }
    let (mut statuses, mut agents, mut first) = (Counts::new(), Counts::new(), Counts::new());
    let mut first_of: BTreeMap<i64, Option<String>> = BTreeMap::new();
    let newest = format!("SELECT status, agent, task_id FROM jobs ORDER BY id DESC LIMIT {SAMPLE}");
    t.query(&newest, &[], &mut |row| {
        let agent = text(row, 1)?;
        *statuses.entry(text(row, 0)?).or_default() += 1;
        *agents.entry(agent.clone()).or_default() += 1;
        if let Some(task) = row.id(2)? {
            // The ids descend, so the last one seen is the first.
            first_of.insert(task, agent);
        }
        Ok(true)
    })?;
    for agent in first_of.into_values() {
        *first.entry(agent).or_default() += 1;
    }
    census.first_tasks = first.values().sum();
    census.statuses = top(&statuses);
    census.agents = top(&agents);
    census.first_agents = top(&first);
    Ok(())
}

fn count(t: &dyn Tx, table: &str) -> Result<u64, Error> {
    t.only(&format!("SELECT count(*) FROM {table}"), &[], |row| {
        row.get(0)
    })
}

fn values(t: &dyn Tx, sql: &str) -> Result<Counts, Error> {
    let mut counts = Counts::new();
    t.query(sql, &[], &mut |row| {
        *counts.entry(text(row, 0)?).or_default() += 1;
        Ok(true)
    })?;
    Ok(counts)
}

/// The beginning of a value, because another program may store a long text in a status. A blob is
/// no name.
fn text(row: Row<'_>, column: usize) -> Result<Option<String>, Error> {
    const LONGEST: usize = 200;
    if matches!(row.0.value(column)?, Value::Bytes(_)) {
        return Ok(None);
    }
    let text = row.shown(column)?;
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

/// Reads the first queued jobs, whose age matters.
fn unreadable_time(t: &dyn Tx) -> Result<Option<String>, Error> {
    let mut unreadable = None;
    let sql = format!(
        "SELECT created_at FROM (SELECT id, created_at FROM jobs WHERE {IS_QUEUED}
            ORDER BY id LIMIT 100) AS few
         WHERE created_at IS NOT NULL ORDER BY id"
    );
    t.query(&sql, &[], &mut |row| {
        if row.time(0)?.is_none() {
            unreadable = text(row, 0)?;
            return Ok(false);
        }
        Ok(true)
    })?;
    Ok(unreadable)
}
