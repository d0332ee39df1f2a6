//! Commands that make a freeze hold, the command that releases it, and the lines about a freeze whose
//! time is over.
//!
//! Owns the flags. Leaves to `queue` what is in the way of a freeze, and the words about it.

use jiff::Timestamp;
use serial_gate::queue::{Queue, further_words, until_words};
use serial_gate::store::{FurtherFreezes, is_over};

use super::options::Shared;
use super::text::{command, shown};

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

/// When the newest freeze is meant to end, and what to do if that is over. Without `shared`, no
/// command is proposed.
pub fn until_line(shared: Option<&Shared>, repo: &str, until: &str) -> String {
    let now = Timestamp::now();
    let words = until_words(until, now, &shown);
    let open = shared
        .filter(|_| is_over(until, now) == Some(true))
        .and_then(|shared| command(shared, &["unfreeze", repo]));
    match open {
        Some(open) => format!("{words}: if the repo may go on: {open}"),
        None => words,
    }
}

/// The lines about the active freezes behind the newest one, with the command that lists them.
pub fn further_lines(shared: Option<&Shared>, repo: &str, further: &FurtherFreezes) -> Vec<String> {
    let mut lines = further_words(further, Timestamp::now(), &shown);
    let list = ["freezes", "--active", "--repo", repo];
    if let Some(last) = lines.last_mut()
        && let Some(list) = shared.and_then(|shared| command(shared, &list))
    {
        last.push_str(&format!(": {list}"));
    }
    lines
}
