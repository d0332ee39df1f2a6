//! The options that a command of `work` inherits.
//!
//! Owns the variables that repeat this process's flags and its configuration file, so that
//! `serial-gate` in a job has the same options. The command inherits this process's own variables
//! anyway.

use std::ffi::OsString;
use std::path::Path;

use serial_gate::store::Location;

use super::file::ConfigFile;
use super::{Given, trust};

/// The variables with their values. A configuration file whose `db` is the address of a server is
/// not handed on: the address is not for a job.
pub fn variables(
    given: &Given,
    db: Option<&Path>,
    config: Option<&ConfigFile>,
) -> Vec<(&'static str, OsString)> {
    let has_address = db.is_some_and(|db| Location::is_address(db.as_os_str()));
    let config = config.filter(|_| !has_address);
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let switch = |value: Option<bool>| value.map(|value| value.to_string().into());
    let keys = given.trust.clone();
    let keys = keys.map(|keys| trust::with_paths(keys, absolute).join(",").into());
    let lease = given
        .lease
        .map(|lease| format!("{}ms", lease.as_millis()).into());
    let variables = [
        (
            "SERIAL_GATE_CONFIG",
            config.map(|file| absolute(&file.path).into()),
        ),
        ("SERIAL_GATE_ENABLED", switch(given.enabled)),
        ("SERIAL_GATE_REPOS", given.repos.as_deref().map(repos)),
        ("SERIAL_GATE_FREEZE_ENABLED", switch(given.freeze_enabled)),
        ("SERIAL_GATE_RULES", given.rules.clone().map(OsString::from)),
        ("SERIAL_GATE_LEASE", lease),
        (
            "SERIAL_GATE_DURABILITY",
            given.durability.map(|how| how.name().into()),
        ),
        ("SERIAL_GATE_TRUST", keys),
    ];
    let set = |(name, value): (_, Option<OsString>)| Some((name, value?));
    variables.into_iter().filter_map(set).collect()
}

/// A list of repos for a variable. An empty list means all repos, but an empty variable counts as
/// not set; `,` is a list without a name.
fn repos(repos: &str) -> OsString {
    if repos.is_empty() { "," } else { repos }.into()
}
