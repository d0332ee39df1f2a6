//! Commands that make a freeze hold, and the command that releases it.
//!
//! Owns the flags. Leaves to `queue` what is in the way of a freeze, and the words about it.

use jiff::Timestamp;
use serial_gate::queue::Queue;

use super::options::Shared;
use super::text::command;

/// The command after which a freeze of the repo holds, if a single one is enough.
pub fn switch_on(queue: &mut Queue, shared: &Shared, repo: &str) -> Option<String> {
    // After an error, nothing is proposed.
    let wanted = queue.settings_to_hold(Timestamp::now(), repo).ok()??;
    let switch = |value: Option<bool>| value.map(|value| value.to_string());
    let flags = [
        ("--enabled", switch(wanted.enabled)),
        ("--freeze-enabled", switch(wanted.freeze_enabled)),
        ("--repos", wanted.repos),
        ("--rules", wanted.rules),
    ];
    let mut arguments = vec!["policy", "settings"];
    for (flag, value) in &flags {
        if let Some(value) = value {
            arguments.extend([flag, value.as_str()]);
        }
    }
    arguments.extend(["--reason", "TEXT"]);
    command(shared, &arguments)
}

/// The command that clears a freeze, unless there is a newer one.
pub fn release(shared: &Shared, repo: &str, freeze: i64) -> Option<String> {
    let number = freeze.to_string();
    if repo.starts_with('-') {
        // A name that looks like a flag has to be last.
        return command(shared, &["unfreeze", "--seen", &number, repo]);
    }
    command(shared, &["unfreeze", repo, "--seen", &number])
}
