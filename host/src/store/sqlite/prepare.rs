//! The preparation of a database: what it was before, what is added, and the trial that shows that
//! the gate can work in it.
//!
//! Owns the order: one write transaction, in which everything is added and tried, and which is
//! rolled back if the gate could not work there. The file's journal mode is changed last, and only
//! for a database that is fit. Leaves the additions to `migrate`. Callers rely on this: after an
//! error nothing has changed, unless it reports that only the switch of the journal mode failed.

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};

use super::connection::connect;
use super::error::at;
use super::migrate::add_missing;
use super::probe::probe;
use super::transaction::Transaction;
use super::{files, journal};
use crate::store::records::generations;
use crate::store::records::succession;
use crate::store::{
    Before, Change, Error, GenerationState, Preparation, Prepared, Problem, Proof, Trial, likeness,
};

/// Prepares the database at a path, and leaves it open.
pub(crate) fn prepare(
    path: &Path,
    preparation: Preparation<'_>,
) -> Result<(Prepared, Connection), Error> {
    files::check_links(path)?;
    if preparation.dry_run && is_nothing(path) {
        // Nothing is created, not even the file.
        let connection = Connection::open_in_memory()?;
        let prepared = change(&connection, preparation)?;
        return Ok((prepared, connection));
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, !preparation.dry_run);
    let (mut prepared, connection) = journal::in_turn(|| {
        let prepared = || {
            let connection = connect(path, flags)?;
            let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            // A new file has no mode yet.
            if pages == 0 && !preparation.dry_run {
                journal::enter_wal(&connection)?;
            }
            Ok((change(&connection, preparation)?, connection))
        };
        prepared().map_err(|error: Error| at(error, path))
    })?;
    if !preparation.dry_run {
        let entered = journal::in_turn(|| {
            let entered = || {
                let other = journal::other_than_wal(&connection)?.is_some();
                if other {
                    journal::enter_wal(&connection)?;
                }
                Ok(other)
            };
            entered().map_err(|error: Error| at(error, path))
        })?;
        if entered {
            prepared.changes.push(Change::JournalMode("wal".into()));
        }
    }
    Ok((prepared, connection))
}

/// Whether the file is missing, in an existing folder, or empty.
fn is_nothing(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(file) => file.is_file() && file.len() == 0,
        Err(_) => std::path::absolute(path)
            .is_ok_and(|path| path.parent().is_some_and(Path::is_dir) && !path.exists()),
    }
}

/// How often another program's triggers may end the whole transaction before the preparation gives
/// up.
const TRIES: usize = 10;

fn change(connection: &Connection, preparation: Preparation<'_>) -> Result<Prepared, Error> {
    let Preparation { first, actor, .. } = preparation;
    let mut proof = Proof::default();
    for _ in 0..TRIES {
        let transaction = Transaction::begin(connection)?;
        let begun = Instant::now();
        let before = before(&transaction)?;
        let unread = likeness::check(
            others(&transaction)?,
            str::eq_ignore_ascii_case,
            preparation.new_tables,
        )?;
        let mut changes = add_missing(&transaction)?;
        if succession::add_first(&transaction, first, actor)? {
            changes.push(Change::Generation(first.name.into()));
        }
        let active = generations::in_state(&transaction, GenerationState::Active)?;
        let settings = active.as_ref().map_or(first.settings, |it| &it.settings);
        let trial = (preparation.trial)(settings);
        if before != Before::Nothing {
            probe(&transaction, &trial, &mut proof)?;
            if !proof.is_fit() {
                return Err(Problem::Unfit(proof.forbidden).unnamed());
            }
        }
        if transaction.is_autocommit() {
            // A trigger has rolled everything back. Its cause is known now and is not tried again.
            continue;
        }
        // A commit would write the pages that the trial has touched, although their content is
        // unchanged.
        if preparation.dry_run || changes.is_empty() {
            drop(transaction);
        } else {
            transaction.commit()?;
        }
        return Ok(Prepared {
            before,
            changes,
            proof,
            trial,
            unread,
            risks: Vec::new(),
            locked: begun.elapsed(),
        });
    }
    Err(Error::GroupEnded)
}

/// The trial of a database that is prepared.
pub(crate) fn prove(connection: &Connection, trial: &Trial) -> Result<Proof, Error> {
    let mut proof = Proof::default();
    for _ in 0..TRIES {
        let transaction = Transaction::begin(connection)?;
        probe(&transaction, trial, &mut proof)?;
        if !transaction.is_autocommit() || !proof.is_fit() {
            break;
        }
    }
    Ok(proof)
}

/// The tables and views that are not the gate's own.
fn others(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut query = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')
            AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
            AND name NOT LIKE 'serial\\_gate\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    let names = query.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn before(connection: &Connection) -> Result<Before, Error> {
    let has = |names: &str| -> rusqlite::Result<bool> {
        connection
            .prepare(&format!("SELECT 1 FROM sqlite_schema WHERE {names}"))?
            .exists([])
    };
    Ok(
        if has("type = 'table' AND name = 'serial_gate_generation'")? {
            Before::Queue
        } else if has("type = 'table' AND lower(name) IN ('tasks', 'jobs')")? {
            Before::Orchestrator
        } else if has("TRUE")? {
            Before::OtherTables
        } else {
            Before::Nothing
        },
    )
}
