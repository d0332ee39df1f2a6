//! What is tried before it counts, and written down: attached cases, diffs, shadows, logs and replays.

use serial_gate::rollout::{self, Place};

use super::{actor, at, proposal, traps_from};
use crate::support::Gate;

#[test]
fn attached_cases_hold_a_policy_back_that_fails_one() {
    let gate = Gate::new();
    let case = r#"{"case": {"name": "the second waits", "settings": {"enabled": true, "repos": "", "freeze_enabled": true},
        "tasks": [{"id": 1, "repo": "a", "stage": "review"}],
        "jobs": [{"id": 1, "task_id": 2, "repo": "a", "agent": "analyst"}]},
        "expected": {"claimable": []}}"#
        .replace('\n', " ");
    gate.write("cases.jsonl", case);
    gate.run(&["policy", "fixtures", "add", "cases.jsonl", "--who", "op"])
        .succeeds();
    gate.write("all.wasm", traps_from("9000000000"));
    let ran = gate
        .run(&["policy", "swap", "all.wasm", "--reason", "r"])
        .exits(1);
    let found = ran.stdout.lines().rev().nth(1).unwrap();
    insta::assert_snapshot!(found, @"fixtures     refused  `the second waits` of `cases.jsonl` fails: [clause] claimable: expected [], got [1]");
    gate.run(&["policy", "fixtures", "remove", "cases.jsonl"])
        .succeeds();
    gate.run(&["policy", "swap", "all.wasm", "--reason", "r"])
        .succeeds();
}

#[test]
fn a_file_without_cases_is_not_attached() {
    let gate = Gate::new();
    gate.write("empty.jsonl", "\n");
    let ran = gate
        .run(&["policy", "fixtures", "add", "empty.jsonl"])
        .exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: there is no case in `empty.jsonl`: write one a line");
    let ran = gate
        .run(&["policy", "fixtures", "remove", "empty.jsonl"])
        .exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: there are no fixtures `empty.jsonl`: `serial-gate policy fixtures list` lists them");
}

#[test]
fn a_diff_shows_which_verdicts_would_change_and_changes_nothing() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    gate.write("all.wasm", traps_from("9000000000"));
    let ran = gate.run(&["policy", "diff", "all.wasm"]).succeeds();
    insta::assert_snapshot!(ran.stdout, @r"
    the verdict of 1 queued job would change
    JOB  REPO   AGENT    NOW                       THEN
    2    alpha  analyst  held: task 1 comes first  may be claimed
    ");
    assert_eq!(gate.queue().store().generations().unwrap().len(), 1);
}

#[test]
fn a_shadow_decides_beside_the_active_policy_until_it_is_promoted() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    gate.write("all.wasm", traps_from("9000000000"));
    gate.run(&["policy", "shadow", "all.wasm", "--reason", "r"])
        .succeeds();
    gate.run(&["claim"]).succeeds();
    gate.run(&["claim"]).exits(3);
    let status = gate
        .run(&["policy", "shadow", "status", "--json"])
        .succeeds()
        .json();
    assert_eq!(
        (&status["looks"], &status["failures"]),
        (&2.into(), &0.into())
    );
    let found = &status["disagreements"][0];
    assert_eq!(
        (&found["job"], &found["times"], &found["shadow"]),
        (&2.into(), &2.into(), &"claim".into())
    );
    assert_eq!(found["active"]["hold"]["earlier_task"], 1);
    gate.run(&["policy", "promote", "--reason", "r"]).succeeds();
    gate.run(&["claim"]).succeeds();
    let ran = gate.run(&["policy", "shadow", "status"]).exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: there is no shadow: start one with `serial-gate policy shadow FILE --reason TEXT`");
}

