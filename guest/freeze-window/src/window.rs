//! A weekly window: which repos it closes, and when.
//!
//! Owns its parameters, their checks, and its part of the clause.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serial_gate_default_policy::{clause, settings};

use crate::clocks::Shown;
use crate::week::WeekTime;

/// A weekly window.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The repos that it closes; `None` means every repo in scope.
    pub repos: Option<Vec<String>>,
    /// When it opens, to the minute.
    pub from: WeekTime,
    /// When it closes, to the minute. From this moment on, nothing is held.
    pub until: WeekTime,
}

impl Window {
    /// Whether it is open at the moment at which clocks show this.
    pub fn is_open(&self, shown: Shown) -> bool {
        // Of all the weeks' windows that have begun, the newest one ends last.
        let begun = self.from.seconds_to(shown.latest);
        let length = self.from.seconds_to(self.until);
        begun < length + shown.repeated
    }

    /// Whether it is for a repo.
    pub fn is_for(&self, repo: &str) -> bool {
        match &self.repos {
            Some(repos) => repos.iter().any(|name| name == repo),
            None => true,
        }
    }

    /// Its hours, in words.
    pub fn hours(&self) -> String {
        format!("from {} until {}", self.from, self.until)
    }

    /// Checks what its types cannot.
    ///
    /// # Errors
    ///
    /// A sentence, when it has no length, or no clause can name its repos.
    pub fn check(&self) -> Result<(), String> {
        if self.from == self.until {
            return Err(format!(
                "a window is open {}, which has no length: write another `until`, or freeze the \
                 repo to close it at all times",
                self.hours()
            ));
        }
        match &self.repos {
            Some(repos) => settings::check("repos", repos, "leave it out to mean every repo"),
            None => Ok(()),
        }
    }
}

/// One of the open windows closes the repo; `None` if no window is open. A job without a repo is
/// not held, so the condition must be false for it and not NULL.
pub fn closed(open: &[&Window]) -> Option<String> {
    if open.is_empty() {
        return None;
    }
    let repos: Option<Vec<&Vec<String>>> =
        open.iter().map(|window| window.repos.as_ref()).collect();
    Some(match repos {
        Some(repos) => format!(
            "(jobs.repo IS NOT NULL AND jobs.repo IN ({}))",
            clause::list(repos.into_iter().flatten())
        ),
        None => "jobs.repo IS NOT NULL".into(),
    })
}
