//! What an operator has set, read and checked once per call.
//!
//! Owns the checks of the parameters that every rule has. Every string that comes out of here can
//! stand in a clause, so that the clause needs no second check.

use alloc::format;
use alloc::string::{String, ToString};

use crate::rule::Rule;
use crate::scope::Scope;

/// The settings of the gate, ready for use by a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings<R> {
    /// The kill switch: when false, the gate holds nothing.
    pub enabled: bool,
    /// In which repos the gate acts.
    pub scope: Scope,
    /// Whether a freeze holds anything.
    pub freeze_enabled: bool,
    /// The policy's parameters.
    pub rules: R,
}

impl<R: Rule> Settings<R> {
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
    ) -> Result<Settings<R>, String> {
        let rules: R = parse(rules)?;
        Ok(Settings {
            enabled,
            scope: Scope::parse(repos).within(rules.repos()),
            freeze_enabled,
            rules,
        })
    }
}

fn parse<R: Rule>(json: Option<&str>) -> Result<R, String> {
    let rules: R = match json {
        None => R::default(),
        Some(json) => {
            let rules = serde_json::from_str(json).map_err(|error| error.to_string())?;
            // Serde also reads a record from a list, by the order of its fields: nobody else reads it like that.
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

/// Checks a parameter that is a list of texts for the clause.
///
/// # Errors
///
/// A sentence, when the list is empty or a text cannot stand in a clause.
pub fn check(key: &str, values: &[String], when_empty: &str) -> Result<(), String> {
    if values.is_empty() {
        return Err(format!("`{key}` is empty: {when_empty}"));
    }
    values.iter().try_for_each(|value| check_text(key, value))
}

/// Checks a parameter that is a text for the clause.
///
/// # Errors
///
/// A sentence, when the text cannot stand in a clause.
pub fn check_text(key: &str, value: &str) -> Result<(), String> {
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Ok(());
    }
    Err(format!(
        "`{}` in `{key}` is not printable ASCII: a clause cannot hold it",
        value.escape_debug()
    ))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::serial::Serial;

    fn parsed(json: Option<&str>) -> Result<Serial, String> {
        parse(json)
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
                "unknown field `gated`, expected one of `gated_agents`, `finished_stages`, `repos` at line 1 column 8",
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
