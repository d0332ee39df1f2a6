//! A connection to a database: how it is opened, what it is set to, and how it is closed.
//!
//! Owns SQLite's settings and the time that a statement waits for another process. Leaves the files
//! to `files`, and a policy's text to `sandbox`. Callers rely on this: an open database was checked
//! in one state and is in WAL mode; when its files were replaced, closing it leaves the new files
//! alone.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::at;
use super::files::Files;
use super::sandbox::Sandbox;
use super::transaction;
use super::{files, journal, log_index, migrate};
use crate::store::{Committed, Error, Problem};

/// About how long a statement waits for another process's write. Claims take turns of well below a
/// millisecond, so only a program that holds a transaction open makes a statement wait this long.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest sleep between two attempts. SQLite's own handler sleeps up to 100 ms, which with a
/// few workers made some claims wait for a quarter of a second.
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// A claim writes about ten pages, mostly those that the last one wrote. A checkpoint writes each
/// page once and waits for the disk, so fewer checkpoints mean less work. Four times SQLite's
/// default, 16 MB of log.
const PAGES_BETWEEN_CHECKPOINTS: i32 = 4_000;

/// The length to which the log (`-wal`) shrinks after a long reader, which kept it growing, is
/// gone: twice its usual length.
pub const LOG_BYTES: u32 = 32 << 20;

/// How many prepared statements are cached. A claim has about fifteen, a third of them for one
/// clause; the rest of the host has as many again.
const STATEMENTS: usize = 128;

/// A connection to the files at the path.
pub(crate) struct Open {
    pub connection: Connection,
    pub sandbox: Sandbox,
    pub files: Arc<Files>,
}

impl Open {
    /// Opens the files at a path.
    pub(crate) fn at(path: &Path) -> Result<Open, Error> {
        let connect = || {
            let connected = || {
                let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
                if log_index::is_of_another_log(&connection, &files::log_of(path)?) {
                    return Err(Problem::OldIndex.at(path));
                }
                // One transaction, so that the sandbox and the check see the same tables while
                // another process prepares the database.
                transaction::run(&connection, "BEGIN")?;
                let sandbox = Sandbox::around(&mut connection)?;
                sandbox.open_for_own_statements(|| {
                    migrate::check(&connection)?;
                    transaction::run(&connection, "COMMIT")?;
                    journal::keep_wal(&connection)
                })?;
                Ok((connection, sandbox))
            };
            connected().map_err(|error: Error| at(error, path))
        };
        let (files, (connection, sandbox)) = journal::in_turn(|| Files::open(path, connect))?;
        let mut open = Open {
            connection,
            sandbox,
            files: Arc::new(files),
        };
        // Another program has emptied the log. SQLite treats it as a log without changes and begins
        // it anew.
        if !open.files.have_a_log() {
            open.begin_log_anew().map_err(|error| at(error, path))?;
        }
        Ok(open)
    }

    /// After a flush that failed: brings everything from the log into the main file.
    pub(crate) fn make_whole(&mut self) -> Result<(), Error> {
        self.begin_log_anew()?;
        self.files.is_whole_again();
        Ok(())
    }

    /// Brings everything from the log into the main file, on the disk, and empties the log.
    fn begin_log_anew(&mut self) -> Result<(), Error> {
        let checkpoint = || {
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        };
        let is_busy: bool = self.sandbox.open_for_own_statements(checkpoint)?;
        if is_busy {
            let cause = "the log cannot begin anew while another program reads from it";
            return Err(Problem::NotFlushed(io::Error::other(cause)).unnamed());
        }
        Ok(())
    }

    /// A change that was committed just now.
    pub(crate) fn committed(&self, path: &Path, is_to_be_flushed: bool) -> Committed {
        let (files, path) = (Arc::clone(&self.files), path.to_owned());
        Committed::once(move || {
            if is_to_be_flushed {
                let flushed = files.flush();
                flushed.map_err(|cause| Problem::NotFlushed(cause).at(&path))?;
            }
            if files.are_in_place() {
                Ok(())
            } else {
                Err(Problem::Moved.at(&path))
            }
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.files.are_in_place() {
            self.files.let_go();
            return;
        }
        self.files.remember_if_left();
        // The last connection to close writes its log into the main file and removes the log by its
        // name, which belongs to another file by now. The files are released only afterwards, so
        // that this process does not open the new ones earlier.
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

/// Opens a file, which need not be a queue.
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Absolute, so that no file name is treated as a URI or as a database in memory.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let mut connection =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_handler(Some(wait_for_our_turn))?;
    // `Committed` flushes a commit after the write lock is released, so that the next writer does
    // not wait for the disk.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // To build an automatic index for a query, SQLite reads the whole table.
    connection.pragma_update(None, "automatic_index", false)?;
    connection.pragma_update(None, "wal_autocheckpoint", PAGES_BETWEEN_CHECKPOINTS)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans do not depend on bound values. Otherwise SQLite compiles a statement again for each new
    // value, which took half the time of a claim.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Runs a step whose statements do not wait for another process.
pub(crate) fn without_waiting<T>(
    connection: &mut Connection,
    step: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    set_waiting(connection, false)?;
    let result = step(connection);
    set_waiting(connection, true)?;
    result
}

/// Sets whether statements wait for another process's write.
pub(crate) fn set_waiting(connection: &mut Connection, waits: bool) -> rusqlite::Result<()> {
    if waits {
        connection.busy_handler(Some(wait_for_our_turn))
    } else {
        connection.busy_handler(None::<fn(i32) -> bool>)
    }
}

/// Sleeps before the next attempt; false when the time is over.
fn wait_for_our_turn(tries: i32) -> bool {
    let tries = u32::try_from(tries).unwrap_or(u32::MAX);
    if LONGEST_SLEEP.saturating_mul(tries) > BUSY_TIMEOUT {
        return false;
    }
    let sleep = Duration::from_micros(50).saturating_mul(tries.saturating_add(1));
    std::thread::sleep(sleep.min(LONGEST_SLEEP));
    true
}
