//! The state of the queue as a policy sees it.
//!
//! Owns the queries for the rows that a policy is given: every queued job, and what can matter to a
//! clause. Leaves what can matter to the clause's room. All rows come from one read transaction.
//! Callers rely on this: what a snapshot costs depends on the queued jobs and on the rows that can
//! matter, and not on those that no longer do, as far as an index answers the clause's conditions.
//! Those conditions are a policy's text: they run in the sandbox, in a claim's budget.

use std::collections::HashMap;

use rusqlite::types::{FromSql, FromSqlResult, ValueRef};
use rusqlite::{Row, params_from_iter};

use super::engine::Sqlite;
use super::plans::plan;
use super::transaction::Transaction;
use super::value::TaskOrder;
use crate::clause::{Footprint, Source, Table};
use crate::model::{Freezes, Jobs, NULL, Snapshot, Symbol, Symbols, Tasks};
use crate::printable::hex;
use crate::store::Error;
use crate::store::indexes::LINES;
use crate::store::job::IS_QUEUED;

impl Sqlite {
    /// The state for all queued jobs, or for one, as far as it is in reach.
    ///
    /// # Errors
    ///
    /// When the budget of a claim is spent, or the database cannot be read.
    pub fn snapshot(&mut self, reach: &Footprint, job: Option<i64>) -> Result<Snapshot, Error> {
        self.within_budget(|connection, _| {
            let transaction = Transaction::read(connection)?;
            state(&transaction, reach, job)
        })
    }

    /// The steps of SQLite's plan for each query of a snapshot.
    pub fn snapshot_plans(&mut self, reach: &Footprint) -> Result<Vec<Vec<String>>, Error> {
        self.within_budget(|connection, _| {
            let queries = [Table::Jobs, Table::Tasks, Table::RepoFreeze]
                .into_iter()
                .filter_map(|table| query(reach, table, None));
            queries.map(|query| plan(connection, &query)).collect()
        })
    }
}

/// The state as this transaction sees it.
pub(crate) fn state(
    transaction: &Transaction<'_>,
    reach: &Footprint,
    job: Option<i64>,
) -> rusqlite::Result<Snapshot> {
    let mut symbols = Known::default();
    Ok(Snapshot {
        jobs: jobs(transaction, &mut symbols, reach, job)?,
        tasks: tasks(transaction, &mut symbols, reach, job)?,
        freezes: freezes(transaction, &mut symbols, reach, job)?,
        symbols: symbols.symbols,
    })
}

