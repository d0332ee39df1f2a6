//! Lists of decisions that are not one for each queued job: named, and nothing waits for ever.

use serde_json::{Value, json};

use super::check;
use crate::support::Gate;
use crate::support::components::hole;

const WRONG: [(&str, &str); 6] = [
    ("none", "no decision for job"),
    ("missing", "no decision for job"),
    (
        "not-there",
        "decision for job 9223372036854775807, which is not queued",
    ),
    ("not-queued", "which is not queued"),
    ("twice", "two decisions for job"),
    ("reversed", "another order"),
];

/// The rules of a policy whose list is wrong, and which is given jobs that are not queued, too.
fn rules(wrong: &str) -> Value {
    let extra = "(SELECT count(*) FROM jobs o WHERE o.repo = jobs.repo) < 1000";
    json!({ "decisions": wrong, "extra": extra })
}

const CASE: &str = r#"{"case":{"settings":{"enabled":true},"tasks":[{"id":1,"repo":"a","stage":"review"}],"jobs":[{"id":1,"task_id":1,"repo":"a","agent":"analyst"},{"id":2,"task_id":1,"repo":"a","agent":"developer"},{"id":3,"task_id":1,"repo":"a","agent":"x","status":"running"}]},"expected":{"claimable":[1,2]}}"#;

#[test]
fn the_check_refuses_them_by_name() {
    for (wrong, said) in WRONG {
        let ran = check(&rules(wrong)).exits(1);
        let last = ran.stdout.lines().last().unwrap();
        assert!(last.starts_with("decisions"), "{wrong}: {last}");
        assert!(last.contains(said), "{wrong}: {last}");
    }
}

#[test]
fn a_case_fails_by_name() {
    let gate = Gate::folder();
    gate.write("policy.wasm", hole());
    gate.write("case.jsonl", CASE);
    for (wrong, said) in WRONG {
        let rules = rules(wrong).to_string();
        let conform = [
            "conform",
            "case.jsonl",
            "--policy",
            "policy.wasm",
            "--rules",
        ];
        let ran = gate.run(&[&conform[..], &[&rules]].concat()).exits(1);
        assert!(ran.stdout.contains(said), "{wrong}: {}", ran.stdout);
    }
}

#[test]
fn a_swap_is_refused_and_changes_nothing() {
    let gate = Gate::new();
    gate.write("policy.wasm", hole());
    for (wrong, said) in WRONG {
        let rules = rules(wrong).to_string();
        let swap = ["policy", "swap", "policy.wasm", "--reason", "x", "--rules"];
        let ran = gate.run(&[&swap[..], &[&rules]].concat()).exits(1);
        let output = ran.stdout + &ran.stderr;
        assert!(output.contains(said), "{wrong}: {output}");
    }
    let active = "SELECT id FROM serial_gate_generation WHERE state = 'active'";
    let active: i64 = gate.program().one(active);
    assert_eq!(active, 1);
}
