//! Whether the disk accepts writes.
//!
//! Owns two signs that it does not. A change of this store failed because of the disk, and no trial
//! has succeeded since; this also finds limits that the file system does not report, such as a
//! quota. Or the file system reports no room, which is found before any change fails. Leaves
//! repeated trials to a caller that keeps running. Callers rely on this: a store that could not
//! write reports that until a trial succeeds. A claim that finds nothing proves nothing, because it
//! does not write.

use std::path::{Path, PathBuf};

use super::engine::Sqlite;
use crate::store::{Error, NoRoom};

/// A change of a few rows, with some to spare: a claim writes about ten pages of 4 KiB.
const ROOM_FOR_A_CHANGE: u64 = 64 << 10;

/// Adds and removes rows of the gate's own tables under a unique name. About twelve pages are
/// written, with those of the indexes, although nothing differs in the end: a smaller change may
/// fit where a claim does not.
const TRIAL: [&str; 12] = [
    "INSERT INTO serial_gate_channel (name, held_until) VALUES ('the trial', '')",
    "INSERT INTO serial_gate_clause (policy, settings, text) VALUES ('the trial', '', '')",
    "INSERT INTO serial_gate_fixture (name, cases, added_at, who) VALUES ('the trial', '', '', '')",
    "INSERT INTO serial_gate_base (repo, base, tip, seen_at) VALUES ('the trial', '', '', '')",
    "INSERT INTO serial_gate_partition (idx, no_repo, repo, job) VALUES (-1, 0, 'the trial', 0)",
    "INSERT INTO serial_gate_idempotency (caller, key, request, answer, at)
     VALUES ('the trial', '', '', '', '')",
    "DELETE FROM serial_gate_channel WHERE name = 'the trial'",
    "DELETE FROM serial_gate_clause WHERE policy = 'the trial'",
    "DELETE FROM serial_gate_fixture WHERE name = 'the trial'",
    "DELETE FROM serial_gate_base WHERE repo = 'the trial'",
    "DELETE FROM serial_gate_partition WHERE idx = -1",
    "DELETE FROM serial_gate_idempotency WHERE caller = 'the trial'",
];

impl Sqlite {
    /// Why a change could not be written, if no trial has succeeded since.
    pub fn write_failed(&self) -> Option<NoRoom> {
        let has_failed = |open: &super::connection::Open| open.files.has_failed();
        let flush = self.open.as_ref().is_some_and(has_failed);
        self.write_failed.or(flush.then_some(NoRoom::Failed))
    }

    /// Remembers a change that failed because of the disk.
    pub(crate) fn note_failure(&mut self, error: &Error) {
        self.write_failed = NoRoom::of(error).or(self.write_failed);
    }

    /// Makes a change that leaves nothing behind and takes as much room as a claim, to see whether
    /// the disk takes it.
    ///
    /// # Errors
    ///
    /// When it does not, or the database refuses for another reason.
    pub fn try_to_write(&mut self) -> Result<(), Error> {
        self.write_durably(|transaction| {
            for statement in TRIAL {
                transaction.prepare_cached(statement)?.execute([])?;
            }
            Ok(())
        })?;
        self.write_failed = None;
        Ok(())
    }

    /// Whether the file system of the database has no room for another change. A file system that
    /// does not know says no.
    pub fn disk_is_full(&self) -> bool {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        // The log is next to the file that a link leads to.
        let real = std::fs::canonicalize(&path).unwrap_or(path);
        let folder = real
            .parent()
            .map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        let Ok(found) = rustix::fs::statvfs(&folder) else {
            return false;
        };
        // Room that is reserved for the superuser does not count.
        let blocks = if rustix::process::geteuid().is_root() {
            found.f_bfree
        } else {
            found.f_bavail
        };
        found.f_blocks > 0 && blocks.saturating_mul(found.f_frsize) < ROOM_FOR_A_CHANGE
    }
}
