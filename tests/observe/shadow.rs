//! The shadow: a generation that decides as well as the active one, and whose answers no claim
//! uses.

use serial_gate::rollout::{self, Place};

use crate::support::Gate;
use crate::support::engine::Does;
use crate::support::proposals::{actor, at, proposal, traps_from};

#[test]
fn a_shadow_decides_as_well_as_the_active_policy_until_it_is_promoted() {
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
fn a_diff_and_a_shadow_see_rows_that_the_active_policy_does_not_read() {
    let gate = Gate::empty();
    gate.run(&["init", "--freeze-enabled", "false"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.program()
        .run("INSERT INTO repo_freeze (repo) VALUES ('alpha')");
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
    assert_eq!(
        status["disagreements"][0]["shadow"]["hold"]["freeze_row"],
        1
    );
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
fn a_shadow_whose_answer_cannot_be_kept_costs_no_line_of_the_log() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["policy", "shadow", "built-in", "--reason", "r"])
        .succeeds();
    let event = "BEFORE INSERT ON serial_gate_shadow";
    gate.program()
        .trigger("quota", event, None, &Does::Refuse("quota"));
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
