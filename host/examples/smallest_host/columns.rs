//! The rows of a queue in the contract's columns: see `symbol`, `symbols` and `task-id-kind` there.

use std::collections::HashMap;
use std::error::Error;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::host::{Freezes, Jobs, Snapshot, Symbols, Tasks};

/// The rows of a queue in the contract's columns.
pub fn columns(queue: &Connection) -> Result<Snapshot, Box<dyn Error>> {
    let mut symbols = Interned::default();
    let tasks = rows(
        queue,
        "SELECT id, work_item_id, repo, stage FROM tasks ORDER BY id",
        4,
    )?;
    let jobs = rows(
        queue,
        "SELECT id, task_id, repo, agent, status FROM jobs ORDER BY id",
        5,
    )?;
    let freezes =
        "SELECT id, repo, frozen_at, cleared_at, reason, work_item_id FROM repo_freeze ORDER BY id";
    let freezes = rows(queue, freezes, 6)?;
    let [t, j, f] = [&tasks, &jobs, &freezes];
    let places: Vec<(i64, u8)> = column(j, 1).map(place).collect();
    Ok(Snapshot {
        tasks: Tasks {
            id: ids(t)?,
            work_item: symbols.of(t, 1),
            repo: symbols.of(t, 2),
            stage: symbols.of(t, 3),
            label: vec![0; t.len()],
        },
        jobs: Jobs {
            id: ids(j)?,
            task_id: places.iter().map(|(number, _)| *number).collect(),
            task_id_kind: places.iter().map(|(_, kind)| *kind).collect(),
            repo: symbols.of(j, 2),
            agent: symbols.of(j, 3),
            status: symbols.of(j, 4),
        },
        freezes: Freezes {
            id: ids(f)?,
            repo: symbols.of(f, 1),
            frozen_at: symbols.of(f, 2),
            cleared_at: symbols.of(f, 3),
            reason: symbols.of(f, 4),
            work_item: symbols.of(f, 5),
        },
        symbols: symbols.table(),
    })
}

fn rows(queue: &Connection, sql: &str, width: usize) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut query = queue.prepare(sql)?;
    let row = |row: &rusqlite::Row<'_>| (0..width).map(|at| row.get(at)).collect();
    query.query_map([], row)?.collect()
}

fn column(rows: &[Vec<Value>], at: usize) -> impl Iterator<Item = &Value> {
    rows.iter()
        .map(move |row| row.get(at).unwrap_or(&Value::Null))
}

fn ids(rows: &[Vec<Value>]) -> Result<Vec<i64>, Box<dyn Error>> {
    let id = |value: &Value| match value {
        Value::Integer(id) => Ok(*id),
        other => Err(format!("an id is {other:?}").into()),
    };
    column(rows, 0).map(id).collect()
}

/// The place of a job in the order of tasks: see `task-id-kind`.
fn place(task: &Value) -> (i64, u8) {
    match *task {
        Value::Null => (0, 0),
        Value::Integer(id) => (id, 1),
        Value::Real(number) if number < i64::MIN as f64 => (i64::MIN, 2),
        Value::Real(number) if number < i64::MAX as f64 => (
            number.ceil() as i64,
            if number.fract() == 0.0 { 1 } else { 2 },
        ),
        _ => (0, 3),
    }
}

/// The symbols so far: a text and another value that looks like it have two.
#[derive(Default)]
struct Interned {
    known: HashMap<(bool, String), u32>,
    text: String,
    ends: Vec<u32>,
}

impl Interned {
    fn of(&mut self, rows: &[Vec<Value>], at: usize) -> Vec<u32> {
        column(rows, at).map(|value| self.symbol(value)).collect()
    }

    fn symbol(&mut self, value: &Value) -> u32 {
        let key = match value {
            Value::Null => return 0,
            Value::Text(text) => (true, text.clone()),
            Value::Integer(number) => (false, number.to_string()),
            Value::Real(number) => (false, number.to_string()),
            Value::Blob(bytes) => (
                false,
                format!(
                    "x'{}'",
                    bytes
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect::<String>()
                ),
            ),
        };
        let next = self.ends.len() as u32 + 1;
        *self.known.entry(key).or_insert_with_key(|(_, text)| {
            self.text.push_str(text);
            self.ends.push(self.text.len() as u32);
            next
        })
    }

    fn table(self) -> Symbols {
        Symbols {
            text: self.text,
            ends: [0].into_iter().chain(self.ends).collect(),
        }
    }
}
