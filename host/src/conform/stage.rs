//! The stages of a check, in their order.
//!
//! Owns their form for people and for machines. Leaves what each finds to `check`.

use serde_json::{Value, json};

use crate::remedy::Remedy;

/// A stage of the check, and what it found: in words, or why the policy is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `signature`, `contract`, `clause`, `claims`, `decisions`, `determinism`, `agreement`,
    /// `progress` or `fixtures`.
    pub name: &'static str,
    /// What it found.
    pub found: Result<String, String>,
    /// What to do about a refusal, where a command or a route does that.
    pub remedy: Option<Remedy>,
    /// What the policy itself wants an operator to know. Only its clause has notes.
    pub notes: Vec<String>,
}

/// What a stage found, and what the next one needs; or why the policy is refused.
pub(super) type Found<T> = Result<(String, T), String>;

/// The stages so far.
pub(super) struct Stages(pub Vec<Stage>);

impl Stages {
    /// Adds a stage. None if it refuses the policy.
    pub fn add<T>(&mut self, name: &'static str, found: Found<T>) -> Option<T> {
        let (found, next) = match found {
            Ok((found, next)) => (Ok(found), Some(next)),
            Err(reason) => (Err(reason), None),
        };
        let remedy = None;
        self.0.push(Stage {
            name,
            found,
            remedy,
            notes: Vec::new(),
        });
        next
    }
}

/// A stage for machines.
impl From<&Stage> for Value {
    fn from(stage: &Stage) -> Value {
        json!({
            "stage": stage.name,
            "passed": stage.found.is_ok(),
            "found": stage.found.as_ref().unwrap_or_else(|reason| reason),
            "notes": stage.notes,
        })
    }
}
