//! The queue's database: SQLite, in WAL mode.
//!
//! Owns the schema, every row and every transaction. It knows no policy; the clause reaches it as
//! [`crate::clause::Rendered`], which only the clause room can print. Time is passed in. Callers
//! rely on this: a method that returns an error has changed nothing, unless the error says that this
//! is not known; and when one returns, its change is on the disk (`Durability`) and in the file that
//! is at the path, where everybody else sees it. A file that was replaced is opened anew.

mod access;
mod alert_list;
mod alerts;
mod audit;
mod branches;
mod candidates;
mod claim;
mod clauses;
mod database;
mod deliveries;
mod deploys;
mod doctor;
mod effect;
mod error;
mod files;
mod fixtures;
mod freezes;
mod generations;
mod idempotency;
mod jobs;
mod journal;
mod lookup;
mod migrate;
mod oracle;
mod schema;
mod shadow;
mod snapshot;
mod succession;
mod task_end;
mod tasks;
mod time;
mod token;
mod transaction;
mod triggers;
mod value;
mod wall;

pub use access::{AccessToken, Role};
pub use alert_list::{AlertRow, ListedAs, Outbox};
pub use alerts::{Alert, AlertKind};
pub use audit::AuditEntry;
pub use branches::{NewBranch, TaskBranch};
pub use candidates::Shaped;
pub use claim::{Candidate, Claimed, Lease};
pub use database::{Database, Durability};
pub use deliveries::{Delivery, DeliveryState, Due, Taken};
pub use deploys::{DeployVerdict, NewDeploy, RecordedDeploy};
pub use doctor::{Compared, Difference, Place};
pub use error::Error;
pub use fixtures::Fixture;
pub use freezes::ActiveFreeze;
pub use generations::{Generation, GenerationEvent, GenerationState};
pub use idempotency::Repeatable;
pub use jobs::{Claim, Ending, NewJob};
pub use lookup::{ActiveTask, JobRow, TaskRow, WaitingJob};
pub use migrate::Change;
pub use shadow::{Disagreement, Look, ShadowRecord};
pub use succession::{Act, NewGeneration, Seen};
pub use task_end::{DONE, FinishedStages, Running, TaskEnd, TaskOutcome};
pub use tasks::{Added, Move, NewTask};
pub use time::{from_sql_time, lease_end, sql_time};
pub use transaction::Committed;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use files::Files;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use transaction::Transaction;
use wall::Wall;

/// How long a statement waits for another process's write, about: claims take turns, each well below
/// a millisecond, so this is only ever reached when a program holds a transaction open.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest sleep between two tries. SQLite's own handler sleeps up to 100 ms, which with a few
/// workers made some claims wait for a quarter of a second.
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// A claim writes about ten pages, mostly those that the last one wrote. A checkpoint writes each once and waits for the
/// disk, so that fewer of them do less work; four times SQLite's own number, which is 16 MB of log.
const PAGES_BETWEEN_CHECKPOINTS: i32 = 4_000;

/// To what the log shrinks once a long reader, which kept it growing, has gone: twice its usual length.
const LOG_BYTES: i64 = 32 << 20;

/// A claim has about fifteen, a third of them for one clause. The host's own others are as many again.
const STATEMENTS: usize = 128;

/// An open queue.
///
/// It has one connection, so that what one statement has read is there for the next: as soon as another connection
/// writes, SQLite forgets all pages. Policies' clauses run on it too, behind the wall.
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
}

/// A connection to the files at the path.
struct Open {
    connection: Connection,
    wall: Wall,
    files: Arc<Files>,
}

/// Changes that are made together.
#[derive(Default)]
struct Group {
    is_open: bool,
    has_begun: bool,
    is_to_be_flushed: bool,
}

