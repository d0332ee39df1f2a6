//! Whether the shared index of the log belongs to the log at the path.
//!
//! Owns one check. When the log is removed while a process has the database open, that process
//! keeps the index alive, and a process that opens the database then reads the new, empty log with
//! the index of the old one. Callers rely on this: the check takes no lock, writes nothing, and
//! rejects only an index that counts more frames than the log has room for.

use std::path::Path;

use rusqlite::Connection;

/// How many times to check: the log may begin anew between a look at the index and one at the file.
const LOOKS: u32 = 3;

/// SQLite's file format, sections 4.1 and 4.2: the header of a log, and that of each of its frames,
/// in bytes.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// Whether the index that a connection uses belongs to another log.
pub(crate) fn is_of_another_log(connection: &Connection, log_path: &Path) -> bool {
    // A read opens the log, even if it fails.
    let _ = connection.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0));
    (0..LOOKS).all(|_| counts_too_much(connection, log_path) == Some(true))
}

/// Unknown where there is no index, or no log.
fn counts_too_much(connection: &Connection, log_path: &Path) -> Option<bool> {
    let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(1);
    let frames = connection.query_row("PRAGMA main.wal_checkpoint(NOOP)", [], count);
    let frames = u64::try_from(frames.ok()?).ok()?;
    let page_size: u32 = connection
        .pragma_query_value(None, "page_size", |row| row.get(0))
        .ok()?;
    let length = std::fs::metadata(log_path).ok()?.len();
    let needed = frames.saturating_mul(FRAME_HEADER + u64::from(page_size)) + LOG_HEADER;
    Some(frames > 0 && length < needed)
}
