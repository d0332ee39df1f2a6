//! With a list of trusted keys, nothing that an untrusted component says or said is used, whichever
//! way it comes.

use serde_json::json;

use crate::support::hostile::{CLAIM, DECIDE_ALL};
use crate::support::hostile::{HARMLESS, Hostile};
use crate::support::service::Service;
use crate::support::{Gate, Ran};

/// Keys in `ops.key` and `ops.pub`, and `open.wasm`, a policy that holds nothing.
fn gate() -> Gate {
    let gate = Gate::new();
    gate.run(&["policy", "keygen", "ops.key"]).succeeds();
    gate.write("open.wasm", open());
    gate
}

fn open() -> Vec<u8> {
    Hostile {
        decide: DECIDE_ALL,
        module: CLAIM,
        ..HARMLESS
    }
    .component()
}

fn swap(gate: &Gate, more: &[&str]) {
    gate.run(&[&["policy", "swap", "open.wasm", "--reason", "r"], more].concat())
        .succeeds();
}

fn trusting(gate: &Gate, verb: &[&str]) -> Ran {
    gate.run(&[verb, &["--trust", "ops.pub"]].concat())
}

/// Two tasks in `alpha`, of which a worker without a trust list has the first by the untrusted
/// policy, which leaves its clause as the last good one; then `alpha` is frozen.
fn with_a_kept_clause(gate: &Gate) {
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    gate.run(&["claim"]).succeeds();
    gate.run(&["freeze", "alpha", "--reason", "incident"])
        .succeeds();
}

#[test]
fn the_newest_trusted_generation_before_an_untrusted_one_is_in_force_with_its_settings() {
    let gate = gate();
    gate.run(&[
        "policy",
        "settings",
        "--rules",
        r#"{"gated_agents":["analyst","builder"]}"#,
        "--reason",
        "r",
    ])
    .succeeds();
    swap(&gate, &[]);
    with_a_kept_clause(&gate);
    let claim = trusting(&gate, &["claim"]).exits(3);
    assert!(
        claim
            .stderr
            .contains("generation 3 is not trusted here, claims use generation 2"),
        "{}",
        claim.stderr
    );
    let state = trusting(&gate, &["queue", "--json"]).succeeds().json();
    assert_eq!(
        state["per_repo"]["alpha"]["waiting"][0]["verdict"]["hold"]["earlier_task"],
        1
    );
    let notes = state["notes"].to_string();
    assert!(
        notes.contains(
            "generation 3 of the policy is not trusted here, and claims use generation 2"
        ),
        "{notes}"
    );
    // Nobody who has no trust list is held by somebody else's.
    gate.run(&["claim"]).succeeds();
}

#[test]
fn without_a_trusted_generation_only_freezes_hold() {
    let gate = gate();
    swap(&gate, &[]);
    with_a_kept_clause(&gate);
    gate.run(&["task", "add", "beta"]).succeeds();
    gate.run(&["task", "add", "beta"]).succeeds();
    // The built-in policy needs no signature: its generation is made one of a component by others.
    gate.program()
        .run("UPDATE serial_gate_generation SET digest = (SELECT digest FROM serial_gate_generation WHERE id = 2) WHERE id = 1");
    let claimed = trusting(&gate, &["claim", "--json"]).succeeds().json();
    assert_eq!(claimed["repo"], "beta");
    assert_eq!(claimed["generation"], json!(null));
    trusting(&gate, &["claim"]).succeeds();
    trusting(&gate, &["claim"]).exits(3);
    let queue = trusting(&gate, &["queue"]).succeeds().stdout;
    assert!(
        queue.contains("generation 2 of the policy is not trusted here, and claims use no policy"),
        "{queue}"
    );
}

#[test]
fn a_policy_that_lost_its_signature_is_not_used_and_neither_is_its_last_good_clause() {
    let gate = gate();
    gate.run(&["policy", "sign", "open.wasm", "--key", "ops.key"])
        .succeeds();
    swap(&gate, &["--trust", "ops.pub"]);
    with_a_kept_clause(&gate);
    trusting(&gate, &["claim"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.program()
        .run("UPDATE serial_gate_generation SET signature = NULL WHERE id = 2");
    trusting(&gate, &["claim"]).exits(3);
}

#[test]
fn a_trusted_policy_that_fails_still_has_its_last_good_clause() {
    let gate = gate();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    trusting(&gate, &["claim"]).succeeds();
    gate.program()
        .run(r#"UPDATE serial_gate_generation SET limits = '{"memory_mib":0}'"#);
    let claim = trusting(&gate, &["claim"]).exits(3);
    assert!(
        claim.stderr.contains("last good clause"),
        "{}",
        claim.stderr
    );
}

#[test]
fn going_back_to_a_generation_that_is_not_trusted_is_refused() {
    let gate = gate();
    swap(&gate, &[]);
    gate.run(&["policy", "swap", "built-in", "--reason", "r"])
        .succeeds();
    let refused = trusting(&gate, &["policy", "rollback", "--reason", "r"]).exits(1);
    assert!(
        refused.stderr.contains("has no signature"),
        "{}",
        refused.stderr
    );
    gate.run(&["policy", "shadow", "open.wasm", "--reason", "r"])
        .succeeds();
    let refused = trusting(&gate, &["policy", "promote", "--reason", "r"]).exits(1);
    assert!(
        refused.stderr.contains("has no signature"),
        "{}",
        refused.stderr
    );
    let sqlite = gate.program();
    let sql = "SELECT name FROM serial_gate_generation WHERE state = 'active'";
    let active: String = sqlite.one(sql);
    assert_eq!(active, "serial");
}

#[test]
fn the_service_says_that_the_active_generation_is_not_trusted() {
    let gate = gate();
    swap(&gate, &[]);
    let trusting = gate.with_environment(vec![("SERIAL_GATE_TRUST", "ops.pub".into())]);
    let service = Service::on(trusting);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    service.post("/v1/claim", &json!({"worker": "w"})).is(200);
    let ready = service.get("/readyz");
    assert_eq!(ready.status, 503, "{}", ready.text);
    assert!(
        ready.text.contains(
            "generation 2 of the policy is not trusted here, and claims use generation 1"
        ),
        "{}",
        ready.text
    );
    let state = service.get("/queue").is(200).json()["serial_gate"].clone();
    assert!(
        state["notes"].to_string().contains("is not trusted here"),
        "{state}"
    );
}

#[test]
fn doctor_says_that_claims_do_not_use_the_active_policy() {
    let gate = gate();
    assert_eq!(
        gate.run(&["doctor", "--json"]).succeeds().json()["not_in_force"],
        json!(null)
    );
    swap(&gate, &[]);
    gate.run(&["doctor"]).succeeds();
    let why = "generation 2 of the policy is not trusted here, and claims use generation 1";
    let doctor = trusting(&gate, &["doctor"]).exits(1);
    assert!(doctor.stdout.contains(why), "{}", doctor.stdout);
    let document = trusting(&gate, &["doctor", "--json"]).exits(1).json();
    assert_eq!(document["sound"], json!(false));
    let text = document["not_in_force"].to_string();
    assert!(text.contains(why), "{text}");
}
