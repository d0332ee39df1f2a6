//! The rule as a condition of the claim's query.
//!
//! Owns the text, which for the default rules is the reference's to the byte (reference semantics
//! 24). It must say the same as `decide` for every state; that is tested, not promised.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::settings::Settings;

/// The condition, starting with `AND` and ending with a space; empty when the kill switch is off.
pub fn claim_clause(settings: &Settings) -> String {
    if !settings.enabled {
        return String::new();
    }
    let gated = one_of("jobs.agent", "=", "IN", &settings.rules.gated_agents);
    let names: Vec<&String> = settings.scope.names().iter().collect();
    let in_scope = if names.is_empty() {
        String::new()
    } else {
        format!("AND jobs.repo IN ({}) ", quoted(&names))
    };
    let unfinished = one_of("t2.stage", "!=", "NOT IN", &settings.rules.finished_stages);
    let earlier_task = format!(
        "EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id AND {unfinished}) "
    );
    let frozen = if settings.freeze_enabled {
        "OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) "
    } else {
        ""
    };
    format!("AND NOT ( {gated} {in_scope}AND ( {earlier_task}{frozen}) ) ")
}

/// `column = 'a'` for one value, `column IN ('a', 'b')` for several.
fn one_of(column: &str, for_one: &str, for_several: &str, values: &[String]) -> String {
    match values {
        [value] => format!("{column} {for_one} {}", quoted(&[value])),
        values => format!(
            "{column} {for_several} ({})",
            quoted(&values.iter().collect::<Vec<_>>())
        ),
    }
}

fn quoted(values: &[&String]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|value| format!("'{}'", value.replace('\'', "''")))
        .collect();
    values.join(", ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn several_agents_and_stages_become_lists() {
        let rules = r#"{"gated_agents":["analyst","o'brien"],"finished_stages":["done","merged"]}"#;
        let settings = Settings::parse(true, "b,a", false, Some(rules)).unwrap();
        assert_eq!(
            claim_clause(&settings),
            "AND NOT ( jobs.agent IN ('analyst', 'o''brien') AND jobs.repo IN ('a', 'b') AND ( \
             EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id \
             AND t2.stage NOT IN ('done', 'merged')) ) ) "
        );
    }
}
