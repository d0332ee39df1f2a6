//! The journal mode of the file. It is WAL, in which readers and the writer do not wait for each
//! other.
//!
//! Owns the switch to that mode, and the turns of processes that prepare or open a file at the same
//! time. Where two waiting processes could block each other, as here, SQLite does not wait for the
//! lock but reports at once that the file is busy. Callers rely on this: a step that takes turns
//! here reports that only after the time that any other statement waits.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::connection::BUSY_TIMEOUT;
use super::error::code;
use crate::store::{Error, Problem};

/// The pause before the next attempt. The switch of one process takes some milliseconds.
const PAUSE: Duration = Duration::from_millis(2);

/// Repeats a step from its beginning while another process is in the way.
pub(crate) fn in_turn<T>(mut step: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let begun = Instant::now();
    loop {
        match step() {
            Err(error) if is_anothers_turn(&error) && begun.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(PAUSE);
            }
            ended => return ended,
        }
    }
}

fn is_anothers_turn(error: &Error) -> bool {
    // Too many processes used the log's index at once, or the tables appeared while a statement was
    // prepared.
    let is_short = matches!(
        code(error),
        Some(ErrorCode::FileLockingProtocolFailed | ErrorCode::SchemaChanged)
    );
    is_short || matches!(error.problem(), Some(Problem::Locked))
}

/// The mode, unless it is WAL.
pub(crate) fn other_than_wal(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(Some(mode).filter(|mode| !is_wal(mode)))
}

/// Switches the file to WAL mode, where it stays.
pub(crate) fn enter_wal(connection: &Connection) -> Result<(), Error> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if is_wal(&mode) {
        return Ok(());
    }
    Err(Problem::JournalMode(mode).unnamed())
}

/// Switches a prepared file back to WAL mode if necessary, and reads from it, so that the log
/// exists. A copy that SQLite made is in another mode.
pub(crate) fn keep_wal(connection: &Connection) -> Result<(), Error> {
    if let Some(mode) = other_than_wal(connection)? {
        enter_wal(connection)?;
        // The first read in this mode creates the log.
        let any = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], any)?;
        tracing::warn!(
            "`{}` was in journal mode `{mode}`, as copies by `VACUUM INTO` and `.dump` \
                 are: it is in WAL mode again",
            connection.path().unwrap_or_default()
        );
    }
    connection
        .prepare("SELECT 1 FROM jobs LIMIT 1")?
        .exists([])?;
    Ok(())
}

fn is_wal(mode: &str) -> bool {
    mode.eq_ignore_ascii_case("wal")
}
