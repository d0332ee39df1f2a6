//! The part of the clause that all rules share: which jobs are gated, and the usual reasons.
//!
//! Owns the frame and the quoting. For the default rule the text equals the reference's, byte by
//! byte. A clause must say the same as `decide` for every state; tests check that.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::rule::Rule;
use crate::settings::Settings;

/// The condition that lets a job through unless it is gated and one of the reasons is true. It
/// starts with `AND` and ends with a space; it is empty when the kill switch is off, or there is no
/// reason.
///
/// A reason must be false for a job without a repo, and never NULL where `decide` finds none.
pub fn held_while<R: Rule>(
    settings: &Settings<R>,
    reasons: impl IntoIterator<Item = Option<String>>,
) -> String {
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    if !settings.enabled || reasons.is_empty() {
        return String::new();
    }
    let gated = one_of("jobs.agent", "=", "IN", settings.rules.gated_agents());
    let setting = Some(settings.scope.names()).filter(|names| !names.is_empty());
    let lists = setting.into_iter().chain(settings.scope.exact());
    let in_scope: String = lists
        .map(|repos| format!("AND jobs.repo IN ({}) ", list(repos)))
        .collect();
    let reasons = reasons.join(" OR ");
    format!("AND NOT ( {gated} {in_scope}AND ( {reasons} ) ) ")
}

/// An earlier task of the repo is unfinished.
pub fn earlier_task<R: Rule>(rules: &R) -> String {
    let unfinished = unfinished("t2", rules);
    format!(
        "EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id \
         AND {unfinished})"
    )
}

/// The repo is frozen; `None` while freezes are switched off.
pub fn frozen<R: Rule>(settings: &Settings<R>) -> Option<String> {
    let frozen =
        "EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL)";
    settings.freeze_enabled.then(|| frozen.into())
}

/// A task, by its alias, is unfinished.
pub fn unfinished<R: Rule>(alias: &str, rules: &R) -> String {
    one_of(
        &format!("{alias}.stage"),
        "!=",
        "NOT IN",
        rules.finished_stages(),
    )
}

/// The items of a list, each as a string of SQL.
pub fn list<'a>(values: impl IntoIterator<Item = &'a String>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| quoted(value)).collect();
    values.join(", ")
}

/// A text as a string of SQL.
pub fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// `column = 'a'` for one value, `column IN ('a', 'b')` for several.
fn one_of(column: &str, for_one: &str, for_several: &str, values: &[String]) -> String {
    match values {
        [value] => format!("{column} {for_one} {}", quoted(value)),
        values => format!("{column} {for_several} ({})", list(values)),
    }
}
