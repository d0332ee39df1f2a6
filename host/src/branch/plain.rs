//! What the gate's calls of git do not take over from the user's configuration.
//!
//! Owns the list of these settings. All others stay, because a remote may need them: credentials, proxies, other addresses.

use std::process::Command;

/// What the configuration of a user is not to change here: hooks and signatures are for commits of their own, and the folder
/// is thrown away.
const PLAIN: [(&str, &str); 10] = [
    ("core.hooksPath", "/dev/null"),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("push.recurseSubmodules", "no"),
    ("fetch.recurseSubmodules", "false"),
    ("submodule.recurse", "false"),
    ("fetch.prune", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
];

/// Adds [`PLAIN`] to what this process was given in the same way.
pub(super) fn configure(command: &mut Command) {
    const COUNT: &str = "GIT_CONFIG_COUNT";
    let given = std::env::var(COUNT).unwrap_or_default();
    let given: usize = match given.as_str() {
        "" => 0,
        // What is no number is for git to refuse.
        count => match count.parse() {
            Ok(count) => count,
            Err(_) => return,
        },
    };
    for (number, (key, value)) in (given..).zip(PLAIN) {
        command
            .env(format!("GIT_CONFIG_KEY_{number}"), key)
            .env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    command.env(COUNT, given.saturating_add(PLAIN.len()).to_string());
}
