//! The decision log: what it holds, and what it never does to a claim or to another file.

use crate::support::Gate;

#[test]
fn a_log_leaves_other_files_alone_and_never_keeps_a_claim_waiting() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    gate.run(&["task", "add", "beta"]).succeeds();
    gate.write("Cargo.lock", "important");
    gate.run(&["claim", "--decision-log", "Cargo"]).succeeds();
    assert_eq!(
        std::fs::read_to_string(gate.path("Cargo.lock")).unwrap(),
        "important"
    );
    gate.run(&["task", "done", "1", "--force", "--reason", "merged"])
        .succeeds();
    let held = std::fs::File::open(gate.path("Cargo.lock")).unwrap();
    held.lock().unwrap();
    let claimed = gate
        .run(&["claim", "--max", "2", "--decision-log", "Cargo"])
        .succeeds();
    assert!(
        claimed.stderr.contains("(2 so far)")
            && claimed.stderr.contains("another process holds its lock"),
        "{}",
        claimed.stderr
    );
}

#[test]
fn a_logged_state_has_rows_that_the_active_policy_does_not_read() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    gate.run(&["task", "done", "1"]).succeeds();
    gate.run(&["claim", "--decision-log", "log.jsonl", "--log-snapshots"])
        .succeeds();
    let log = std::fs::read_to_string(gate.path("log.jsonl")).unwrap();
    let entry: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(entry["snapshot"]["tasks"]["id"], serde_json::json!([1, 2]));
}
