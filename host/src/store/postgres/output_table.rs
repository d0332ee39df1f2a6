//! The table of the jobs' outputs.
//!
//! Owns its columns. Leaves its rows to `records::output`.

use super::own_table::{Own, table};
use super::schema::{ID, INTEGER, TEXT};

pub(super) const OUTPUT: Own = table(
    "serial_gate_output",
    &[
        ("id", ID),
        ("job", INTEGER),
        ("fence", INTEGER),
        ("attempt", INTEGER),
        ("at", TEXT),
        ("text", TEXT),
    ],
    "",
);
