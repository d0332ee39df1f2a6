//! The queue's database: SQLite, in WAL mode.
//!
//! Owns the schema, every row and every transaction. It knows no policy; the clause reaches it as
//! [`crate::clause::Rendered`], which only the clause room can print. Time is passed in. Callers
//! rely on this: a method that returns an error has changed nothing, unless the error says that
//! this is not known; and when one returns, its change is on the disk (`Durability`) and in the
//! file that is at the path, where everybody else sees it. A file that was replaced is opened anew.

mod access;
mod alert_list;
mod alerts;
mod aside;
mod audit;
mod bases;
mod branch_names;
mod branches;
mod candidates;
mod census;
mod claim;
mod clauses;
mod clocks;
mod comparing;
mod connection;
mod contradictions;
mod database;
mod deliveries;
mod deploys;
mod doctor;
mod doubt;
mod effect;
mod error;
mod files;
mod fixtures;
mod freeze_of;
mod freezes;
mod frozen_deploy;
mod generations;
mod group;
mod heads;
mod holding;
mod idempotency;
mod intact;
mod job_error;
mod jobs;
mod journal;
mod judged;
mod known;
mod leases;
mod likeness;
mod log_index;
mod lookup;
mod migrate;
mod moved_chats;
mod oracle;
mod outcome;
mod prepare;
mod probe;
mod retries;
mod room;
mod schema;
mod shadow;
mod snapshot;
mod succession;
mod supposed;
mod task_end;
mod tasks;
mod time;
mod token;
mod transaction;
mod triggers;
mod unfinished;
mod value;
mod version_row;
mod wall;
mod work;
mod work_state;
mod written;

pub use access::{AccessToken, Role};
pub use alert_list::{AlertRow, ListedAs, Outbox};
pub use alerts::{Alert, AlertKind};
pub use audit::AuditEntry;
pub use branch_names::Naming;
pub use branches::{CutFrom, NewBranch, TaskBranch};
pub use candidates::Shaped;
pub use census::{Census, Counted};
pub use claim::{Candidate, Claimed, Lease};
pub use clocks::{Ahead, TimeAhead, TimesAhead};
pub use connection::LOG_BYTES;
pub use contradictions::{Contradicted, Contradictions, Patience};
pub use database::{Database, Durability};
pub use deliveries::{Delivery, DeliveryState, Due, Taken};
pub use deploys::{DeployVerdict, NewDeploy, RecordedDeploy};
pub use doctor::{Compared, Difference, Place};
pub use error::Error;
pub use fixtures::Fixture;
pub use freeze_of::FreezeOf;
pub use freezes::ActiveFreeze;
pub use frozen_deploy::FrozenDeploy;
pub use generations::{Generation, GenerationEvent, GenerationState};
pub use heads::QueuedSince;
pub use idempotency::Repeatable;
pub use intact::Missing;
pub use jobs::{Claim, Ending, NewJob};
pub use judged::Judged;
pub use known::{Firsts, Found, look_into};
pub use lookup::{ActiveTask, JobRow, TaskRow, WaitingJob};
pub use migrate::Change;
pub use outcome::TaskOutcome;
pub use prepare::{Before, Preparation, Prepared};
pub use probe::{Attempt, Forbidden, Proof, STATUSES, Trial};
pub use retries::Retried;
pub use room::NoRoom;
pub use shadow::{Disagreement, Look, ShadowRecord};
pub use succession::{Act, NewGeneration, Seen};
pub use supposed::{Probe, Supposed};
pub use task_end::{DONE, FinishedStages, Running, TaskEnd};
pub(crate) use tasks::check_names;
pub use tasks::{Added, Move, NewTask};
pub use time::{from_sql_time, lease_end, sql_time};
pub use transaction::Committed;
pub use work::{OpenWork, TaskWork, WorkCount};
pub use work_state::{JobWork, WorkState};
pub use written::time_since;

use std::time::Duration;

use connection::Open;
use group::Group;
use rusqlite::Connection;
use transaction::Transaction;

/// An open queue.
///
/// It has one connection, so that what one statement has read is there for the next: as soon as
/// another connection writes, SQLite forgets all pages. Policies' clauses run on it too, behind the
/// wall.
pub struct Store {
    database: Database,
    /// None after its files were found to be gone, until there are others.
    open: Option<Open>,
    /// How often it was opened. Each time, everything that was read before may be different.
    openings: i64,
    claim_budget: Duration,
    group: Group,
    /// Whether the last claim by candidates found a job.
    last_claim_found: bool,
    /// Why a change could not be written, if no trial has succeeded since.
    write_failed: Option<NoRoom>,
}

impl Store {
    /// Creates the schema, or adds to an existing database what is missing, in one transaction, in
    /// which the work of the gate is tried with a row; the first generation is active then, unless
    /// there are generations already. A second call finds nothing to add.
    ///
    /// # Errors
    ///
    /// When the file is not a database that can be written, its `tasks` or `jobs` lack a required
    /// column, or it forbids what a queue cannot do without. The database is then as it was.
    pub fn init(
        database: impl Into<Database>,
        preparation: Preparation<'_>,
    ) -> Result<Prepared, Error> {
        let database = database.into();
        let (prepared, connection) = prepare::prepare(&database.path, preparation)
            .map_err(|error| error.at(&database.path))?;
        if preparation.dry_run {
            return Ok(prepared);
        }
        // The log is gone once the last connection has closed, so it is flushed beside the one that
        // has written.
        let open = Open::at(&database)?;
        drop(connection);
        open.committed(&database, true).acknowledge()?;
        Ok(prepared)
    }

