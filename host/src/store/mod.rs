//! The queue's database: SQLite, in WAL mode.
//!
//! Owns the schema, every row and every transaction. It knows no policy; a clause reaches it as
//! [`crate::clause::Rendered`], which only the clause room can make. Time is passed in. Callers
//! rely on this: a method that returns an error has changed nothing, unless the error says that
//! this is unknown; when a method returns, its change is on the disk (see `Durability`) and in the
//! file at the path, where every other process sees it. A file that was replaced is opened again.

mod backlog;
mod changes;
mod claimed;
mod committed;
mod compared;
mod database;
mod engine;
mod engines;
mod error;
mod forbidden;
mod indexes;
mod job;
mod job_state;
mod likeness;
mod names;
mod no_room;
mod outsider;
#[cfg(feature = "postgres")]
mod postgres;
mod preparation;
mod problem;
mod raw;
mod records;
mod risk;
mod sqlite;
mod time;
mod token;
mod trial;
mod written;

pub use backlog::Backlog;
pub use changes::{Change, Missing};
pub use claimed::{Claimed, HeadClaim, Lease, Scanned, Shaped};
pub use committed::Committed;
pub use compared::{Compared, Difference, Place};
pub use database::{Database, Durability, Location, NotALocation};
pub use error::Error;
pub use forbidden::{Attempt, Forbidden, STATUSES};
pub(crate) use job::JobState;
pub(crate) use names::{check_name, check_stage};
pub use no_room::NoRoom;
pub use outsider::{Cell, Outsider, Reason, Refused};
#[cfg(feature = "postgres")]
pub(crate) use postgres::outsider::TemporarySchema;
pub use preparation::{Before, Preparation, Prepared};
pub use problem::{DatabaseError, Problem};
pub use records::access::{AccessToken, Role};
pub use records::advance::EndRules;
pub use records::alert_list::{AlertRow, ListedAs, Outbox};
pub use records::alerts::{Alert, AlertKind};
pub use records::attempts::AttemptEnd;
pub use records::audit::{AuditEntry, AuditFilter};
pub use records::branch_names::Naming;
pub use records::branches::{CutFrom, NewBranch, TaskBranch};
pub use records::census::{Census, Counted};
pub use records::clauses::KeptClause;
pub use records::clocks::{Ahead, TimeAhead, TimesAhead};
pub use records::contradictions::{Contradicted, Contradictions, Patience};
pub use records::deliveries::{Delivery, DeliveryState, Due, Taken};
pub use records::deploy_list::ListedDeploy;
pub use records::deploys::{DeployVerdict, NewDeploy, RecordedDeploy};
pub use records::ended_job::{EndedJob, Moved, NextJob, Stayed};
pub use records::ending::{Ending, Retry};
pub use records::fixtures::Fixture;
pub use records::freeze_groups::{FreezeGroup, is_over};
pub use records::freeze_list::{FreezeFilter, ListedFreeze};
pub use records::freeze_of::FreezeOf;
pub use records::freezes::ActiveFreeze;
pub use records::frozen_deploy::FrozenDeploy;
pub use records::further_freezes::{FreezeOver, FurtherFreezes};
pub use records::generations::{Generation, GenerationEvent, GenerationState};
pub(crate) use records::history::{PastFreeze, first_claims};
pub use records::hooks::{Hook, HookEffect, News};
pub use records::idempotency::Repeatable;
pub use records::job_list::{JobFilter, JobStatus, ListedJob};
pub use records::jobs::Claim;
pub use records::judged::Judged;
pub use records::known::Firsts;
pub(crate) use records::life::{FinishedTask, LifeAttempt, LifeJob};
pub use records::lists::{Page, PageOf};
pub use records::lookup::{ActiveTask, JobRow, TaskRow, WaitingJob};
pub use records::new_job::NewJob;
pub use records::open_work::{OpenWork, WorkCount};
pub use records::outcome::TaskOutcome;
pub(crate) use records::outcome::{WITHOUT_WORK, plain};
pub use records::output::JobOutput;
pub use records::overview::{Line, NewestFreeze, OverviewRows, QueuedJob, RepoRows};
pub use records::pipeline::{MERGE, Pipeline, PipelineStage, Then};
pub use records::pulls::{Pull, PullEffect, PullNews, PullState};
pub use records::pushes::{PushEffect, PushNews};
pub use records::retries::Retried;
pub use records::shadow::{Disagreement, Look, ShadowRecord};
pub use records::succession::{Actor, NewGeneration, Seen};
pub use records::task_end::{DONE, FinishedStages, Running, TaskEnd};
pub use records::task_list::{ListedTask, TaskFilter};
pub(crate) use records::tasks::check_names;
pub use records::tasks::{Added, Move, NewTask};
pub use records::unprepared::Found;
pub use records::waiting::QueuedSince;
pub use records::work::TaskWork;
pub use records::work_state::{JobWork, WorkState};
pub use risk::Risk;
pub use sqlite::connection::LOG_BYTES;
pub use sqlite::supposed::{Probe, Supposed};
pub use time::{from_sql_time, json_time, lease_end, sql_time};
pub(crate) use time::{maybe_rfc3339, rfc3339};
pub use trial::{Proof, Trial};
pub use written::time_since;

use std::path::Path;

