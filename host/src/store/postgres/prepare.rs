//! The preparation of a database in a server: what it was before, what is added, and the trial that
//! shows that the gate can work in it.
//!
//! Owns the order: one transaction, in which everything is asked, added and tried, and which is
//! rolled back if the gate could not work there. Claims and other preparations wait until it is
//! over. Leaves the additions to `migrate`. Callers rely on this: after an error nothing has
//! changed, but a trial may have used up numbers of a sequence that is in use.

use std::time::{Duration, Instant};

use super::catalog::{self, Kind as Relation};
use super::connection::Open;
use super::engine::Postgres;
use super::error::at;
use super::server::Server;
use super::transaction::{self, Kind, Waits};
use super::tx::Session;
use super::{heads, migrate, needs, probe, replication};
use crate::store::engine::{Tx, values};
use crate::store::records::{generations, succession};
use crate::store::{
    Before, Change, DatabaseError, Durability, Error, GenerationState, Location, Preparation,
    Prepared, Problem, Proof, Trial, likeness,
};

/// Prepares the database of a server.
pub(crate) fn prepare(server: &Server, preparation: Preparation<'_>) -> Result<Prepared, Error> {
    let prepared = || {
        let mut open = Open::at(server)?;
        let kind = Kind::Change {
            durability: Durability::Full,
            waits: Waits::ForOthers,
        };
        let names_schema = server.schema().is_some();
        let mut locked_at = None;
        let step = |session: &Session<'_>| {
            let (prepared, at) = change(session, preparation, names_schema)?;
            locked_at = at;
            Ok(prepared)
        };
        let mut prepared = if preparation.dry_run {
            transaction::run_and_undo(&mut open, &kind, step)?
        } else {
            transaction::run(&mut open, &kind, step)?
        };
        prepared.locked = locked_at.map_or(Duration::ZERO, |at: Instant| at.elapsed());
        Ok(prepared)
    };
    prepared().map_err(|error: Error| at(error, &Location::Server(server.clone())))
}

fn change(
    session: &Session<'_>,
    preparation: Preparation<'_>,
    names_schema: bool,
) -> Result<(Prepared, Option<Instant>), Error> {
    let Preparation { first, actor, .. } = preparation;
    needs::check(session)?;
    let tx: &dyn Tx = session;
    tx.row(&heads::without_claims(session.schema()), &[], |_| Ok(()))?;
    let before = before(session)?;
    let others = others(session, names_schema)?;
    let is_it = |name: &str, own: &str| name == own;
    let unread = likeness::check(others, is_it, preparation.new_tables)
        .map_err(|error| of_the_schema(error, session))?;
    let added = migrate::add_missing(session)?;
    let mut changes = added.changes;
    if succession::add_first(session, first, actor)? {
        changes.push(Change::Generation(first.name.into()));
    }
    let active = generations::in_state(session, GenerationState::Active)?;
    let settings = active.as_ref().map_or(first.settings, |it| &it.settings);
    let trial = (preparation.trial)(settings);
    let mut proof = Proof::default();
    if before != Before::Nothing {
        probe::probe(session, &trial, &mut proof)?;
        if !proof.is_fit() {
            return Err(Problem::Unfit(proof.forbidden).unnamed());
        }
    }
    let prepared = Prepared {
        before,
        changes,
        proof,
        trial,
        unread,
        risks: replication::risks(session)?,
        locked: Duration::ZERO,
    };
    Ok((prepared, added.locked_at))
}

impl Postgres {
    /// The trial of a database that is prepared.
    pub(crate) fn prove(&mut self, trial: &Trial) -> Result<Proof, Error> {
        self.undone(|session| {
            let mut proof = Proof::default();
            probe::probe(session, trial, &mut proof)?;
            Ok(proof)
        })
    }
}

fn before(session: &Session<'_>) -> Result<Before, Error> {
    let relations = catalog::relations(session)?;
    let is_no_index = |kind: Relation| !matches!(kind, Relation::Index | Relation::Sequence);
    Ok(if relations.contains_key("serial_gate_generation") {
        Before::Queue
    } else if relations.contains_key("tasks") || relations.contains_key("jobs") {
        Before::Orchestrator
    } else if relations
        .values()
        .any(|relation| is_no_index(relation.kind))
    {
        Before::OtherTables
    } else {
        Before::Nothing
    })
}

/// Names the schema in a refusal: the tables that were meant may be in another one.
fn of_the_schema(error: Error, session: &Session<'_>) -> Error {
    match error {
        Error::Database(DatabaseError {
            problem: Problem::Alike(found),
            ..
        }) => {
            let schema = session.schema_name();
            Problem::Alike(format!("{found} of the schema `{schema}`")).unnamed()
        }
        other => other,
    }
}

/// The tables and views of the schema that are not the gate's own. If no schema was named, `jobs`
/// and `tasks` of another one may be what was meant.
fn others(session: &Session<'_>, names_schema: bool) -> Result<Vec<String>, Error> {
    let tx: &dyn Tx = session;
    tx.rows(
        "SELECT CASE WHEN c.relnamespace = to_regnamespace($1) THEN c.relname::text
                ELSE n.nspname || '.' || c.relname END AS name
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT starts_with(c.relname, 'serial_gate_')
            AND (c.relnamespace = to_regnamespace($1)
                OR ($2 = 0 AND c.relname IN ('jobs', 'tasks')
                    AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')))
         ORDER BY name",
        values![session.schema(), names_schema],
        |row| row.get(0),
    )
}
