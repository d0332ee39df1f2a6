//! The tables: created in an empty database, completed in an orchestrator's.
//!
//! Owns what a table must have and what is added to it. Only tables, nullable columns and indexes
//! are ever added, so the orchestrator's own statements keep working. A migration library would
//! keep its version in `user_version`, which in an adopted database is the orchestrator's; what is
//! missing is therefore read from the schema itself.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::Error;

/// Something that was added to the database.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A table was created.
    Table(String),
    /// A nullable column was added to a table, as `table.column`.
    Column(String),
    /// An index was created.
    Index(String),
}

/// A table that is shared with the orchestrator.
struct Shared {
    name: &'static str,
    /// Without these, the rule has nothing to go by. `id` is the first.
    required: &'static [&'static str],
    /// Added when missing; nullable, so that other programs need not know them.
    added: &'static [(&'static str, &'static str)],
    create: &'static str,
}

const SHARED: [Shared; 3] = [
    Shared {
        name: "tasks",
        required: &["id", "repo", "stage"],
        added: &[
            ("work_item_id", "TEXT"),
            ("created_at", "TEXT"),
            // The stage that was last set through the gate, and when. Another program that sets
            // `stage` leaves them behind, so the time counts only while the stage is the same.
            ("gate_stage", "TEXT"),
            ("gate_stage_at", "TEXT"),
        ],
        create: "CREATE TABLE tasks (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            work_item_id TEXT,
            repo TEXT,
            stage TEXT,
            created_at TEXT DEFAULT (datetime('now')),
            gate_stage TEXT,
            gate_stage_at TEXT
        )",
    },
    Shared {
        name: "jobs",
        required: &["id", "task_id", "repo", "agent", "status"],
        added: &[
            ("created_at", "TEXT"),
            ("gate_worker", "TEXT"),
            ("gate_claimed_at", "TEXT"),
            ("gate_lease_until", "TEXT"),
            ("gate_attempt", "INTEGER"),
            ("gate_token", "INTEGER"),
            ("gate_error", "TEXT"),
        ],
        create: "CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            task_id INTEGER,
            repo TEXT,
            agent TEXT,
            status TEXT DEFAULT 'queued',
            created_at TEXT DEFAULT (datetime('now')),
            gate_worker TEXT,
            gate_claimed_at TEXT,
            gate_lease_until TEXT,
            gate_attempt INTEGER,
            gate_token INTEGER,
            gate_error TEXT
        )",
    },
    Shared {
        name: "repo_freeze",
        required: &["id", "repo", "cleared_at"],
        added: &[
            ("frozen_at", "TEXT"),
            ("reason", "TEXT"),
            ("work_item_id", "TEXT"),
        ],
        create: "CREATE TABLE repo_freeze (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            repo TEXT NOT NULL,
            frozen_at TEXT DEFAULT (datetime('now')),
            cleared_at TEXT,
            reason TEXT,
            work_item_id TEXT
        )",
    },
];

/// Tables of the gate's own, each with the statements that make it.
const OWN: [(&str, &str); 2] = [
    // One row. Tokens only grow, so a later claim of a job always has the higher one.
    (
        "serial_gate_token",
        "CREATE TABLE serial_gate_token (last INTEGER NOT NULL);
         INSERT INTO serial_gate_token (last) VALUES (0);",
    ),
    // The last clause that each policy gave for each settings, for the day when it gives none.
    (
        "serial_gate_clause",
        "CREATE TABLE serial_gate_clause (
            policy TEXT NOT NULL,
            settings TEXT NOT NULL,
            text TEXT NOT NULL,
            PRIMARY KEY (policy, settings)
        ) WITHOUT ROWID;",
    ),
];

/// The queue in claim order. The claim is pinned to it.
pub(super) const QUEUED: &str = "serial_gate_jobs_queued";

