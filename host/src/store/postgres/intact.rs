//! What a database of a server lacks of the gate's own schema.
//!
//! Owns the look at the schema, and the repair of triggers. Leaves the additions to `prepare`, and
//! whether it is the same server as before to `identity`. Callers rely on this: the look writes
//! nothing and sees the database as it is now.

use super::catalog::{self, Kind};
use super::engine::Postgres;
use super::freeze_number::FREEZE_NUMBER;
use super::identity::meet;
use super::made::{self, Made};
use super::own_tables::OWN;
use super::schema::SHARED;
use super::tx::Session;
use super::{heads, migrate, version_row};
use crate::store::engine::{Tx, values};
use crate::store::{Change, Error, Missing, Problem};

impl Postgres {
    /// What is missing; nothing right after the preparation.
    pub(crate) fn missing(&mut self) -> Result<Vec<Missing>, Error> {
        self.read_one_state(missing)
    }

    /// Checks that the server answers, and that the database is a prepared queue. A connection that
    /// was lost is opened anew.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or the database is no prepared queue.
    pub(crate) fn check_files(&mut self) -> Result<(), Error> {
        let openings = self.openings();
        let (known, server) = (self.identity.clone(), self.server.clone());
        let found = match &known {
            None => None,
            Some(known) => Some(self.on_connection(|open| meet(open, Some(known), &server))?),
        };
        if found != known {
            self.forget();
        }
        let is_new = found.is_none() || self.openings() != openings;
        if is_new && let Some(problem) = Problem::of_missing(self.missing()?) {
            tracing::debug!("`{}`: {problem:?}", self.server);
            return Err(problem.at(self.location()));
        }
        self.identity = Some(match found {
            Some(found) => found,
            None => self.on_connection(|open| meet(open, None, &server))?,
        });
        Ok(())
    }

    /// Creates the missing triggers again, and returns their names. Changes may have gone
    /// unnoticed, so every head is found anew, and the clause gets a new version. A lost row of that
    /// version is restored as well. Another version's triggers stay and are logged: two versions
    /// would undo each other's for ever.
    pub(crate) fn restore_triggers(&mut self) -> Result<Vec<Change>, Error> {
        let (missing, others): (Vec<_>, Vec<_>) = self
            .read_one_state(migrate::missing_triggers)?
            .into_iter()
            .partition(|(_, made)| *made == Made::Nowhere);
        for (other, _) in others {
            tracing::error!(
                "the trigger `{}` is not as this version makes it: prepare the database with the \
                 newest version, and restart processes of older ones",
                other.name
            );
        }
        let is_numbered = self.read(version_row::is_right)?;
        if missing.is_empty() && is_numbered {
            return Ok(Vec::new());
        }
        self.write_durably(|session| {
            let tx: &dyn Tx = session;
            tx.row(&heads::without_claims(session.schema()), &[], |_| Ok(()))?;
            let mut changes = Vec::new();
            for (trigger, made) in migrate::missing_triggers(session)? {
                // Another process may have created it by now.
                if made == Made::Nowhere {
                    session.batch(&trigger.make(session.schema()))?;
                    changes.push(Change::Trigger(trigger.name));
                }
            }
            if !changes.is_empty() {
                migrate::forget(session)?;
            }
            if version_row::put_right(session)? {
                changes.push(Change::Row(version_row::TABLE.into()));
            }
            Ok(changes)
        })
    }

    /// Makes a change that leaves nothing behind, to see whether the server takes it.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(crate) fn try_to_write(&mut self) -> Result<(), Error> {
        self.write_durably(|session| {
            let tx: &dyn Tx = session;
            let trial = values!["the trial"];
            tx.execute(
                "INSERT INTO serial_gate_channel (name, held_until) VALUES ($1, '')
                 ON CONFLICT DO NOTHING",
                trial,
            )?;
            tx.execute("DELETE FROM serial_gate_channel WHERE name = $1", trial)?;
            Ok(())
        })?;
        self.write_failed = None;
        Ok(())
    }
}

fn missing(session: &Session<'_>) -> Result<Vec<Missing>, Error> {
    let relations = catalog::relations(session)?;
    let columns = catalog::columns(session)?;
    let is_there = |name: &str, kind| relations.get(name).is_some_and(|it| it.kind == kind);
    let mut missing = Vec::new();
    let own = OWN.iter().map(|own| {
        let columns: Vec<&str> = own
            .columns
            .iter()
            .map(|(name, _)| name.trim_matches('"'))
            .collect();
        (own.name, columns)
    });
    let shared = SHARED.iter().map(|table| {
        let required = table.required.iter().map(|(name, _)| *name);
        let added = table.added.iter().map(|(name, _)| *name);
        (table.name, required.chain(added).collect())
    });
    for (table, needed) in own.chain(shared) {
        if !is_there(table, Kind::Table) {
            missing.push(Missing::Table(table.into()));
            continue;
        }
        let has = |column: &&str| {
            columns
                .get(table)
                .is_some_and(|of| of.contains_key(*column))
        };
        let lacking = needed.iter().filter(|column| !has(column));
        missing.extend(lacking.map(|column| Missing::Column(format!("{table}.{column}"))));
    }
    if !is_there(FREEZE_NUMBER, Kind::Sequence) {
        missing.push(Missing::Sequence(FREEZE_NUMBER.into()));
    }
    if is_there(version_row::TABLE, Kind::Table) && !version_row::is_right(session)? {
        missing.push(Missing::Row(version_row::TABLE.into()));
    }
    let objects = made::not_as_made(session)?.into_iter();
    missing.extend(objects.map(|(object, _)| match object.kind {
        made::Kind::Index => Missing::Index(object.name),
        made::Kind::Function => Missing::Function(object.name),
        made::Kind::Trigger => Missing::Trigger(object.name),
    }));
    Ok(missing)
}
