//! Sentences of a process with settings of its own, and what a process without them claims.

use super::{World, is_claimed, set};
use crate::support::Gate;

/// A process that goes by other settings than the stored ones.
fn told(gate: &Gate, flags: &[&str], arguments: &[&str]) -> String {
    gate.run(&[flags, arguments].concat()).succeeds().stdout
}

/// Stored settings that let tasks start, and flags that hold them.
const ONLY_HERE: [(&[&str], &[&str]); 4] = [
    (&["--enabled", "false"], &["--enabled", "true"]),
    (&["--repos", "beta"], &["--repos", "alpha"]),
    (&["--rules", r#"{"repos":["beta"]}"#], &["--rules", "{}"]),
    (
        &["--rules", r#"{"gated_agents":["planner"]}"#],
        &["--rules", "{}"],
    ),
];

#[test]
fn a_freeze_that_holds_by_the_settings_of_one_process_only_says_that_others_claim() {
    for (stored, flags) in ONLY_HERE {
        let gate = World::On.gate();
        set(&gate, stored);
        let said = told(&gate, flags, &["freeze", "alpha", "--reason", "r"]);
        assert!(
            said.contains("by the stored settings, which this process does not use, "),
            "{stored:?}: {said}"
        );
        assert!(!said.contains("no task of it starts"), "{stored:?}: {said}");
        let document = told(&gate, flags, &["repo", "alpha", "--json"]);
        assert!(document.contains(r#""holds":false"#), "{document}");
        assert!(is_claimed(&gate), "{stored:?}");
    }
}

#[test]
fn a_freeze_with_the_layer_on_here_only_says_that_others_claim() {
    let gate = World::LayerOff.gate();
    let flags = ["--freeze-enabled", "true"];
    let said = told(&gate, &flags, &["freeze", "alpha", "--reason", "r"]);
    assert!(said.contains("freezes are switched off"), "{said}");
    assert!(is_claimed(&gate));
}

#[test]
fn a_freeze_that_does_not_hold_by_the_settings_of_one_process_says_whose_they_are() {
    for flags in [
        &["--enabled", "false"][..],
        &["--repos", "beta"],
        &["--rules", r#"{"repos":["beta"]}"#],
        &["--rules", r#"{"gated_agents":["planner"]}"#],
    ] {
        let gate = World::On.gate();
        let said = told(&gate, flags, &["freeze", "alpha", "--reason", "r"]);
        assert!(
            said.contains("but by this process's own settings, "),
            "{flags:?}: {said}"
        );
        assert!(!is_claimed(&gate), "{flags:?}");
    }
}

#[test]
fn settings_that_say_the_same_need_no_word() {
    let gate = World::On.gate();
    let flags = ["--repos", "alpha,beta"];
    let said = told(&gate, &flags, &["freeze", "alpha", "--reason", "r"]);
    assert!(said.contains("no task of it starts"), "{said}");
    assert!(!is_claimed(&gate));
}

#[test]
fn a_freeze_that_is_refused_names_the_switch_that_is_in_the_way() {
    let gate = World::On.gate();
    let freeze = ["freeze", "alpha", "--reason", "r"];
    let off = ["--freeze-enabled", "false"];
    let refused = gate.run(&[&off[..], &freeze].concat()).exits(1).stderr;
    assert!(
        refused.contains("by this process's own settings"),
        "{refused}"
    );
    assert!(!refused.contains("policy settings"), "{refused}");
    gate.run(&freeze).succeeds();

    let gate = World::LayerOff.gate();
    let refused = gate.run(&freeze).exits(1).stderr;
    assert!(
        refused.contains("`serial-gate policy settings --freeze-enabled true"),
        "{refused}"
    );
}

#[test]
fn the_switches_of_one_process_are_not_said_of_everybody() {
    for (stored, flags, queue, repo) in [
        (
            None,
            ["--enabled", "false"],
            "the gate is off by this process's own settings: with these, every queued job may be claimed",
            "does not act here, by this process's own settings",
        ),
        (
            Some(["--enabled", "false"]),
            ["--enabled", "true"],
            "the gate is on by this process's own settings only",
            "acts here by this process's own settings only",
        ),
        (
            None,
            ["--repos", "beta"],
            "by this process's own settings, the gate does not act here",
            "does not act here, by this process's own settings",
        ),
        (
            Some(["--repos", "beta"]),
            ["--repos", "alpha"],
            "the gate acts here by this process's own settings only",
            "acts here by this process's own settings only",
        ),
        (
            None,
            ["--freeze-enabled", "false"],
            "freezes are switched off by this process's own settings",
            "acts here",
        ),
        (
            Some(["--enabled", "false"]),
            ["--repos", "alpha"],
            "the gate is off: every queued job may be claimed",
            "does not act here\n",
        ),
    ] {
        let gate = World::On.gate();
        if let Some(stored) = stored {
            set(&gate, &stored);
        }
        let said = told(&gate, &flags, &["queue"]);
        assert!(said.contains(queue), "{flags:?}: {said}");
        let said = told(&gate, &flags, &["repo", "alpha"]);
        assert!(said.contains(repo), "{flags:?}: {said}");
    }
}
