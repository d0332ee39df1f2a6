//! The policies that are a part of the program, by their names.

use serial_gate::policy::BUILT_IN;

use crate::support::Gate;
use crate::support::components::built;

/// A queue whose policies must be signed, and nobody's key is trusted that has signed one.
fn that_trusts_one_key() -> Gate {
    let gate = Gate::new();
    gate.run(&["policy", "keygen", "ops.key"]).succeeds();
    gate
}

#[test]
fn each_policy_of_this_project_is_there_by_its_name() {
    for built in built() {
        let (_, component) = BUILT_IN
            .iter()
            .find(|(name, _)| *name == built.name)
            .unwrap();
        assert_eq!(*component, built.component, "{}", built.name);
    }
    assert_eq!(BUILT_IN.len(), built().len() + 1);
}

#[test]
fn one_of_them_needs_no_signature_and_a_rule_file_does() {
    let gate = that_trusts_one_key();
    let trusting = |arguments: &[&str]| gate.run(&[arguments, &["--trust", "ops.pub"]].concat());
    let swap = [
        "policy",
        "swap",
        "builtin:wip-limit",
        "--reason",
        "two at a time",
    ];
    trusting(&swap).succeeds();
    assert!(trusting(&["queue"]).succeeds().stderr.is_empty());

    gate.run(&["policy", "new", "mine", "--clause-only"])
        .succeeds();
    let check = ["policy", "check", "mine/rule.sql"];
    let refused = trusting(&check).exits(1).stdout;
    assert!(refused.contains("has no signature"), "{refused}");
    gate.run(&["policy", "sign", "mine/rule.sql", "--key", "ops.key"])
        .succeeds();
    trusting(&check).succeeds();
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones() {
    let gate = Gate::new();
    let ran = gate.run(&["policy", "swap", "builtin:wip", "--reason", "a test"]);
    insta::assert_snapshot!(ran.exits(1).stderr, @"error: `builtin:wip` is not built in: write one of `builtin:serial`, `builtin:wip-limit`, `builtin:freeze-window`, `builtin:hotfix-lane`, or the path of a file");
}
