//! Components of another version of the contract: refused by name, and where a database keeps one
//! as its active generation, the queue opens and claims use the fallback.

use serial_gate::policy::{DEFAULT_POLICY, digest};

use crate::support::Gate;

const REFUSAL: &str = "is built for version 0.3.0 of the contract, and this host runs 0.4.0: build \
                       it again with the `wit/serial-gate.wit` of this host";

/// The default policy under the name that the interface had before.
fn of_0_3_0() -> Vec<u8> {
    let (now, before) = (b"serial-gate@0.4.0", b"serial-gate@0.3.0");
    let mut component = DEFAULT_POLICY.to_vec();
    while let Some(place) = component.windows(now.len()).position(|part| part == now) {
        component[place..place + now.len()].copy_from_slice(before);
    }
    assert_ne!(component, DEFAULT_POLICY);
    component
}

/// Two tasks of `alpha` and one of the frozen `beta`, and an active generation of version 0.3.0, as
/// an earlier version of this program left them.
fn left_behind() -> Gate {
    let gate = Gate::new();
    for repo in ["alpha", "alpha", "beta"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    let reason = ["freeze", "beta", "--new", "--reason", "bad deploy"];
    gate.run(&reason).succeeds();
    let program = gate.program();
    let (old, component) = (digest(&of_0_3_0()), program.bytes(&of_0_3_0()));
    program.run(format!(
        "UPDATE serial_gate_policy SET digest = '{old}', component = {component};
         UPDATE serial_gate_generation SET digest = '{old}'"
    ));
    gate
}

#[test]
fn a_policy_of_another_version_is_refused_with_both_versions_and_what_to_do() {
    let gate = Gate::new();
    gate.write("old.wasm", of_0_3_0());
    for verb in [
        &["policy", "check", "old.wasm"][..],
        &["policy", "diff", "old.wasm"],
        &["policy", "swap", "old.wasm", "--reason", "why"],
        &["policy", "shadow", "old.wasm", "--reason", "why"],
    ] {
        let ran = gate.run(verb).exits(1);
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains(REFUSAL), "{verb:?}: {said}");
    }
    let history = gate.run(&["policy", "history", "--json"]).succeeds();
    assert_eq!(history.json_lines().len(), 1, "nothing was stored");
}

#[test]
fn a_stored_policy_of_another_version_is_named_and_only_freezes_hold() {
    let gate = left_behind();
    let queue = gate.run(&["queue", "--json"]).succeeds().json();
    let notes = queue["notes"].to_string();
    assert!(notes.contains(REFUSAL), "{notes}");
    for id in [1, 2] {
        let claimed = gate.run(&["claim", "--json"]).succeeds().json();
        assert_eq!(claimed["id"], id);
    }
    gate.run(&["claim"]).exits(3);
    gate.run(&["policy", "history"]).succeeds();
    gate.run(&["repo", "beta"]).succeeds();
}

#[test]
fn its_last_good_clause_keeps_the_order_of_tasks() {
    let gate = left_behind();
    let settings = "SELECT settings FROM serial_gate_generation";
    let sql = format!(
        "INSERT INTO serial_gate_clause (policy, settings, text)
         SELECT '{}', ({settings}), 'AND NOT (jobs.agent = ''analyst'' AND EXISTS (SELECT 1
            FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id))'",
        digest(&of_0_3_0())
    );
    gate.program().run(sql);
    // Job 2 waits for task 1. That job 3 passes shows which clause is in use.
    for id in [1, 3] {
        let claimed = gate.run(&["claim", "--json"]).succeeds().json();
        assert_eq!(claimed["id"], id);
    }
    gate.run(&["claim"]).exits(3);
}

#[test]
fn a_swap_to_a_policy_of_this_version_ends_the_fallback_and_the_old_one_stays_out() {
    let gate = left_behind();
    let swap = ["policy", "swap", "built-in", "--reason", "another contract"];
    gate.run(&swap).succeeds();
    let queue = gate.run(&["queue", "--json"]).succeeds().json();
    assert!(!queue["notes"].to_string().contains("0.3.0"), "{queue}");
    let claimed = gate.run(&["claim", "--json"]).succeeds().json();
    assert_eq!(claimed["id"], 1);
    gate.run(&["claim"]).exits(3);
    let back = ["policy", "rollback", "--reason", "as it was"];
    let refused = gate.run(&back).exits(1);
    assert!(refused.stderr.contains(REFUSAL), "{}", refused.stderr);
}
