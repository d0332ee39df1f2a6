//! What is said of the pull request of a task's branch.
//!
//! Owns the words, and which addresses are links. Callers rely on this: texts of the forge go through their `show`.

use crate::printable::Show;
use crate::store::{Pull, PullState};

/// The state of a pull request, and what follows from it, without a full stop.
pub fn pull_words(pull: &Pull, show: Show<'_>) -> String {
    let (who, at) = (show(&pull.who), show(&pull.at));
    let url = pull.url.as_deref().map(|url| format!(" ({})", show(url)));
    let url = url.unwrap_or_default();
    match pull.state {
        PullState::Open => format!("its pull request is open{url}"),
        PullState::Merged => format!(
            "it was merged by `{who}` at {at} UTC{url}: the task ends when no job of it runs"
        ),
        PullState::Closed => format!(
            "its pull request was closed without a merge by `{who}` at {at} UTC{url}: reopen it, \
             or cancel the task"
        ),
    }
}

/// Whether an address may be a link: it leads to a page, and does nothing else.
pub fn is_link(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
    let is_hidden = |letter: char| letter.is_control() || letter.is_whitespace();
    rest.is_some_and(|rest| !rest.is_empty()) && !url.contains(is_hidden)
}
