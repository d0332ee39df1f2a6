//! What a policy has to say: the trait that this project's policies implement.
//!
//! Owns nothing but the shape. A rule is its own parameters: the document `rules` is read into it,
//! and its answers come from it, the time and the state alone. `settings` reads it, `component` makes
//! the contract's exports of it. Callers rely on this: `decide` and `claim_clause` are the same rule.

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::DeserializeOwned;

use crate::settings::Settings;
use crate::snapshot::{Decision, Snapshot, Timestamp};

/// A rule, as its own parameters. The default parameters are those of an operator who sets none.
pub trait Rule: DeserializeOwned + Default {
    /// The policy's name.
    const NAME: &'static str;
    /// The policy's own version.
    const VERSION: &'static str;
    /// The rule in one line, for people.
    const SUMMARY: &'static str;

    /// The agents whose jobs the gate may hold: the parameter `gated_agents`.
    fn gated_agents(&self) -> &[String];

    /// The stages in which a task is finished: the parameter `finished_stages`.
    fn finished_stages(&self) -> &[String];

    /// The only repos in which the gate acts: the parameter `repos`, for names that the setting of that name cannot have,
    /// such as `org/app`. None leaves the scope to the setting.
    fn repos(&self) -> Option<&[String]>;

    /// Checks the parameters that only this rule has.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with them.
    fn check(&self) -> Result<(), String>;

    /// One decision for each queued job, in the snapshot's order, as the type that the caller has for them: a list of
    /// them is made once.
    ///
    /// # Errors
    ///
    /// A sentence, when the snapshot breaks the contract.
    fn decide<D: From<Decision>>(
        settings: &Settings<Self>,
        now: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<Vec<D>, String>;

    /// The same as a condition: the contract's `clause.text`.
    fn claim_clause(settings: &Settings<Self>, now: Timestamp) -> String;

    /// The first moment after `now` at which the clause may be another, if there is one.
    fn valid_until(_: &Settings<Self>, _now: Timestamp) -> Option<Timestamp> {
        None
    }
}
