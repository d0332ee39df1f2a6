//! What a trial of a database is about, and what it has shown.
//!
//! Owns the rules that it follows and its result. Leaves the trial to the engine.

use jiff::Timestamp;

use super::forbidden::{Attempt, Forbidden};
use super::records::task_end::FinishedStages;

/// What is tried, and under which rules.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Now.
    pub now: Timestamp,
    /// The gated agents whose names are known.
    pub gated: Vec<String>,
    /// The stages in which a task is finished.
    pub finished: FinishedStages,
    /// Whether repos can be frozen at all.
    pub freezes: bool,
}

/// The result of a trial.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Proof {
    /// What the database does not let the gate do.
    pub forbidden: Vec<Forbidden>,
    /// Why claims could not be tried, if so.
    pub unknown: Option<String>,
}

impl Proof {
    /// Whether it allows everything that a queue needs.
    pub fn is_fit(&self) -> bool {
        !self.forbidden.iter().any(Forbidden::is_needed)
    }

    /// Whether a task may be added in some way.
    pub(crate) fn may_add(&self) -> bool {
        let cannot = |found: &Forbidden| found.what == Attempt::AddTask && found.needs.is_none();
        !self.forbidden.iter().any(cannot)
    }

    pub(crate) fn knows(&self, what: Attempt) -> bool {
        self.forbidden.iter().any(|found| found.what == what)
    }
}
