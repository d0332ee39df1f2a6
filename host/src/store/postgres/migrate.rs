//! Brings a schema of a server to the queue's: an empty one, or an orchestrator's.
//!
//! Owns the additions and their order. What is missing is read from the catalogs: a migration
//! library would need a table of versions, which says nothing of an orchestrator's own changes.
//! Leaves the refusals to `needs` and `shared`. Callers rely on this: everything is added in the
//! caller's transaction, also the indexes. `CREATE INDEX CONCURRENTLY` would let others write
//! meanwhile, but it cannot be undone with the rest, and a process that is killed leaves an index
//! behind that is never completed. The wait of the others is reported instead, and a dry run
//! measures it.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use postgres::error::SqlState;

use super::catalog::{self, Kind};
use super::claim::drop_functions;
use super::error::reason;
use super::freeze_number::{FREEZE_NUMBER, create_freeze_number};
use super::made::{self, Made};
use super::own_tables::OWN;
use super::schema::{Column, SHARED, add_column};
use super::tx::Session;
use super::{heads, needs, shared, version_row};
use crate::store::engine::Tx;
use crate::store::{Change, Error, Problem};

/// How long others wait behind an attempt to lock the tables. Less than `deadlock_timeout`, after
/// which the server ends one of two that wait for each other, and it may be the other one.
const ATTEMPT: Duration = Duration::from_millis(500);

/// How long to try. A transaction that is open for longer than this is not waited for.
const TRIED: Duration = Duration::from_secs(30);

/// How long others get their turn between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// What is to be added.
struct Addition {
    change: Change,
    /// The table that others cannot use meanwhile, if it is there already.
    table: Option<&'static str>,
    sql: String,
}

/// What was added, and since when others have waited; none if they did not.
pub(crate) struct Added {
    pub changes: Vec<Change>,
    pub locked_at: Option<Instant>,
}

/// Adds what is missing. The caller has kept claims and other preparations away.
pub(crate) fn add_missing(session: &Session<'_>) -> Result<Added, Error> {
    let relations = catalog::relations(session)?;
    let columns = catalog::columns(session)?;
    let mut additions = Vec::new();
    let schema = session.schema();
    for table in &SHARED {
        let name = table.name;
        let Some(relation) = relations.get(name) else {
            additions.push(Addition {
                change: Change::Table(name.into()),
                table: None,
                sql: table.create(schema),
            });
            continue;
        };
        let known = columns.get(name).unwrap_or(const { &BTreeMap::new() });
        shared::check(table, relation, known)?;
        for column in table.added {
            if !known.contains_key(column.0) {
                additions.push(Addition {
                    change: Change::Column(format!("{name}.{}", column.0)),
                    table: Some(name),
                    sql: add_column(schema, name, column),
                });
            }
        }
    }
    for own in &OWN {
        match relations.get(own.name).map(|relation| relation.kind) {
            Some(Kind::Table) => {
                let known = columns.get(own.name).unwrap_or(const { &BTreeMap::new() });
                let lacks = |(column, _): &&Column| !known.contains_key(column.trim_matches('"'));
                for column in own.columns.iter().filter(lacks) {
                    additions.push(Addition {
                        change: Change::Column(format!("{}.{}", own.name, column.0)),
                        table: Some(own.name),
                        sql: add_column(schema, own.name, column),
                    });
                }
            }
            Some(other) => return Err(shared::occupied(own.name, "a table", other)),
            None => additions.push(Addition {
                change: Change::Table(own.name.into()),
                table: None,
                sql: own.create(schema),
            }),
        }
    }
    match relations.get(FREEZE_NUMBER).map(|relation| relation.kind) {
        Some(Kind::Sequence) => {}
        Some(other) => return Err(shared::occupied(FREEZE_NUMBER, "a sequence", other)),
        None => additions.push(Addition {
            change: Change::Sequence(FREEZE_NUMBER.into()),
            table: None,
            sql: create_freeze_number(schema),
        }),
    }
    for (object, _) in made::not_as_made(session)? {
        let name = object.name.clone();
        if object.kind == made::Kind::Index
            && let Some(relation) = relations.get(&name)
            && relation.table.as_deref() != Some(object.table)
        {
            let needed = format!("an index of `{}`", object.table);
            return Err(shared::occupied(&name, &needed, relation.kind));
        }
        additions.push(Addition {
            change: match object.kind {
                made::Kind::Index => Change::Index(name),
                made::Kind::Function => Change::Function(name),
                made::Kind::Trigger => Change::Trigger(name),
            },
            table: Some(object.table).filter(|table| !table.is_empty()),
            sql: object.make(schema),
        });
    }
    let existing: BTreeSet<&str> = additions
        .iter()
        .filter_map(|addition| addition.table)
        .filter(|table| relations.contains_key(*table))
        .collect();
    needs::check_owner(session, &relations, existing.iter().copied())?;
    let locked_at = lock(session, &existing)?;
    let mut changes = Vec::new();
    for addition in additions {
        session.batch(&addition.sql)?;
        changes.push(addition.change);
    }
    if version_row::put_right(session)? {
        changes.push(Change::Row(version_row::TABLE.into()));
    }
    if !changes.is_empty() {
        forget(session)?;
    }
    Ok(Added { changes, locked_at })
}

/// Takes the tables for this transaction alone. Others do not wait long behind an attempt, and
/// nobody is ended because of it.
fn lock(session: &Session<'_>, tables: &BTreeSet<&str>) -> Result<Option<Instant>, Error> {
    if tables.is_empty() {
        return Ok(None);
    }
    let schema = session.schema();
    let named: Vec<String> = tables
        .iter()
        .map(|table| format!("{schema}.{table}"))
        .collect();
    let lock = format!(
        "SET LOCAL lock_timeout = {}; LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
        ATTEMPT.as_millis(),
        named.join(", ")
    );
    let begun = Instant::now();
    loop {
        let attempt = Instant::now();
        session.begin_part()?;
        match session.batch(&lock) {
            Ok(()) => {
                session.keep_part()?;
                return Ok(Some(attempt));
            }
            Err(error) if is_held(&error) => session.undo_part()?,
            Err(error) => return Err(error),
        }
        if begun.elapsed() > TRIED {
            return Err(Problem::Locked.unnamed());
        }
        thread::sleep(PAUSE);
    }
}

fn is_held(error: &Error) -> bool {
    let code = reason(error).and_then(postgres::Error::code);
    code == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// Forgets every head: rows may have changed while a trigger was missing. Cached clauses are
/// fetched anew.
pub(crate) fn forget(session: &Session<'_>) -> Result<(), Error> {
    let tx: &dyn Tx = session;
    let digests: Vec<String> = tx.rows(heads::REMOVE_ALL, &[], |row| row.get(0))?;
    for digest in digests {
        for statement in drop_functions(session.schema(), &digest) {
            session.batch(&statement)?;
        }
    }
    for statement in heads::REMOVE_ROWS {
        tx.execute(statement, &[])?;
    }
    version_row::next(session)
}

/// Creates the triggers that are missing, and returns their names with those that are not as this
/// version makes them.
pub(crate) fn missing_triggers(session: &Session<'_>) -> Result<Vec<(made::Object, Made)>, Error> {
    let mut objects = made::not_as_made(session)?;
    objects.retain(|(object, _)| object.kind == made::Kind::Trigger);
    Ok(objects)
}
