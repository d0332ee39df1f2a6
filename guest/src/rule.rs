//! The trait that this project's policies implement.
//!
//! Owns the trait, and how the contract's settings become a rule's. The document `rules` is read
//! into the rule, which answers from it, the time and the state alone. `component` makes the
//! contract's exports. Callers rely on this: `decide` and `claim_clause` are the same rule.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::de::DeserializeOwned;

use crate::scope::Scope;
use crate::settings::{Settings, check};
use crate::snapshot::{Decision, Snapshot, Timestamp};

/// A rule and its parameters. The default is for an operator who sets none.
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

    /// The only repos in which the gate acts: the parameter `repos`, for names that the setting
    /// `repos` cannot hold, such as `org/app`. `None` leaves the scope to the setting.
    fn repos(&self) -> Option<&[String]>;

    /// Checks the parameters that only this rule has.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with them.
    fn check(&self) -> Result<(), String>;

    /// One decision for each queued job, in the snapshot's order. It is generic so that the list is
    /// built once, in the caller's type.
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

    /// The first moment after `now` at which the clause may change, if there is one.
    fn valid_until(_: &Settings<Self>, _now: Timestamp) -> Option<Timestamp> {
        None
    }
}

/// Reads the settings as the contract passes them.
///
/// # Errors
///
/// A sentence that says what is wrong with `rules`.
pub fn parse<R: Rule>(
    enabled: bool,
    repos: &str,
    freeze_enabled: bool,
    rules: Option<&str>,
) -> Result<Settings<R>, String> {
    let rules: R = parameters(rules)?;
    Ok(Settings {
        enabled,
        scope: Scope::parse(repos).within(rules.repos()),
        freeze_enabled,
        rules,
    })
}

fn parameters<R: Rule>(json: Option<&str>) -> Result<R, String> {
    let rules: R = match json {
        None => R::default(),
        Some(json) => {
            let rules = serde_json::from_str(json).map_err(|error| error.to_string())?;
            // Serde also reads a struct from a list of its fields, which the contract does not
            // allow.
            if !json.trim_start().starts_with('{') {
                return Err("not a JSON object, such as `{\"gated_agents\":[\"analyst\"]}`".into());
            }
            rules
        }
    };
    check(
        "gated_agents",
        rules.gated_agents(),
        "name at least one, set `enabled` to false to hold nothing",
    )?;
    check(
        "finished_stages",
        rules.finished_stages(),
        "name at least one, otherwise no task would ever end",
    )?;
    if let Some(repos) = rules.repos() {
        check("repos", repos, "leave it out to mean every repo")?;
    }
    rules.check()?;
    Ok(rules)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::serial::Serial;

    fn parsed(json: Option<&str>) -> Result<Serial, String> {
        parameters(json)
    }

    #[test]
    fn without_rules_the_analyst_is_gated_and_done_is_finished() {
        let rules = parsed(None).unwrap();
        assert_eq!(
            (rules.gated_agents, rules.finished_stages),
            (vec!["analyst".into()], vec!["done".into()])
        );
    }

    #[test]
    fn one_key_leaves_the_other_at_its_default() {
        let rules = parsed(Some(r#"{"finished_stages":["done","cancelled"]}"#)).unwrap();
        assert_eq!(rules.gated_agents, ["analyst"]);
        assert_eq!(rules.finished_stages, ["done", "cancelled"]);
    }

    #[test]
    fn rules_that_cannot_be_meant_are_refused_with_the_reason() {
        for (json, reason) in [
            ("[", "EOF while parsing a list at line 1 column 1"),
            (
                r#" [["planner"],["merged"]]"#,
                r#"not a JSON object, such as `{"gated_agents":["analyst"]}`"#,
            ),
            (
                r#"{"gated":[]}"#,
                "unknown field `gated`, expected one of `gated_agents`, `finished_stages`, `repos` \
                 at line 1 column 8",
            ),
            (
                r#"{"gated_agents":[]}"#,
                "`gated_agents` is empty: name at least one, \
                 set `enabled` to false to hold nothing",
            ),
            (
                r#"{"finished_stages":[]}"#,
                "`finished_stages` is empty: name at least one, otherwise no task would ever end",
            ),
            (
                r#"{"repos":[]}"#,
                "`repos` is empty: leave it out to mean every repo",
            ),
            (
                r#"{"repos":["caf\u00e9"]}"#,
                "`café` in `repos` is not printable ASCII: a clause cannot hold it",
            ),
            (
                r#"{"gated_agents":["é"]}"#,
                "`é` in `gated_agents` is not printable ASCII: a clause cannot hold it",
            ),
        ] {
            assert_eq!(parsed(Some(json)), Err(reason.into()));
        }
    }
}
