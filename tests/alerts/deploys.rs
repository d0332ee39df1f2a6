//! Verdicts about deploys.

use serde_json::json;

use super::freeze;
use crate::support::look::count;
use crate::support::{Gate, Ran};

fn verdict(gate: &Gate, verdict: &str, more: &[&str]) -> Ran {
    gate.run(
        &[
            &["deploy-verdict", "alpha", "--verdict", verdict, "--json"],
            more,
        ]
        .concat(),
    )
    .succeeds()
}

fn is_frozen(gate: &Gate) -> bool {
    gate.run(&["repo", "alpha", "--json"]).succeeds().json()["frozen"] == true
}

#[test]
fn a_degraded_deploy_freezes_its_repo() {
    let gate = Gate::new();
    let more = [
        "--deploy",
        "118",
        "--work-item",
        "A-1",
        "--detail",
        "errors at 7 %",
    ];
    let recorded = verdict(&gate, "degraded", &more).json();
    let repo = gate.run(&["repo", "alpha", "--json"]).succeeds().json();
    assert_eq!(recorded["freeze_id"], repo["freeze"]["id"]);
    assert_eq!(
        repo["freeze"]["reason"],
        "deploy 118 of A-1 is degraded: errors at 7 %"
    );
    assert_eq!(repo["freeze"]["work_item_id"], "A-1");
}

#[test]
fn a_repeated_verdict_adds_history_and_no_second_freeze_or_alert() {
    for more in [["--deploy", "118"], ["--work-item", "A-1"]] {
        let gate = Gate::new();
        verdict(&gate, "degraded", &more);
        gate.run(&["unfreeze", "alpha"]).succeeds();
        let again = verdict(&gate, "degraded", &more).json();
        assert_eq!(
            [&again["repeated"], &again["frozen"]],
            [&json!(true), &json!(false)]
        );
        assert_eq!(count(&gate, "serial_gate_deploy"), 2);
        assert_eq!(count(&gate, "repo_freeze"), 1);
        assert_eq!(count(&gate, "serial_gate_alert WHERE kind = 'freeze'"), 1);
    }
}

#[test]
fn a_verdict_that_eight_monitors_give_at_once_freezes_once() {
    let gate = Gate::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| verdict(&gate, "degraded", &["--deploy", "118"]));
        }
    });
    assert_eq!(count(&gate, "serial_gate_deploy"), 8);
    assert_eq!(count(&gate, "repo_freeze"), 1);
}

#[test]
fn another_deploy_freezes_again() {
    let gate = Gate::new();
    verdict(
        &gate,
        "degraded",
        &["--deploy", "118", "--work-item", "A-1"],
    );
    for other in [&["--deploy", "119"][..], &["--work-item", "A-1"], &[], &[]] {
        gate.run(&["unfreeze", "alpha"]).succeeds();
        verdict(&gate, "degraded", other);
        assert!(is_frozen(&gate), "{other:?}");
    }
}

#[test]
fn a_work_item_that_was_healthy_meanwhile_freezes_again() {
    let gate = Gate::new();
    for (given, freezes) in [
        ("degraded", 1),
        ("degraded", 1),
        ("healthy", 1),
        ("degraded", 2),
    ] {
        verdict(&gate, given, &["--work-item", "A-1"]);
        assert_eq!(count(&gate, "repo_freeze"), freezes);
    }
}

#[test]
fn the_same_deploy_of_another_repo_is_another_one() {
    let gate = Gate::new();
    verdict(&gate, "degraded", &["--deploy", "118"]);
    let beta = [
        "deploy-verdict",
        "beta",
        "--verdict",
        "degraded",
        "--deploy",
        "118",
        "--json",
    ];
    assert_eq!(gate.run(&beta).succeeds().json()["repeated"], false);
    assert_eq!(count(&gate, "repo_freeze"), 2);
}

#[test]
fn a_healthy_verdict_clears_no_freeze() {
    let gate = Gate::new();
    freeze(&gate);
    let healthy = verdict(&gate, "healthy", &["--deploy", "118"]).json();
    assert_eq!(
        [&healthy["freeze_id"], &healthy["frozen"]],
        [&json!(null), &json!(true)]
    );
    assert_eq!(count(&gate, "serial_gate_deploy"), 1);
}

#[test]
fn a_degraded_deploy_is_no_silent_success_while_the_freeze_layer_is_off() {
    let gate = Gate::new();
    let ran = gate
        .run(&[
            "--freeze-enabled",
            "false",
            "deploy-verdict",
            "alpha",
            "--verdict",
            "degraded",
        ])
        .exits(1);
    assert_eq!(
        ran.stderr,
        "error: freezes are switched off by this process's own settings, so nothing was written: take `freeze-enabled` from its flags, `SERIAL_GATE_FREEZE_ENABLED` from its environment, or `freeze_enabled` from its configuration file\n"
    );
    assert_eq!(count(&gate, "serial_gate_deploy"), 0);
}