use engine::Tx;
use engines::{Engine, engine};
#[cfg(feature = "postgres")]
use postgres::engine::Postgres;
use sqlite::connection::Open;
use sqlite::engine::Sqlite;

/// An open queue: its records, over the engine that keeps them. Every method that returns a
/// `Result` fails when the database cannot be read or written; `# Errors` names what else it
/// refuses.
pub struct Store {
    engine: Engine,
    database: Database,
}

impl Store {
    /// Creates the schema, or adds what an existing database lacks. The same transaction tries the
    /// gate's work with a row, and makes the first generation active unless there are generations
    /// already. A second call finds nothing to add.
    ///
    /// # Errors
    ///
    /// When the database cannot be written, its `tasks` or `jobs` lack a required column, or it
    /// forbids something that a queue needs. The database is then unchanged.
    pub fn init(
        database: impl Into<Database>,
        preparation: Preparation<'_>,
    ) -> Result<Prepared, Error> {
        let Database { location, .. } = database.into();
        match &location {
            Location::File(path) => prepare_file(path, preparation),
            #[cfg(feature = "postgres")]
            Location::Server(server) => postgres::prepare::prepare(server, preparation),
        }
    }

    /// Opens a queue that [`Store::init`] has prepared.
    ///
    /// # Errors
    ///
    /// When the database is missing or not a prepared queue, or its file has several names.
    pub fn open(database: impl Into<Database>) -> Result<Store, Error> {
        let database = database.into();
        let durability = database.durability;
        let engine = match &database.location {
            Location::File(path) => {
                Engine::Sqlite(Box::new(Sqlite::open(path.clone(), durability)?))
            }
            #[cfg(feature = "postgres")]
            Location::Server(server) => {
                Engine::Postgres(Box::new(Postgres::open(server.clone(), durability)?))
            }
        };
        Ok(Store { engine, database })
    }

    /// Where the database is.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What is in a database, which need not be prepared.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn census_at(location: &Location) -> Result<Census, Error> {
        match location {
            Location::File(path) => Sqlite::census_at(path),
            #[cfg(feature = "postgres")]
            Location::Server(server) => Postgres::census_at(server),
        }
    }

    /// Looks into a database before it is prepared. The preparation reports what cannot be read.
    pub fn look_into(location: &Location) -> Found {
        match location {
            Location::File(path) => sqlite::unprepared::look_into(path),
            #[cfg(feature = "postgres")]
            Location::Server(server) => postgres::unprepared::look_into(server),
        }
    }

    /// Runs statements that only read.
    fn read<T>(&mut self, step: impl FnOnce(&dyn Tx) -> Result<T, Error>) -> Result<T, Error> {
        engine!(self, engine => engine.read(|connection| step(connection)))
    }

    /// The same where it counts how long each takes: they compare no time that an orchestrator wrote.
    fn read_fast<T>(&mut self, step: impl FnOnce(&dyn Tx) -> Result<T, Error>) -> Result<T, Error> {
        engine!(self, engine => engine.read_fast(|connection| step(connection)))
    }

    /// Runs statements that only read, all from one state.
    fn read_one_state<T>(
        &mut self,
        step: impl FnOnce(&dyn Tx) -> Result<T, Error>,
    ) -> Result<T, Error> {
        engine!(self, engine => engine.read_one_state(|transaction| step(transaction)))
    }

    /// Asks what a policy's clause says, all from one state, in the budget of a claim.
    fn ask<T>(&mut self, step: impl FnOnce(&dyn Tx) -> Result<T, Error>) -> Result<T, Error> {
        engine!(self, engine => engine.ask(|transaction| step(transaction)))
    }

    /// Makes a change in one transaction. An error rolls it back.
    fn write<T>(&mut self, step: impl FnOnce(&dyn Tx) -> Result<T, Error>) -> Result<T, Error> {
        engine!(self, engine => engine.write(|transaction| step(transaction)))
    }

    /// The same, and what the step reads stays as it is until the end of the step: no other step
    /// of this kind, nor of [`Store::write_durably`], runs meanwhile in any process. Claims, new
    /// tasks and the ends of jobs do.
    fn write_alone<T>(
        &mut self,
        step: impl FnOnce(&dyn Tx) -> Result<T, Error>,
    ) -> Result<T, Error> {
        engine!(self, engine => engine.write_alone(|transaction| step(transaction)))
    }

    /// The same, and the change is on the disk when this returns, whatever the database's
    /// durability.
    fn write_durably<T>(
        &mut self,
        step: impl FnOnce(&dyn Tx) -> Result<T, Error>,
    ) -> Result<T, Error> {
        engine!(self, engine => engine.write_durably(|transaction| step(transaction)))
    }
}

/// Prepares a file, which is complete when this returns.
fn prepare_file(path: &Path, preparation: Preparation<'_>) -> Result<Prepared, Error> {
    let (prepared, connection) = sqlite::prepare::prepare(path, preparation)
        .map_err(|error| sqlite::error::at(error, path))?;
    if preparation.dry_run {
        return Ok(prepared);
    }
    // Closing the last connection removes the log, so another connection is opened first and
    // flushes it.
    let open = Open::at(path)?;
    drop(connection);
    open.committed(path, true).acknowledge()?;
    Ok(prepared)
}
