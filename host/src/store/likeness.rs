//! Tables whose names are almost those that the gate reads.
//!
//! Owns what counts as almost: a word of the name, singular or plural. New, empty `jobs` next to an
//! orchestrator's `job` would look like success but gate nothing, so that is refused unless an
//! operator asks for it. `repo_freeze` is the gate's own in most databases, so a table like it is
//! only reported. Leaves to the engine which tables there are.

use super::{Error, Problem};

/// Each table that is shared, with the words that mean it.
const SHARED: [(&str, &[&str]); 3] = [
    ("tasks", &["task"]),
    ("jobs", &["job", "queue"]),
    ("repo_freeze", &["freeze", "frozen"]),
];

/// Refuses new tables next to others of almost their names, and returns those that are only
/// reported. `names` are the database's tables and views without the gate's own; `is_it` tells
/// whether one of them is a table that the gate reads.
pub(crate) fn check(
    names: Vec<String>,
    is_it: impl Fn(&str, &str) -> bool,
    new_tables: bool,
) -> Result<Vec<String>, Error> {
    let is_shared = |name: &String| SHARED.iter().any(|(own, _)| is_it(name, own));
    let (shared, others): (Vec<String>, Vec<String>) = names.into_iter().partition(is_shared);
    let mut missing = Vec::new();
    let (mut alike, mut reported) = (Vec::new(), Vec::new());
    for (own, words) in SHARED {
        if shared.iter().any(|name| is_it(name, own)) {
            continue;
        }
        let found = others.iter().filter(|name| is_like(name, words));
        if own == "repo_freeze" {
            reported.extend(found.cloned());
            continue;
        }
        let before = alike.len();
        alike.extend(found.cloned());
        if alike.len() > before {
            missing.push(own);
        }
    }
    alike.sort();
    alike.dedup();
    if alike.is_empty() || new_tables {
        reported.extend(alike);
        return Ok(reported);
    }
    let tables = if alike.len() == 1 { "table" } else { "tables" };
    Err(Problem::Alike(format!(
        "it has the {tables} {}, but no {}, and the gate reads only `tasks`, `jobs` and \
         `repo_freeze`",
        listed(&alike),
        listed(&missing)
    ))
    .unnamed())
}

/// Whether a word of a name is one of these, or its plural: `job`, `agent_jobs`, `TaskQueue`.
fn is_like(name: &str, words: &[&str]) -> bool {
    let mut all = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let begins = !c.is_alphabetic() || (c.is_uppercase() && was_lower);
        if begins {
            all.push(String::new());
        }
        if c.is_alphabetic()
            && let Some(word) = all.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    all.iter().any(|word| {
        let one = word.strip_suffix('s').unwrap_or(word);
        words.contains(&one) || words.contains(&word.as_str())
    })
}

fn listed(names: &[impl AsRef<str>]) -> String {
    names
        .iter()
        .take(5)
        .map(|name| format!("`{}`", name.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}