impl Store {
    /// Creates the schema, or adds to an existing database what is missing, in one transaction; the
    /// first generation is active then, unless there are generations already. A second call finds
    /// nothing to add.
    ///
    /// # Errors
    ///
    /// When the file is not a database that can be written, or its `tasks` or `jobs` lack a
    /// required column. The database is then as it was.
    pub fn init(
        database: impl Into<Database>,
        first: NewGeneration<'_>,
        act: Act<'_>,
    ) -> Result<Vec<Change>, Error> {
        let database = database.into();
        let path = &database.path;
        files::check_links(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let (changes, connection) = journal::in_turn(|| {
            let (mut connection, wall) = connect_behind_wall(path, flags)?;
            let migrate = || migrate::migrate(&mut connection, first, act);
            let changes = wall.open_for_own_statements(migrate);
            Ok((changes.map_err(|error| error.at(path))?, connection))
        })?;
        // The log is gone once the last connection has closed, so it is flushed beside the one that has written.
        let open = Open::at(&database)?;
        drop(connection);
        open.committed(&database, true).acknowledge()?;
        Ok(changes)
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
        })
    }

    /// Where the database is.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// A number that changes when another connection has changed the database, or when it was opened anew. A cheap read.
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

    /// How often the database was opened anew, because other files were at its path. What was read before the last
    /// time may be different now.
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

    /// Lets go of files that are no longer at the path. A part of a process that does nothing for a while calls this now
    /// and then: as long as one connection of a process has such files open, no other can open what is there now.
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

    /// From now on changes are made together, as one transaction that begins with the first of them. Each is undone by
    /// its own error, as before, and none is to be told to anybody before the group is closed and acknowledged.
    pub fn open_group(&mut self) {
        self.group = Group {
            is_open: true,
            ..Group::default()
        };
    }

    /// Whether one statement has ended the whole transaction, such as a trigger's `RAISE(ROLLBACK)`: then no change of
    /// the group was made.
    pub fn group_is_broken(&self) -> bool {
        let is_over = |open: &Open| open.connection.is_autocommit();
        self.group.has_begun && self.open.as_ref().is_none_or(is_over)
    }

    /// Commits the changes of the group; none if there were no changes.
    ///
    /// # Errors
    ///
    /// When the database refuses. Then no change of the group was made.
    pub fn close_group(&mut self) -> Result<Option<Committed>, Error> {
        let is_broken = self.group_is_broken();
        let group = std::mem::take(&mut self.group);
        let Some(open) = self.open.as_ref().filter(|_| group.has_begun) else {
            return Ok(None);
        };
        if is_broken {
            return Err(Error::GroupEnded);
        }
        let commit = || transaction::run(&open.connection, "COMMIT");
        if let Err(cause) = open.wall.open_for_own_statements(commit) {
            self.undo_group();
            return Err(Error::of_sqlite(&self.database.path, cause));
        }
        Ok(Some(open.committed(&self.database, group.is_to_be_flushed)))
    }

    /// Undoes the changes of the group.
    pub fn undo_group(&mut self) {
        self.group = Group::default();
        let Some(open) = self
            .open
            .as_ref()
            .filter(|open| !open.connection.is_autocommit())
        else {
            return;
        };
        let undo = || transaction::run(&open.connection, "ROLLBACK");
        if let Err(error) = open.wall.open_for_own_statements(undo) {
            tracing::error!(
                "a group of changes was not undone, so the database is opened anew: {error}"
            );
            self.open = None;
        }
    }

    /// The open database. Another one is opened if its files are no longer in place; in a group that is left to the end.
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

    /// The same for a change that is on the disk when this returns, whatever the durability of the database.
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
        self.be_open()?;
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

impl Group {
    fn begin<'a>(&mut self, connection: &'a Connection) -> Result<Transaction<'a>, Error> {
        if !self.is_open {
            return Ok(Transaction::begin(connection)?);
        }
        // Begun anew, it would be kept without the changes that were made before.
        if self.has_begun && connection.is_autocommit() {
            return Err(Error::GroupEnded);
        }
        let transaction = Transaction::join(connection)?;
        self.has_begun = true;
        Ok(transaction)
    }
}

impl Open {
    /// Opens the files at a path.
    fn at(database: &Database) -> Result<Open, Error> {
        let path = &database.path;
        let connect = || {
            let (mut connection, wall) =
                connect_behind_wall(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let check = || {
                migrate::check(&mut connection)?;
                journal::keep_wal(&connection)
            };
            let checked = wall.open_for_own_statements(check);
            checked.map_err(|error| error.at(path))?;
            Ok((connection, wall))
        };
        let (files, (connection, wall)) = journal::in_turn(|| Files::open(path, connect))?;
        Ok(Open {
            connection,
            wall,
            files: Arc::new(files),
        })
    }

    fn committed(&self, database: &Database, is_to_be_flushed: bool) -> Committed {
        Committed {
            files: Arc::clone(&self.files),
            database: database.clone(),
            is_to_be_flushed,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.files.are_in_place() {
            self.files.let_go();
            return;
        }
        // The last connection to close writes its log into the main file and removes the log by its name, which is
        // somebody else's by now. The files are let go after it, so that none of ours is opened before.
        if let Err(error) = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::error!(
                "a database that was replaced is closed as if it were in place: {error}"
            );
        }
    }
}

fn connect_behind_wall(path: &Path, flags: OpenFlags) -> Result<(Connection, Wall), Error> {
    let connected = || {
        let mut connection = connect(path, flags)?;
        let wall = Wall::around(&mut connection)?;
        Ok((connection, wall))
    };
    connected().map_err(|cause| Error::of_sqlite(path, cause))
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Absolute, so that no name of a file is taken for a URI or for a database in memory.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let mut connection =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_handler(Some(wait_for_our_turn))?;
    // A commit is flushed by `Committed`, after the write lock is given back: the next writer need not wait for the disk.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // An index that SQLite makes for one query reads the whole table.
    connection.pragma_update(None, "automatic_index", false)?;
    connection.pragma_update(None, "wal_autocheckpoint", PAGES_BETWEEN_CHECKPOINTS)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans do not depend on the values that are bound: SQLite would compile a statement anew for each other value, which
    // took half the time of a claim.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Sleeps before the next try; false when it has been long enough.
fn wait_for_our_turn(tries: i32) -> bool {
    let tries = u32::try_from(tries).unwrap_or(u32::MAX);
    if LONGEST_SLEEP.saturating_mul(tries) > BUSY_TIMEOUT {
        return false;
    }
    let sleep = Duration::from_micros(50).saturating_mul(tries.saturating_add(1));
    std::thread::sleep(sleep.min(LONGEST_SLEEP));
    true
}