const INDEXES: [(&str, &str); 8] = [
    (QUEUED, "jobs (id) WHERE status = 'queued'"),
    (
        "serial_gate_jobs_leased",
        "jobs (gate_lease_until) WHERE status = 'running'",
    ),
    ("serial_gate_jobs_repo", "jobs (repo)"),
    ("serial_gate_jobs_task", "jobs (task_id)"),
    // Finished tasks are many and never matter to the default rule.
    (
        "serial_gate_tasks_unfinished",
        "tasks (repo, id) WHERE stage != 'done'",
    ),
    // For other rules. Not on `id`: SQLite would take it instead of the one above, for any rule.
    ("serial_gate_tasks_repo", "tasks (repo, stage)"),
    (
        "serial_gate_freezes_active",
        "repo_freeze (repo) WHERE cleared_at IS NULL",
    ),
    ("serial_gate_freezes_repo", "repo_freeze (repo)"),
];

/// Adds what is missing, in one transaction, and switches to WAL mode.
pub(super) fn migrate(connection: &mut Connection) -> Result<Vec<Change>, Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut changes = Vec::new();
    for table in &SHARED {
        complete(&transaction, table, &mut changes)?;
    }
    for (name, create) in OWN {
        if kind(&transaction, name)?.is_none() {
            transaction.execute_batch(create)?;
            changes.push(Change::Table(name.into()));
        }
    }
    for (name, columns) in INDEXES {
        if kind(&transaction, name)?.is_none() {
            transaction.execute_batch(&format!("CREATE INDEX {name} ON {columns}"))?;
            changes.push(Change::Index(name.into()));
        }
    }
    if changes.is_empty() {
        transaction.rollback()?;
    } else {
        transaction.commit()?;
    }
    // Readers and the writer do not wait for each other in this mode. It is kept in the file.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    Ok(changes)
}

/// Whether [`migrate`] has been here: its last index is there.
pub(super) fn check(connection: &mut Connection) -> Result<(), Error> {
    for (name, _) in INDEXES.iter().rev().take(1).chain(&OWN) {
        if kind(connection, name)?.is_none() {
            return Err(Error::NotPrepared {
                path: std::path::PathBuf::new(),
            });
        }
    }
    Ok(())
}

fn complete(
    connection: &Connection,
    table: &Shared,
    changes: &mut Vec<Change>,
) -> Result<(), Error> {
    let name = table.name;
    match kind(connection, name)?.as_deref() {
        None => {
            connection.execute_batch(table.create)?;
            changes.push(Change::Table(name.into()));
            return Ok(());
        }
        Some("table") => {}
        Some(other) => {
            return Err(problem(format!(
                "`{name}` is a {other}, and the gate needs a table"
            )));
        }
    }
    let columns = columns(connection, name)?;
    let has = |column: &str| {
        columns
            .iter()
            .any(|(has, _)| has.eq_ignore_ascii_case(column))
    };
    if let Some(missing) = table.required.iter().find(|column| !has(column)) {
        return Err(problem(format!(
            "its table `{name}` lacks the column `{missing}`: add it and fill it, or give the gate a database of its own"
        )));
    }
    if !columns
        .iter()
        .any(|(column, is_row_id)| column.eq_ignore_ascii_case("id") && *is_row_id)
    {
        return Err(problem(format!(
            "its column `{name}.id` is not the integer primary key, which gives the order of the queue"
        )));
    }
    for (column, kind) in table.added.iter().filter(|(column, _)| !has(column)) {
        connection.execute_batch(&format!("ALTER TABLE {name} ADD COLUMN {column} {kind}"))?;
        changes.push(Change::Column(format!("{name}.{column}")));
    }
    Ok(())
}

/// What a name in the schema stands for: `table`, `view`, `index` or `trigger`.
fn kind(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let mut query =
        connection.prepare("SELECT type FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE")?;
    query.query_row([name], |row| row.get(0)).optional()
}

/// The columns of a table, each with whether it is the integer primary key.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<(String, bool)>> {
    let mut query = connection.prepare(
        "SELECT name, pk = 1 AND upper(type) = 'INTEGER' AND (SELECT max(pk) FROM pragma_table_info(?1)) = 1
         FROM pragma_table_info(?1)",
    )?;
    let columns = query.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
    columns.collect()
}

fn problem(problem: String) -> Error {
    Error::Schema {
        path: std::path::PathBuf::new(),
        problem,
    }
}
