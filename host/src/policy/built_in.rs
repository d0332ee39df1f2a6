//! The policies that are a part of this library.
//!
//! Owns their names, and how a rule file becomes a policy. Callers rely on this: a policy by its name
//! needs no signature, because it is this program's own code. A policy of a rule file does: its text
//! is somebody's.

use std::sync::LazyLock;

use serial_gate_sql_rule::slot;
pub use serial_gate_sql_rule::{Error as RuleFileError, RuleFile};

/// The policy that every queue begins with: the rule of the reference.
pub const DEFAULT_POLICY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default-policy.wasm"));

/// The policies by their names: see `docs/policies.md`.
pub const BUILT_IN: [(&str, &[u8]); 4] = [
    ("serial", DEFAULT_POLICY),
    (
        "wip-limit",
        include_bytes!(concat!(env!("OUT_DIR"), "/wip-limit.wasm")),
    ),
    (
        "freeze-window",
        include_bytes!(concat!(env!("OUT_DIR"), "/freeze-window.wasm")),
    ),
    (
        "hotfix-lane",
        include_bytes!(concat!(env!("OUT_DIR"), "/hotfix-lane.wasm")),
    ),
];

/// Whether a digest is that of one of [`BUILT_IN`].
pub(super) fn is_digest(digest: &str) -> bool {
    static DIGESTS: LazyLock<Vec<String>> = LazyLock::new(|| {
        BUILT_IN
            .map(|(_, component)| super::digest(component))
            .to_vec()
    });
    DIGESTS.iter().any(|of_one| of_one == digest)
}

/// Reads a rule file, and has room for one.
const SQL_RULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sql-rule.wasm"));

/// Whether a component is one of [`BUILT_IN`].
pub fn is_built_in(component: &[u8]) -> bool {
    BUILT_IN.iter().any(|(_, built_in)| *built_in == component)
}

/// The policy of a rule file: a component like any other. The form of the file is at `RULE.sql` in
/// `docs/policies.md`.
///
/// # Errors
///
/// The first fault of the file, with its line.
pub fn of_rule_file(text: &str) -> Result<Vec<u8>, RuleFileError> {
    RuleFile::read(text)?;
    slot::component(SQL_RULE, text).ok_or(RuleFileError::TooLong)
}

/// The rule file that a component was made of; none for any other component.
pub fn rule_file_in(component: &[u8]) -> Option<RuleFile> {
    RuleFile::read(slot::find(component)?).ok()
}
