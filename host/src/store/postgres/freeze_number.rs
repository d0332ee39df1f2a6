//! The sequence that numbers the freezes.
//!
//! Owns its name and its statement. Leaves to `triggers` who takes a number.

/// The numbers of freezes. A sequence: a row would make two transactions that freeze wait for each
/// other. `triggers` moves it to the present.
pub(crate) const FREEZE_NUMBER: &str = "serial_gate_freeze_number";

/// The statement that makes the sequence.
pub(crate) fn create_freeze_number(schema: &str) -> String {
    format!("CREATE SEQUENCE {schema}.{FREEZE_NUMBER} MAXVALUE 9007199254740991;")
}
