//! The queue's database: SQLite, in WAL mode.
//!
//! Owns the schema, every row and every transaction. It knows no policy; the clause reaches it as
//! [`crate::clause::Rendered`], which only the clause room can print. Time is passed in. Callers
//! rely on this: a method that returns an error has changed nothing, and one that returns has
//! committed. A freeze and an unfreeze are on the disk by then; the other changes survive a killed
//! process at once, and a power cut once SQLite has synced its log.

mod access;
mod alert_list;
mod alerts;
mod audit;
mod branches;
mod candidates;
mod claim;
mod clauses;
mod deliveries;
mod deploys;
mod doctor;
mod effect;
mod error;
mod fixtures;
mod freezes;
mod generations;
mod idempotency;
mod jobs;
mod lookup;
mod migrate;
mod oracle;
mod schema;
mod shadow;
mod snapshot;
mod succession;
mod tasks;
mod time;
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
pub use deliveries::{Delivery, DeliveryState, Due, Taken};
pub use deploys::{DeployVerdict, NewDeploy, RecordedDeploy};
pub use doctor::{Compared, Difference, Place};
pub use error::Error;
pub use fixtures::Fixture;
pub use freezes::ActiveFreeze;
pub use generations::{Generation, GenerationEvent, GenerationState};
pub use idempotency::Repeatable;
pub use jobs::{Claim, JobStatus, NewJob};
pub use lookup::{ActiveTask, JobRow, TaskRow, WaitingJob};
pub use migrate::Change;
pub use shadow::{Disagreement, Look, ShadowRecord};
pub use succession::{Act, NewGeneration, Seen};
pub use tasks::{Added, DONE, NewTask};
pub use time::{from_sql_time, lease_end, sql_time};

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
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

/// A claim has about fifteen, a third of them for one clause. The host's own others are as many again.
const STATEMENTS: usize = 128;

/// An open queue.
///
/// It has one connection, so that what one statement has read is there for the next: as soon as another connection
/// writes, SQLite forgets all pages. Policies' clauses run on it too, behind the wall.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    wall: Wall,
    /// Whether the last claim by candidates found a job.
    last_claim_found: bool,
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
    pub fn init(path: &Path, first: NewGeneration<'_>, act: Act<'_>) -> Result<Vec<Change>, Error> {
        let mut store = Store::connect(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )?;
        store.doing(|connection| migrate::migrate(connection, first, act))
    }

    /// Opens a queue that [`Store::init`] has prepared.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it is not a prepared queue.
    pub fn open(path: &Path) -> Result<Store, Error> {
        if !path.exists() {
            return Err(Error::Missing { path: path.into() });
        }
        let mut store = Store::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        store.doing(migrate::check)?;
        Ok(store)
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number that changes when another connection has changed the database. A cheap read.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn data_version(&mut self) -> Result<i64, Error> {
        self.doing(|connection| {
            Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
        })
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Store, Error> {
        let connected = || {
            let mut connection = connect(path, flags)?;
            Ok((Wall::around(&mut connection)?, connection))
        };
        let (wall, connection) = connected().map_err(|cause| Error::of_sqlite(path, cause))?;
        Ok(Store {
            connection,
            path: path.into(),
            wall,
            last_claim_found: false,
        })
    }

    /// Runs a step of the host's own statements, and names the database in its error.
    fn doing<T>(
        &mut self,
        step: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let connection = &mut self.connection;
        self.wall
            .open_for_own_statements(|| step(connection))
            .map_err(|error| error.at(&self.path))
    }

    /// Runs a step in one write transaction, which is rolled back when the step fails.
    fn writing<T>(
        &mut self,
        step: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.doing(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = step(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Absolute, so that no name of a file is taken for a URI or for a database in memory.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let mut connection =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_handler(Some(wait_for_our_turn))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // An index that SQLite makes for one query reads the whole table.
    connection.pragma_update(None, "automatic_index", false)?;
    connection.pragma_update(None, "wal_autocheckpoint", PAGES_BETWEEN_CHECKPOINTS)?;
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