    /// Tries the work of the gate with a row, by the statements that do it, and undoes it all.
    ///
    /// # Errors
    ///
    /// When the disk or another program prevents it.
    pub fn prove(&mut self, trial: &Trial) -> Result<Proof, Error> {
        self.doing(|connection| prepare::prove(connection, trial))
    }

    /// Opens a queue that [`Store::init`] has prepared.
    ///
    /// # Errors
    ///
    /// When there is no such file, it has several names, or it is not a prepared queue.
    pub fn open(database: impl Into<Database>) -> Result<Store, Error> {
        let database = database.into();
        let open = Open::at(&database)?;
        Ok(Store {
            claim_budget: open.wall.budget(),
            database,
            open: Some(open),
            openings: 0,
            group: Group::default(),
            last_claim_found: false,
            write_failed: None,
        })
    }

    /// Where the database is.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// A number that changes when another connection has changed the database, or when it was
    /// opened anew. A cheap read.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn data_version(&mut self) -> Result<i64, Error> {
        let version: u32 = self.doing(|connection| {
            Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
        })?;
        Ok((self.openings << 32) | i64::from(version))
    }

    /// How often the database was opened anew, because other files were at its path. What was read
    /// before the last time may be different now.
    pub fn openings(&self) -> i64 {
        self.openings
    }

    /// Looks whether the files at the path are those that are open, and opens them if they are not.
    ///
    /// # Errors
    ///
    /// When there are none, they are no prepared queue, or the file has several names.
    pub fn check_files(&mut self) -> Result<(), Error> {
        self.be_open()?;
        files::check_links(&self.database.path)
    }

    /// Lets go of files that are no longer at the path. A part of a process that does nothing for a
    /// while calls this now and then: as long as one connection of a process has such files open,
    /// no other can open what is there now.
    pub fn let_go_of_moved_files(&mut self) {
        let is_gone = |open: &mut Open| !open.files.are_in_place();
        if !self.group.has_begun && self.open.take_if(is_gone).is_some() {
            self.say_that_files_are_gone();
        }
    }

    /// How long the log is, in bytes. A long reader keeps it growing.
    pub fn log_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.files.log_bytes())
    }

    /// The open database. Another one is opened if its files are no longer in place; in a group
    /// that is left to the end.
    fn be_open(&mut self) -> Result<&mut Open, Error> {
        let has_begun = self.group.has_begun;
        let is_good = |open: &&mut Open| has_begun || open.files.are_in_place();
        if self.open.as_mut().filter(is_good).is_none() {
            self.open_anew()?;
        }
        self.open.as_mut().ok_or_else(|| Error::Moved {
            path: self.database.path.clone(),
        })
    }

    fn open_anew(&mut self) -> Result<(), Error> {
        if self.open.take().is_some() {
            self.say_that_files_are_gone();
        }
        self.last_claim_found = false;
        let mut open = Open::at(&self.database).map_err(|error| match error {
            // It was there before.
            Error::Missing { path } => Error::Moved { path },
            other => other,
        })?;
        open.wall.set_budget(self.claim_budget);
        self.open = Some(open);
        self.openings += 1;
        Ok(())
    }

    fn say_that_files_are_gone(&self) {
        tracing::warn!(
            "`{}` or its log was replaced, renamed or removed: what is there now is opened",
            self.database.path.display()
        );
    }

    /// Runs a step of the host's own statements, and names the database in its error.
    fn doing<T>(
        &mut self,
        step: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Open {
            connection, wall, ..
        } = self.be_open()?;
        let result = wall.open_for_own_statements(|| step(connection));
        result.map_err(|error| error.at(&self.database.path))
    }

    /// Runs a step in one write transaction, which is rolled back when the step fails.
    fn writing<T>(
        &mut self,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.write(self.database.durability, step)
    }

    /// The same for a change that is on the disk when this returns, whatever the durability of the
    /// database.
    fn writing_durably<T>(
        &mut self,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.write(Durability::Full, step)
    }

    fn write<T>(
        &mut self,
        durability: Durability,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.try_write(durability, step)
            .inspect_err(|error| self.note_failure(error))
    }

    fn try_write<T>(
        &mut self,
        durability: Durability,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (open, group) = self.be_open_for_a_change()?;
        let result = open.wall.open_for_own_statements(|| {
            let transaction = group.begin(&open.connection)?;
            let result = step(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        let result = result.map_err(|error: Error| error.at(&self.database.path))?;
        self.acknowledge(durability)?;
        Ok(result)
    }

    /// The open database, and the group that a change joins.
    fn be_open_for_a_change(&mut self) -> Result<(&mut Open, &mut Group), Error> {
        let has_begun = self.group.has_begun;
        let open = self.be_open()?;
        if !has_begun && open.files.has_failed() {
            open.make_whole()
                .map_err(|error| error.at(&self.database.path))?;
        }
        match &mut self.open {
            Some(open) => Ok((open, &mut self.group)),
            None => Err(Error::Moved {
                path: self.database.path.clone(),
            }),
        }
    }

    /// After a commit. In a group it is left to the end.
    fn acknowledge(&mut self, durability: Durability) -> Result<(), Error> {
        let flush = durability == Durability::Full;
        if self.group.is_open {
            self.group.is_to_be_flushed |= flush;
            return Ok(());
        }
        match &self.open {
            Some(open) => open.committed(&self.database, flush).acknowledge(),
            None => Ok(()),
        }
    }
}
