//! The operator's settings, read and checked once per call.
//!
//! Owns the checks of single parameters; `rule` reads the whole. Callers rely on this: every string
//! in the settings may be used in a clause without another check.

use alloc::format;
use alloc::string::String;

use crate::scope::Scope;

/// The settings of the gate, ready for use by a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings<R> {
    /// The kill switch: when false, the gate holds nothing.
    pub enabled: bool,
    /// In which repos the gate acts.
    pub scope: Scope,
    /// Whether a freeze holds anything.
    pub freeze_enabled: bool,
    /// The policy's parameters.
    pub rules: R,
}

/// Checks a parameter that is a list of texts for the clause.
///
/// # Errors
///
/// A sentence, when the list is empty or a clause cannot hold a text.
pub fn check(key: &str, values: &[String], when_empty: &str) -> Result<(), String> {
    if values.is_empty() {
        return Err(format!("`{key}` is empty: {when_empty}"));
    }
    values.iter().try_for_each(|value| check_text(key, value))
}

/// Checks a parameter that is a text for the clause.
///
/// # Errors
///
/// A sentence, when a clause cannot hold the text.
pub fn check_text(key: &str, value: &str) -> Result<(), String> {
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Ok(());
    }
    Err(format!(
        "`{}` in `{key}` is not printable ASCII: a clause cannot hold it",
        value.escape_debug()
    ))
}
