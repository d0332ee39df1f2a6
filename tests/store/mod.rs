//! The database: a job's life, the flat claim, foreign tables, and what happens to the file.

mod adoption;
mod claiming;
mod clocks;
mod effects;
mod ends;
mod files;
mod flat;
mod freezes;
mod indexes;
mod journal;
mod numbered_tokens;
mod pipeline;
mod plans;
mod refused_rows;
mod tasks;
mod tokens;

use crate::support::Gate;

/// Ends every lease, as time would.
fn end_leases(gate: &Gate) {
    let sql = "UPDATE jobs SET gate_lease_until = '2000-01-01 00:00:00' WHERE status = 'running'";
    gate.program().run(sql);
}
