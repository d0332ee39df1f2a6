//! What an operator has set, read and checked once per call.
//!
//! Owns the default policy's own parameters (`rules`). Every string that comes out of here can
//! stand in a clause, so that the clause needs no second check.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::scope::Scope;

/// The settings of the gate, ready for use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The kill switch: when false, the gate holds nothing.
    pub enabled: bool,
    /// In which repos the gate acts.
    pub scope: Scope,
    /// Whether a freeze holds anything.
    pub freeze_enabled: bool,
    /// This policy's parameters.
    pub rules: Rules,
}

impl Settings {
    /// Reads the settings as the contract passes them.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with `rules`.
    pub fn parse(
        enabled: bool,
        repos: &str,
        freeze_enabled: bool,
        rules: Option<&str>,
    ) -> Result<Settings, String> {
        Ok(Settings {
            enabled,
            scope: Scope::parse(repos),
            freeze_enabled,
            rules: Rules::parse(rules)?,
        })
    }
}

/// The parameters of the default policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The agents whose jobs the gate may hold. At least one.
    pub gated_agents: Vec<String>,
    /// The stages in which a task is finished. At least one.
    pub finished_stages: Vec<String>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            gated_agents: vec!["analyst".to_owned()],
            finished_stages: vec!["done".to_owned()],
        }
    }
}

impl Rules {
    fn parse(json: Option<&str>) -> Result<Rules, String> {
        let Some(json) = json else {
            return Ok(Rules::default());
        };
        let rules: Rules = serde_json::from_str(json).map_err(|error| error.to_string())?;
        check(
            "gated_agents",
            &rules.gated_agents,
            "set `enabled` to false to hold nothing",
        )?;
        check(
            "finished_stages",
            &rules.finished_stages,
            "otherwise no task would ever end",
        )?;
        Ok(rules)
    }
}

fn check(key: &str, values: &[String], why_not_empty: &str) -> Result<(), String> {
    if values.is_empty() {
        return Err(format!(
            "`{key}` is empty: name at least one, {why_not_empty}"
        ));
    }
    for value in values {
        if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(format!(
                "`{}` in `{key}` is not printable ASCII: a clause cannot hold it",
                value.escape_debug()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn without_rules_the_analyst_is_gated_and_done_is_finished() {
        let rules = Rules::parse(None).unwrap();
        assert_eq!(
            (rules.gated_agents, rules.finished_stages),
            (vec!["analyst".into()], vec!["done".into()])
        );
    }

    #[test]
    fn one_key_leaves_the_other_at_its_default() {
        let rules = Rules::parse(Some(r#"{"finished_stages":["done","cancelled"]}"#)).unwrap();
        assert_eq!(rules.gated_agents, ["analyst"]);
        assert_eq!(rules.finished_stages, ["done", "cancelled"]);
    }

    #[test]
    fn rules_that_cannot_be_meant_are_refused_with_the_reason() {
        for (json, reason) in [
            ("[", "EOF while parsing a list at line 1 column 1"),
            (
                r#"{"gated":[]}"#,
                "unknown field `gated`, expected `gated_agents` or `finished_stages` at line 1 column 8",
            ),
            (
                r#"{"gated_agents":[]}"#,
                "`gated_agents` is empty: name at least one, set `enabled` to false to hold nothing",
            ),
            (
                r#"{"finished_stages":[]}"#,
                "`finished_stages` is empty: name at least one, otherwise no task would ever end",
            ),
            (
                r#"{"gated_agents":["é"]}"#,
                "`é` in `gated_agents` is not printable ASCII: a clause cannot hold it",
            ),
        ] {
            assert_eq!(Rules::parse(Some(json)), Err(reason.into()));
        }
    }
}
