//! The table of the jobs' earlier attempts.
//!
//! Owns its columns. Leaves its rows to `records::attempts`.

use super::own_table::{Own, table};
use super::schema::{ID, INTEGER, TEXT, TEXT_OR_NULL};

pub(super) const ATTEMPT: Own = table(
    "serial_gate_attempt",
    &[
        ("id", ID),
        ("job", INTEGER),
        ("repo", TEXT_OR_NULL),
        ("attempt", INTEGER),
        ("worker", TEXT),
        ("claimed_at", TEXT),
        ("ended_at", TEXT),
        ("outcome", TEXT),
        ("error", TEXT_OR_NULL),
    ],
    "",
);
