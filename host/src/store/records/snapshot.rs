//! The state of the queue as a policy sees it.
//!
//! Owns the queries for the rows that a policy is given: every queued job, and what can matter to a
//! clause. Leaves what can matter to the clause's room. All rows come from one read transaction.
//! Callers rely on this: what a snapshot costs depends on the queued jobs and on the rows that can
//! matter, and not on those that no longer do, as far as an index answers the clause's conditions.
//! Those conditions are a policy's text: the engine runs them in its sandbox and a claim's budget.

use std::collections::HashMap;

use crate::clause::{Footprint, Source, Table};
use crate::model::{
    Freezes, Jobs, NULL, Snapshot, Symbol, Symbols, TaskIdKind, Tasks, task_id_kind,
};
use crate::printable::hex;
use crate::store::Error;
use crate::store::engine::{Row, ToValue, Tx, Value};
use crate::store::indexes::LINES;
use crate::store::job::IS_QUEUED;

/// The state as this transaction sees it.
pub(crate) fn state(tx: &dyn Tx, reach: &Footprint, job: Option<i64>) -> Result<Snapshot, Error> {
    state_about(tx, reach, About::of(&job))
}

/// The queued jobs that a state is about, with what can matter to them.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    /// All of them.
    All,
    /// This one.
    Job(&'a i64),
    /// Those of these repos; at least one.
    Repos(&'a [String]),
}

/// The state as this transaction sees it, about some queued jobs.
pub(crate) fn state_about(
    tx: &dyn Tx,
    reach: &Footprint,
    job: About<'_>,
) -> Result<Snapshot, Error> {
    let mut symbols = Known::default();
    Ok(Snapshot {
        jobs: jobs(tx, &mut symbols, reach, job)?,
        tasks: tasks(tx, &mut symbols, reach, job)?,
        freezes: freezes(tx, &mut symbols, reach, job)?,
        symbols: symbols.symbols,
    })
}

/// Whether a state would have no more rows than that from each of its sources. It reads no more of
/// them.
pub(crate) fn has_no_more_than(
    most: usize,
    tx: &dyn Tx,
    reach: &Footprint,
    job: Option<i64>,
) -> Result<bool, Error> {
    let about = About::of(&job);
    let queued = with_queued(tx, about);
    let is_beyond = |rows: &str| {
        let sql = format!("{queued} {rows} LIMIT 1 OFFSET {most}");
        tx.exists(&sql, &about.bound())
    };
    // These first: the others are looked up for each of them.
    if job.is_none() && is_beyond("SELECT id FROM queued")? {
        return Ok(false);
    }
    for table in Table::ALL {
        for source in reach.sources(table, tx.dialect()) {
            if is_beyond(&part(&source, table, &["id"]))? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn jobs(
    tx: &dyn Tx,
    symbols: &mut Known,
    reach: &Footprint,
    job: About<'_>,
) -> Result<Jobs, Error> {
    let mut jobs = Jobs {
        id: Vec::new(),
        task_id: Vec::new(),
        task_id_kind: Vec::new(),
        repo: Vec::new(),
        agent: Vec::new(),
        status: Vec::new(),
    };
    let query = query_about(tx, reach, Table::Jobs, job);
    for_each_row(tx, query, job, |row| {
        let (task, kind) = order_of(row.0.value(1)?);
        jobs.id.push(row.get(0)?);
        jobs.task_id.push(task);
        jobs.task_id_kind.push(kind);
        jobs.repo.push(symbols.of(row, 2)?);
        jobs.agent.push(symbols.of(row, 3)?);
        jobs.status.push(symbols.of(row, 4)?);
        Ok(())
    })?;
    Ok(jobs)
}

fn tasks(
    tx: &dyn Tx,
    symbols: &mut Known,
    reach: &Footprint,
    job: About<'_>,
) -> Result<Tasks, Error> {
    let mut tasks = Tasks {
        id: Vec::new(),
        work_item: Vec::new(),
        repo: Vec::new(),
        stage: Vec::new(),
        label: Vec::new(),
    };
    let query = query_about(tx, reach, Table::Tasks, job);
    for_each_row(tx, query, job, |row| {
        tasks.id.push(row.get(0)?);
        tasks.work_item.push(symbols.of(row, 1)?);
        tasks.repo.push(symbols.of(row, 2)?);
        tasks.stage.push(symbols.of(row, 3)?);
        tasks.label.push(symbols.of(row, 4)?);
        Ok(())
    })?;
    Ok(tasks)
}

fn freezes(
    tx: &dyn Tx,
    symbols: &mut Known,
    reach: &Footprint,
    job: About<'_>,
) -> Result<Freezes, Error> {
    let mut freezes = Freezes {
        id: Vec::new(),
        repo: Vec::new(),
        frozen_at: Vec::new(),
        cleared_at: Vec::new(),
        reason: Vec::new(),
        work_item: Vec::new(),
    };
    let query = query_about(tx, reach, Table::RepoFreeze, job);
    for_each_row(tx, query, job, |row| {
        freezes.id.push(row.get(0)?);
        freezes.repo.push(symbols.of(row, 1)?);
        freezes.frozen_at.push(symbols.of(row, 2)?);
        freezes.cleared_at.push(symbols.of(row, 3)?);
        freezes.reason.push(symbols.of(row, 4)?);
        freezes.work_item.push(symbols.of(row, 5)?);
        Ok(())
    })?;
    Ok(freezes)
}

/// The rows of a table that can matter to all queued jobs, or to the bound job, each once,
/// in the order of their ids. The columns are in the order of the clause's contract. None where no
/// row can matter.
pub(crate) fn query(
    tx: &dyn Tx,
    reach: &Footprint,
    table: Table,
    job: Option<i64>,
) -> Option<String> {
    query_about(tx, reach, table, About::of(&job))
}

fn query_about(tx: &dyn Tx, reach: &Footprint, table: Table, job: About<'_>) -> Option<String> {
    let sources = reach.sources(table, tx.dialect()).into_iter();
    let columns = columns(table);
    let parts = sources.map(|source| part(&source, table, &columns));
    let mut parts: Vec<String> = parts.collect();
    if table == Table::Jobs {
        parts.push(format!("SELECT {} FROM queued", columns.join(", ")));
    }
    let queued = with_queued(tx, job);
    (!parts.is_empty()).then(|| format!("{queued} {} ORDER BY 1", parts.join(" UNION ")))
}

/// The queued jobs, or the bound job, by a name for the rest of a query.
fn with_queued(tx: &dyn Tx, about: About<'_>) -> String {
    // Pinned: without it SQLite may read the jobs that ended, to find the values in the order of
    // another index.
    let queued = match about {
        About::Job(_) => format!("jobs WHERE {IS_QUEUED} AND id = $1"),
        About::All => format!("jobs {} WHERE {IS_QUEUED}", tx.by_index(LINES)),
        About::Repos(repos) => {
            let numbers = (1..=repos.len()).map(|number| format!("${number}"));
            let numbers = numbers.collect::<Vec<_>>().join(", ");
            let by_index = tx.by_index(LINES);
            format!("jobs {by_index} WHERE {IS_QUEUED} AND repo IN ({numbers})")
        }
    };
    let columns = columns(Table::Jobs).join(", ");
    format!("WITH queued AS (SELECT {columns} FROM {queued})")
}

fn columns(table: Table) -> Vec<&'static str> {
    table.column_names().collect()
}

/// The rows of one source. They are looked up for each set of values that a queued job has, and not
/// for each queued job.
fn part(source: &Source, table: Table, columns: &[&str]) -> String {
    let Source {
        name,
        job_columns,
        condition,
    } = source;
    let columns: Vec<String> = columns
        .iter()
        .map(|column| format!("{name}.{column}"))
        .collect();
    format!(
        "SELECT {} FROM (SELECT DISTINCT {} FROM queued) AS jobs CROSS JOIN {} AS {name}
         WHERE {condition}",
        columns.join(", "),
        job_columns.join(", "),
        table.name(),
    )
}

impl<'a> About<'a> {
    fn of(job: &'a Option<i64>) -> About<'a> {
        job.as_ref().map_or(About::All, About::Job)
    }

    /// The values of a query.
    fn bound(self) -> Vec<Value<'a>> {
        match self {
            About::All => Vec::new(),
            About::Job(job) => vec![job.to_value()],
            About::Repos(repos) => repos.iter().map(ToValue::to_value).collect(),
        }
    }
}

/// A row that cannot be read ends it: the columns of a table would differ in length.
fn for_each_row(
    tx: &dyn Tx,
    query: Option<String>,
    about: About<'_>,
    mut read: impl FnMut(Row<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let Some(query) = query else {
        return Ok(());
    };
    tx.query(&query, &about.bound(), &mut |row| {
        read(row)?;
        Ok(true)
    })
}

/// 2^63, the first number after every id. It is exact as a float.
const AFTER_EVERY_ID: f64 = 9_223_372_036_854_775_808.0;

/// A job's place in the order of tasks, as a number. A value that is no number has the place where
/// the database sorts it.
fn order_of(task: Value<'_>) -> (i64, TaskIdKind) {
    match task {
        Value::Null => (0, task_id_kind::NULL),
        Value::Integer(number) => (number, task_id_kind::ID),
        Value::Real(number) if number < AFTER_EVERY_ID => {
            // The conversion saturates at the lower end, which is right: no id is less than the
            // least integer.
            let next = number.ceil();
            let is_whole = next == number && number >= -AFTER_EVERY_ID;
            let kind = if is_whole {
                task_id_kind::ID
            } else {
                task_id_kind::BEFORE_ID
            };
            (next as i64, kind)
        }
        Value::Real(_) | Value::Text(_) | Value::Bytes(_) => (0, task_id_kind::AFTER_EVERY_ID),
    }
}

/// Values and their symbols. Two values get the same symbol exactly when the database finds them equal:
/// a blob is never equal to a text, whatever its bytes.
#[derive(Default)]
struct Known {
    symbols: Symbols,
    known: HashMap<Key, Symbol>,
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Text(Vec<u8>),
    Blob(Vec<u8>),
    /// As text, with a fraction only if it has one: 1 and 1.0 are equal.
    Number(String),
}

impl Known {
    fn of(&mut self, row: Row<'_>, column: usize) -> Result<Symbol, Error> {
        let Some(key) = Key::of(row.0.value(column)?) else {
            return Ok(NULL);
        };
        let symbols = &mut self.symbols;
        let known = self.known.entry(key);
        Ok(*known.or_insert_with_key(|key| symbols.push(&key.text())))
    }
}

impl Key {
    fn of(value: Value<'_>) -> Option<Key> {
        Some(match value {
            Value::Null => return None,
            Value::Text(text) => Key::Text(text.to_vec()),
            Value::Bytes(bytes) => Key::Blob(bytes.to_vec()),
            Value::Integer(number) => Key::Number(number.to_string()),
            Value::Real(number) => Key::Number(number.to_string()),
        })
    }

    fn text(&self) -> String {
        match self {
            Key::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Key::Blob(bytes) => format!("x'{}'", hex(bytes)),
            Key::Number(number) => number.clone(),
        }
    }
}
