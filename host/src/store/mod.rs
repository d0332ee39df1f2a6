//! The queue's database: SQLite, in WAL mode.
//!
//! Owns the schema, every row and every transaction. It knows no policy; a clause reaches it as
//! [`crate::clause::Rendered`], which only the clause room can make. Time is passed in. Callers
//! rely on this: a method that returns an error has changed nothing, unless the error says that
//! this is unknown; when a method returns, its change is on the disk (see `Durability`) and in the
//! file at the path, where every other process sees it. A file that was replaced is opened again.

mod claimed;
mod database;
mod engine;
mod error;
mod indexes;
mod job;
mod problem;
mod raw;
mod records;
mod sqlite;
mod time;
mod token;
mod written;

pub use claimed::{Claimed, HeadClaim, Lease};
pub use database::{Database, Durability};
pub use error::Error;
pub use problem::{DatabaseError, Problem};
pub use records::access::{AccessToken, Role};
pub use records::alert_list::{AlertRow, ListedAs, Outbox};
pub use records::alerts::{Alert, AlertKind};
pub use records::audit::AuditEntry;
pub use records::branch_names::Naming;
pub use records::branches::{CutFrom, NewBranch, TaskBranch};
pub use records::clocks::{Ahead, TimeAhead, TimesAhead};
pub use records::contradictions::{Contradicted, Contradictions, Patience};
pub use records::deliveries::{Delivery, DeliveryState, Due, Taken};
pub use records::deploys::{DeployVerdict, NewDeploy, RecordedDeploy};
pub use records::fixtures::Fixture;
pub use records::freeze_of::FreezeOf;
pub use records::freezes::ActiveFreeze;
pub use records::frozen_deploy::FrozenDeploy;
pub use records::generations::{Generation, GenerationEvent, GenerationState};
pub use records::idempotency::Repeatable;
pub use records::jobs::{Claim, Ending};
pub use records::lookup::{ActiveTask, JobRow, TaskRow, WaitingJob};
pub use records::new_job::NewJob;
pub use records::outcome::TaskOutcome;
pub use records::retries::Retried;
pub use records::shadow::{Disagreement, Look, ShadowRecord};
pub use records::succession::{Actor, NewGeneration, Seen};
pub use records::task_end::{DONE, FinishedStages, Running, TaskEnd};
pub(crate) use records::tasks::check_names;
pub use records::tasks::{Added, Move, NewTask};
pub use records::waiting::QueuedSince;
pub use records::work::{OpenWork, TaskWork, WorkCount};
pub use records::work_state::{JobWork, WorkState};
pub use sqlite::census::{Census, Counted};
pub use sqlite::connection::LOG_BYTES;
pub use sqlite::heads::Shaped;
pub use sqlite::intact::Missing;
pub use sqlite::judged::Judged;
pub use sqlite::known::{Firsts, Found, look_into};
pub use sqlite::migrate::Change;
pub use sqlite::outsider::{Cell, Outsider, Reason, Refused};
pub use sqlite::prepare::{Before, Preparation, Prepared};
pub use sqlite::probe::{Attempt, Forbidden, Proof, STATUSES, Trial};
pub use sqlite::room::NoRoom;
pub use sqlite::supposed::{Probe, Supposed};
pub use sqlite::transaction::Committed;
pub use sqlite::verify::{Compared, Difference, Place};
pub use time::{from_sql_time, lease_end, sql_time};
pub use written::time_since;

use std::ops::{Deref, DerefMut};
use std::path::Path;

use engine::Tx;
use sqlite::connection::Open;
pub use sqlite::engine::Sqlite;
use sqlite::transaction::Transaction;

/// An open queue: its records, over the engine that keeps them. The engine's own methods are
/// reached through it. Every method that returns a `Result` fails when the database cannot be read
/// or written; `# Errors` names what else it refuses.
pub struct Store {
    engine: Sqlite,
}

impl Deref for Store {
    type Target = Sqlite;

    fn deref(&self) -> &Sqlite {
        &self.engine
    }
}

impl DerefMut for Store {
    fn deref_mut(&mut self) -> &mut Sqlite {
        &mut self.engine
    }
}

impl Store {
    /// Creates the schema, or adds what an existing database lacks. The same transaction tries the
    /// gate's work with a row, and makes the first generation active unless there are generations
    /// already. A second call finds nothing to add.
    ///
    /// # Errors
    ///
    /// When the file is not a database that can be written, its `tasks` or `jobs` lack a required
    /// column, or it forbids something that a queue needs. The database is then unchanged.
    pub fn init(
        database: impl Into<Database>,
        preparation: Preparation<'_>,
    ) -> Result<Prepared, Error> {
        let database = database.into();
        let (prepared, connection) = sqlite::prepare::prepare(&database.path, preparation)
            .map_err(|error| sqlite::error::at(error, &database.path))?;
        if preparation.dry_run {
            return Ok(prepared);
        }
        // Closing the last connection removes the log, so another connection is opened first and
        // flushes it.
        let open = Open::at(&database)?;
        drop(connection);
        open.committed(&database, true).acknowledge()?;
        Ok(prepared)
    }

    /// Opens a queue that [`Store::init`] has prepared.
    ///
    /// # Errors
    ///
    /// When the file is missing, has several names, or is not a prepared queue.
    pub fn open(database: impl Into<Database>) -> Result<Store, Error> {
        let engine = Sqlite::open(database.into())?;
        Ok(Store { engine })
    }

    /// What is in a database, which need not be prepared.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn census_at(path: &Path) -> Result<Census, Error> {
        Sqlite::census_at(path)
    }

    /// Runs statements that only read.
    fn read<T>(&mut self, step: impl FnOnce(&dyn Tx) -> Result<T, Error>) -> Result<T, Error> {
        self.engine.read(|connection| step(connection))
    }

    /// Runs statements that only read, all from one state.
    fn read_one_state<T>(
        &mut self,
        step: impl FnOnce(&dyn Tx) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.engine
            .read(|connection| step(&Transaction::read(connection)?))
    }

    /// Makes a change in one transaction. An error rolls it back.
    fn write<T>(&mut self, step: impl FnOnce(&dyn Tx) -> Result<T, Error>) -> Result<T, Error> {
        self.engine.write(|transaction| step(transaction))
    }

    /// The same, but the change is on the disk when this returns, whatever the database's
    /// durability.
    fn write_durably<T>(
        &mut self,
        step: impl FnOnce(&dyn Tx) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.engine.write_durably(|transaction| step(transaction))
    }
}
