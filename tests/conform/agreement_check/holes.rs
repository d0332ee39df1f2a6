//! A clause with a hole, for each kind of condition that can make one.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{check, differs};

/// Conditions that open the clause, and that `decide` knows nothing of.
#[track_caller]
fn holes(conditions: &[&str]) {
    for condition in conditions {
        differs(&json!({ "hole": condition }));
    }
}

#[test]
fn without_a_hole_the_policy_passes() {
    check(&json!({})).succeeds();
}

#[test]
fn for_a_repo() {
    holes(&[
        "jobs.repo = 'prod'",
        "jobs.repo IN ('x-1', 'live')",
        "jobs.repo > 'p' AND jobs.repo < 'q'",
    ]);
}

#[test]
fn for_a_label() {
    holes(&[
        "EXISTS (SELECT 1 FROM tasks own WHERE own.id = jobs.task_id AND own.gate_label = 'docs')",
    ]);
}

#[test]
fn for_a_stage() {
    holes(&[
        "EXISTS (SELECT 1 FROM tasks own WHERE own.id = jobs.task_id AND own.stage = 'wip')",
        "(SELECT min(m.stage) FROM tasks m WHERE m.repo = jobs.repo) = 'aaa'",
    ]);
}

#[test]
fn for_a_range_of_ids() {
    holes(&[
        "jobs.id > 9007199254740992",
        "jobs.id BETWEEN 5000 AND 6000",
        "jobs.task_id < -5",
        "jobs.id = 9223372036854775807",
    ]);
}

#[test]
fn for_null() {
    holes(&["jobs.task_id IS NULL", "jobs.agent IS NULL"]);
    differs(&json!({ "extra": "jobs.repo IS NOT NULL" }));
}

#[test]
fn for_a_count() {
    holes(&[
        "(SELECT count(*) FROM tasks c WHERE c.repo = jobs.repo AND c.stage = 'review') >= 7",
        "(SELECT count(*) FROM tasks c WHERE c.repo = jobs.repo) = 1000",
    ]);
}

#[test]
fn for_an_agent() {
    differs(&json!({ "extra": "jobs.agent <> 'robot'" }));
    differs(&json!({ "gated_agents": ["analyst", "lead"], "hole": "jobs.agent = 'lead'" }));
}

#[test]
fn for_two_conditions_at_once() {
    holes(&[
        "jobs.repo = 'prod' AND jobs.task_id = 77",
        "jobs.repo = 'prod' AND jobs.task_id = 77 AND jobs.id = 12",
    ]);
}

#[test]
fn inside_a_not_exists() {
    holes(&[
        "NOT EXISTS (SELECT 1 FROM tasks n WHERE n.repo = jobs.repo AND n.gate_label = 'guarded')",
    ]);
    let clause = "AND NOT (jobs.agent = 'analyst' AND (EXISTS (SELECT 1 FROM tasks t \
        WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage <> 'done' AND t.id <> 31337) \
        OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL)))";
    differs(&json!({ "clause": clause }));
}

/// The time, so many seconds from now.
fn later(seconds: i64) -> i64 {
    Timestamp::now().as_second() + seconds
}

#[test]
fn at_a_time() {
    let holes: [Value; 4] = [
        json!({ "hole": "jobs.repo = 'prod'", "from": later(3 * 86_400 + 5_000) }),
        json!({ "hole": "jobs.repo = 'prod'", "hour": 3 }),
        json!({ "claim_all": true, "from": later(40 * 86_400) }),
        json!({ "hole": "jobs.repo = 'prod'", "from": later(3_000), "valid_until": later(3_000) }),
    ];
    for hole in holes {
        differs(&hole);
    }
}

/// Asked about no row but the queued jobs, `decide` would see no freeze.
#[test]
fn in_a_clause_that_reads_no_rows() {
    differs(&json!({ "clause": "AND jobs.id = jobs.id" }));
}

#[test]
fn in_a_clause_that_is_kept_when_the_rule_has_become_another() {
    let rules = json!({ "claim_all": true, "hole": "TRUE", "from": later(3_600) });
    let said = differs(&rules);
    assert!(said.contains("is still valid"), "{said}");
}

#[test]
fn the_example_is_as_small_as_it_can_be() {
    let said = differs(&json!({ "hole": "jobs.repo = 'prod'" }));
    let (words, state) = said.split_once(", in the state ").unwrap();
    let state: Value = serde_json::from_str(state).unwrap();
    assert_eq!(state["jobs"].as_array().unwrap().len(), 1, "{state}");
    assert_eq!(state["jobs"][0]["repo"], "prod");
    assert!(words.contains("repo `prod`") && words.contains("the clause lets it through"));
}
