//! What is tried before it counts: attached cases, diffs and replays.

use crate::support::Gate;
use crate::support::proposals::traps_from;

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
