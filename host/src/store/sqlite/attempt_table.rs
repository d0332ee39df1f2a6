//! The table of the jobs' earlier attempts.
//!
//! Owns its columns. Leaves its rows to `records::attempts`, and its indexes to `schema`.

pub(super) const ATTEMPT: (&str, &str) = (
    "serial_gate_attempt",
    "CREATE TABLE serial_gate_attempt (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        job INTEGER NOT NULL,
        repo TEXT,
        attempt INTEGER NOT NULL,
        worker TEXT NOT NULL,
        claimed_at TEXT NOT NULL,
        ended_at TEXT NOT NULL,
        outcome TEXT NOT NULL,
        error TEXT
    );",
);
