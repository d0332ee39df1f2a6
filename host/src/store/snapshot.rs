//! The state of the queue as a policy sees it.
//!
//! Owns which rows a policy is given: every queued job, and what a sub-select of its clause could
//! reach from one of them. A sub-select is tied to its job by an equality of columns, so a row that
//! shares no value with any queued job is out of its reach. All rows come from one read transaction.

use std::collections::HashMap;

use rusqlite::types::{FromSql, FromSqlResult, ValueRef};
use rusqlite::{Row, Transaction};

use super::value::TaskOrder;
use super::{Error, Store};
use crate::clause::Table;
use crate::model::{Freeze, Job, Snapshot, Symbol, Task};

/// The queued jobs that the snapshot is for: all, or the one with the id that is bound.
const QUEUED: &str = "WITH queued AS MATERIALIZED (
    SELECT id, task_id, repo, agent, status FROM jobs
    WHERE status = 'queued' AND (?1 IS NULL OR id = ?1)
)";

/// The rows of a table that a sub-select could be tied to, over its columns `id` and `repo`.
const IN_REACH: &str = "id IN (SELECT id FROM queued UNION SELECT task_id FROM queued)
    OR repo IN (SELECT repo FROM queued UNION SELECT agent FROM queued UNION SELECT status FROM queued)";

impl Store {
    /// The state for all queued jobs, or for one. `reads` are the tables of the clause's sub-selects.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn snapshot(&mut self, reads: &[Table], job: Option<i64>) -> Result<Snapshot, Error> {
        self.doing(|connection| {
            let transaction = connection.transaction()?;
            let mut symbols = Symbols::default();
            let jobs = jobs(
                &transaction,
                &mut symbols,
                reads.contains(&Table::Jobs),
                job,
            )?;
            let tasks = if reads.contains(&Table::Tasks) {
                tasks(&transaction, &mut symbols, job)?
            } else {
                Vec::new()
            };
            let freezes = if reads.contains(&Table::RepoFreeze) {
                freezes(&transaction, &mut symbols, job)?
            } else {
                Vec::new()
            };
            Ok(Snapshot {
                symbols: symbols.texts,
                tasks,
                jobs,
                freezes,
            })
        })
    }
}

fn jobs(
    transaction: &Transaction<'_>,
    symbols: &mut Symbols,
    all_in_reach: bool,
    job: Option<i64>,
) -> rusqlite::Result<Vec<Job>> {
    let from = if all_in_reach {
        format!(
            "jobs WHERE {IN_REACH} OR task_id IN (SELECT id FROM queued UNION SELECT task_id FROM queued)"
        )
    } else {
        "queued".into()
    };
    let sql = format!("{QUEUED} SELECT id, task_id, repo, agent, status FROM {from} ORDER BY id");
    rows(transaction, &sql, job, |row| {
        Ok(Job {
            id: row.get(0)?,
            task_id: row.get::<_, TaskOrder>(1)?.0,
            repo: symbols.of(row, 2)?,
            agent: symbols.of(row, 3)?,
            status: symbols.of(row, 4)?,
        })
    })
}

fn tasks(
    transaction: &Transaction<'_>,
    symbols: &mut Symbols,
    job: Option<i64>,
) -> rusqlite::Result<Vec<Task>> {
    let sql = format!(
        "{QUEUED} SELECT id, work_item_id, repo, stage, gate_label FROM tasks WHERE {IN_REACH} ORDER BY id"
    );
    rows(transaction, &sql, job, |row| {
        Ok(Task {
            id: row.get(0)?,
            work_item: symbols.of(row, 1)?,
            repo: symbols.of(row, 2)?,
            stage: symbols.of(row, 3)?,
            label: symbols.of(row, 4)?,
        })
    })
}

fn freezes(
    transaction: &Transaction<'_>,
    symbols: &mut Symbols,
    job: Option<i64>,
) -> rusqlite::Result<Vec<Freeze>> {
    let sql = format!(
        "{QUEUED} SELECT id, repo, frozen_at, cleared_at, reason, work_item_id FROM repo_freeze
         WHERE {IN_REACH} ORDER BY id"
    );
    rows(transaction, &sql, job, |row| {
        Ok(Freeze {
            id: row.get(0)?,
            repo: symbols.of(row, 1)?,
            frozen_at: symbols.of(row, 2)?,
            cleared_at: symbols.of(row, 3)?,
            reason: symbols.of(row, 4)?,
            work_item: symbols.of(row, 5)?,
        })
    })
}

fn rows<T>(
    transaction: &Transaction<'_>,
    sql: &str,
    job: Option<i64>,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    transaction
        .prepare_cached(sql)?
        .query_map([job], read)?
        .collect()
}

/// Values and their symbols. Two values get the same symbol exactly when SQLite finds them equal:
/// a blob is never equal to a text, whatever its bytes.
#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
    known: HashMap<Key, Symbol>,
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Text(Vec<u8>),
    Blob(Vec<u8>),
    /// As text, with a fraction only if it has one: 1 and 1.0 are equal.
    Number(String),
}

impl Symbols {
    fn of(&mut self, row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Symbol>> {
        let Some(key) = row.get::<_, NullableKey>(column)?.0 else {
            return Ok(None);
        };
        // A snapshot has fewer than 2^32 distinct values: it would not fit a policy's memory.
        let next = Symbol::try_from(self.texts.len()).unwrap_or(Symbol::MAX);
        let texts = &mut self.texts;
        Ok(Some(*self.known.entry(key).or_insert_with_key(|key| {
            texts.push(key.text());
            next
        })))
    }
}

impl Key {
    fn text(&self) -> String {
        match self {
            Key::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Key::Blob(bytes) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("x'{digits}'")
            }
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
