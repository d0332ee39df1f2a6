//! How a database becomes a queue.
//!
//! Owns the first generation: the built-in policy with the given settings. Leaves the schema, and
//! what another program's tables lack, to the store.

use super::{Error, Queue, adoption};
use crate::gate::stored;
use crate::model::Settings;
use crate::policy::{self, Allowance, DEFAULT_POLICY};
use crate::store::{Actor, Change, Database, NewGeneration, Preparation, Prepared, Store};

/// How a database is prepared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Preparing {
    /// Make new tables although the database has others of almost their names.
    pub new_tables: bool,
    /// Do it all, and roll it back.
    pub dry_run: bool,
}

impl Queue {
    /// Prepares a database, or adds what is missing. The built-in policy with these settings is its
    /// first generation, unless it has generations already.
    pub fn init(
        database: impl Into<Database>,
        settings: &Settings,
        actor: Actor<'_>,
    ) -> Result<Vec<Change>, Error> {
        Ok(Queue::prepare(database, settings, actor, Preparing::default())?.changes)
    }

    /// The same, and tells what was found and tried.
    pub fn prepare(
        database: impl Into<Database>,
        settings: &Settings,
        actor: Actor<'_>,
        preparing: Preparing,
    ) -> Result<Prepared, Error> {
        let first = NewGeneration {
            component: DEFAULT_POLICY,
            signature: None,
            digest: &policy::digest(DEFAULT_POLICY),
            name: serial_gate_default_policy::NAME,
            version: serial_gate_default_policy::VERSION,
            settings: &stored(settings),
            limits: &stored(&Allowance::default()),
        };
        let preparation = Preparation {
            first,
            actor,
            trial: &|stored| adoption::trial(stored, actor.now),
            new_tables: preparing.new_tables,
            dry_run: preparing.dry_run,
        };
        Ok(Store::init(database, preparation)?)
    }
}
