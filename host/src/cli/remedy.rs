//! Commands after which a freeze holds, and the one that releases it.
//!
//! Owns which setting is in the way of a freeze. Leaves the words about it to `queue`. A policy that lets tasks start in a frozen
//! repo has no such command: that is its rule.

use jiff::Timestamp;
use serial_gate::queue::{Passes, Queue};

use super::options::Shared;
use super::text::command;

/// The command after which a freeze of the repo holds; none if there is no single one.
pub fn switch_on(queue: &mut Queue, shared: &Shared, repo: &str) -> Option<String> {
    let settings = |flag: &str, value: &str| {
        let arguments = ["policy", "settings", flag, value, "--reason", "TEXT"];
        command(shared, &arguments)
    };
    match queue.freeze_effect(Timestamp::now(), repo).passes? {
        Passes::GateOff { here: false } => settings("--enabled", "true"),
        Passes::LayerOff { here: false } => settings("--freeze-enabled", "true"),
        // A setting that this command was told comes before the stored one.
        Passes::OutOfScope { repos } if shared.overrides.repos.is_none() => {
            let wider = format!("{repos},{repo}");
            let is_a_name = serial_gate::queue::can_be_in_scope(repo);
            is_a_name.then(|| settings("--repos", &wider)).flatten()
        }
        _ => None,
    }
}

/// The command that clears a freeze, unless there is a newer one.
pub fn release(shared: &Shared, repo: &str, freeze: i64) -> Option<String> {
    let number = freeze.to_string();
    if repo.starts_with('-') {
        // After the flags, where it is not taken for one.
        return command(shared, &["unfreeze", "--seen", &number, repo]);
    }
    command(shared, &["unfreeze", repo, "--seen", &number])
}