#[test]
fn a_diff_and_a_shadow_see_rows_that_the_active_policy_does_not_go_by() {
    let gate = Gate::empty();
    gate.run(&["init", "--freeze-enabled", "false"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.sqlite()
        .execute("INSERT INTO repo_freeze (repo) VALUES ('alpha')", [])
        .unwrap();
    let other = ["built-in", "--freeze-enabled", "true"];
    let ran = gate.run(&[&["policy", "diff"], &other[..]].concat());
    insta::assert_snapshot!(ran.succeeds().stdout, @r"
    the verdict of 1 queued job would change
    JOB  REPO   AGENT    NOW             THEN
    1    alpha  analyst  may be claimed  held: the repo is frozen
    ");
    gate.run(&[&["policy", "shadow", "--reason", "r"], &other[..]].concat())
        .succeeds();
    gate.run(&["claim"]).succeeds();
    let status = gate.run(&["policy", "shadow", "status", "--json"]);
    let status = status.succeeds().json();
    assert_eq!(status["disagreements"][0]["shadow"]["hold"]["freeze"], 1);
}

#[test]
fn a_shadow_that_fails_is_counted_and_no_claim_fails_with_it() {
    let gate = Gate::new();
    let shadow = proposal(&gate, traps_from("100005000"));
    rollout::swap(&mut gate.queue(), &shadow, Place::Shadow, actor(at(1_000))).unwrap();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["claim"]).succeeds();
    let status = gate
        .run(&["policy", "shadow", "status", "--json"])
        .succeeds()
        .json();
    assert_eq!(status["failures"], 1);
    gate.run(&["policy", "shadow", "stop", "--reason", "it traps"])
        .succeeds();
}

#[test]
fn a_decision_log_is_replayed_under_another_policy() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    for code in [0, 3] {
        gate.run(&["claim", "--decision-log", "log.jsonl", "--log-snapshots"])
            .exits(code);
    }
    let log = std::fs::read_to_string(gate.path("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 2);
    gate.write("all.wasm", traps_from("9000000000"));
    let replay = |file| {
        let ran = gate.run(&["policy", "replay", file, "--from", "log.jsonl", "--json"]);
        ran.succeeds().json_lines().pop().unwrap()
    };
    assert_eq!(replay("built-in")["differing"], 0);
    let replayed = replay("all.wasm");
    assert_eq!(
        (
            &replayed["states"],
            &replayed["decisions"],
            &replayed["differing"]
        ),
        (&2.into(), &3.into(), &2.into())
    );
}

#[test]
fn a_log_without_states_cannot_be_replayed_and_says_how_to_record_them() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["claim", "--decision-log", "log.jsonl"])
        .succeeds();
    let ran = gate
        .run(&["policy", "replay", "built-in", "--from", "log.jsonl"])
        .succeeds();
    insta::assert_snapshot!(ran.stdout, @r"
    0 decisions over 0 recorded states, 0 would differ
    1 line without a state: record with `--log-snapshots`
    ");
    gate.write("log.jsonl", "{}\n");
    let ran = gate
        .run(&["policy", "replay", "built-in", "--from", "log.jsonl"])
        .exits(1);
    insta::assert_snapshot!(ran.stderr.lines().next().unwrap(), @"error: line 1 of `log.jsonl` is not one of a decision log");
}

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
fn a_state_that_is_kept_has_rows_that_the_active_policy_does_not_go_by() {
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

#[test]
fn a_shadow_whose_answer_cannot_be_kept_costs_no_line_of_the_log() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["policy", "shadow", "built-in", "--reason", "r"])
        .succeeds();
    gate.sqlite()
        .execute_batch(
            "CREATE TRIGGER quota BEFORE INSERT ON serial_gate_shadow
             BEGIN SELECT raise(ABORT, 'quota'); END",
        )
        .unwrap();
    let ran = gate
        .run(&["claim", "--decision-log", "log.jsonl"])
        .succeeds();
    assert!(
        ran.stderr.contains("the shadow's answer is not kept"),
        "{}",
        ran.stderr
    );
    let log = std::fs::read_to_string(gate.path("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 1);
}