/// Whether a state would have no more rows than that from each of its sources. It reads no more of
/// them.
pub(crate) fn has_no_more_than(
    most: usize,
    transaction: &Transaction<'_>,
    reach: &Footprint,
    job: Option<i64>,
) -> rusqlite::Result<bool> {
    let queued = with_queued(job);
    let is_beyond = |rows: &str| {
        let sql = format!("{queued} {rows} LIMIT 1 OFFSET {most}");
        transaction
            .prepare_cached(&sql)?
            .exists(params_from_iter(job))
    };
    // These first: the others are looked up for each of them.
    if job.is_none() && is_beyond("SELECT id FROM queued")? {
        return Ok(false);
    }
    for table in Table::ALL {
        for source in reach.sources(table) {
            if is_beyond(&part(&source, table, &["id"]))? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn jobs(
    transaction: &Transaction<'_>,
    symbols: &mut Known,
    reach: &Footprint,
    job: Option<i64>,
) -> rusqlite::Result<Jobs> {
    let mut jobs = Jobs {
        id: Vec::new(),
        task_id: Vec::new(),
        task_id_kind: Vec::new(),
        repo: Vec::new(),
        agent: Vec::new(),
        status: Vec::new(),
    };
    let query = query(reach, Table::Jobs, job);
    for_each_row(transaction, query, job, |row| {
        let task: TaskOrder = row.get(1)?;
        jobs.id.push(row.get(0)?);
        jobs.task_id.push(task.number);
        jobs.task_id_kind.push(task.kind);
        jobs.repo.push(symbols.of(row, 2)?);
        jobs.agent.push(symbols.of(row, 3)?);
        jobs.status.push(symbols.of(row, 4)?);
        Ok(())
    })?;
    Ok(jobs)
}

fn tasks(
    transaction: &Transaction<'_>,
    symbols: &mut Known,
    reach: &Footprint,
    job: Option<i64>,
) -> rusqlite::Result<Tasks> {
    let mut tasks = Tasks {
        id: Vec::new(),
        work_item: Vec::new(),
        repo: Vec::new(),
        stage: Vec::new(),
        label: Vec::new(),
    };
    let query = query(reach, Table::Tasks, job);
    for_each_row(transaction, query, job, |row| {
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
    transaction: &Transaction<'_>,
    symbols: &mut Known,
    reach: &Footprint,
    job: Option<i64>,
) -> rusqlite::Result<Freezes> {
    let mut freezes = Freezes {
        id: Vec::new(),
        repo: Vec::new(),
        frozen_at: Vec::new(),
        cleared_at: Vec::new(),
        reason: Vec::new(),
        work_item: Vec::new(),
    };
    let query = query(reach, Table::RepoFreeze, job);
    for_each_row(transaction, query, job, |row| {
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
fn query(reach: &Footprint, table: Table, job: Option<i64>) -> Option<String> {
    let sources = reach.sources(table).into_iter();
    let columns = columns(table);
    let parts = sources.map(|source| part(&source, table, &columns));
    let mut parts: Vec<String> = parts.collect();
    if table == Table::Jobs {
        parts.push(format!("SELECT {} FROM queued", columns.join(", ")));
    }
    let queued = with_queued(job);
    (!parts.is_empty()).then(|| format!("{queued} {} ORDER BY 1", parts.join(" UNION ")))
}

/// The queued jobs, or the bound job, by a name for the rest of a query.
fn with_queued(job: Option<i64>) -> String {
    // Pinned: without it SQLite may read the jobs that ended, to find the values in the order of
    // another index.
    let queued = match job {
        Some(_) => format!("jobs WHERE {IS_QUEUED} AND id = ?1"),
        None => format!("jobs INDEXED BY {LINES} WHERE {IS_QUEUED}"),
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

/// A row that cannot be read ends it: the columns of a table would differ in length.
fn for_each_row(
    transaction: &Transaction<'_>,
    query: Option<String>,
    job: Option<i64>,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let Some(query) = query else {
        return Ok(());
    };
    transaction
        .prepare_cached(&query)?
        .query_map(params_from_iter(job), read)?
        .collect()
}

/// Values and their symbols. Two values get the same symbol exactly when SQLite finds them equal:
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
    fn of(&mut self, row: &Row<'_>, column: usize) -> rusqlite::Result<Symbol> {
        let Some(key) = row.get::<_, NullableKey>(column)?.0 else {
            return Ok(NULL);
        };
        let symbols = &mut self.symbols;
        let known = self.known.entry(key);
        Ok(*known.or_insert_with_key(|key| symbols.push(&key.text())))
    }
}

impl Key {
    fn text(&self) -> String {
        match self {
            Key::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Key::Blob(bytes) => format!("x'{}'", hex(bytes)),
            Key::Number(number) => number.clone(),
        }
    }
}

struct NullableKey(Option<Key>);

impl FromSql for NullableKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<NullableKey> {
        Ok(NullableKey(match value {
            ValueRef::Null => None,
            ValueRef::Text(text) => Some(Key::Text(text.to_vec())),
            ValueRef::Blob(bytes) => Some(Key::Blob(bytes.to_vec())),
            ValueRef::Integer(number) => Some(Key::Number(number.to_string())),
            ValueRef::Real(number) => Some(Key::Number(number.to_string())),
        }))
    }
}
