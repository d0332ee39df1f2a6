//! A command that claims once does without the policy, while the clause that is kept of it holds.

use std::time::Duration;

use jiff::Timestamp;
use serial_gate::gate::{Overrides, Rule};
use serial_gate::queue::{Options, Queue};
use serial_gate::rollout::{self, Place, Proposal};
use serial_gate::store::{Actor, GenerationState};

use crate::support::Gate;
use crate::support::components::component;

const LEASE: Duration = Duration::from_secs(60);

/// Three tasks in one repo, of which the first is claimed, so that its policy's clause is kept.
fn gate() -> Gate {
    let gate = Gate::new();
    for _ in 0..3 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    gate.run(&["claim", "--worker", "w"]).succeeds();
    gate
}

/// From now on whoever needs the policy has none.
fn without_the_component(gate: &Gate) {
    gate.program().run("DELETE FROM serial_gate_policy");
}

/// What is said by whoever could not ask the policy.
const ASKED: &str = "is not kept in the database";

#[test]
fn the_order_of_tasks_is_kept_without_the_policy() {
    let gate = gate();
    without_the_component(&gate);
    let claim = gate.run(&["claim", "--worker", "w"]).exits(3);
    assert_eq!(claim.stderr, "");
    gate.run(&["job", "finish", "1"]).exits(2);
    gate.run(&["task", "stage", "1", "done"]).exits(1);
    gate.program()
        .run("UPDATE tasks SET stage = 'done' WHERE id = 1");
    let claim = gate.run(&["claim", "--worker", "w", "--json"]).succeeds();
    assert_eq!(
        (claim.json()["id"].as_i64(), claim.stderr.as_str()),
        (Some(2), "")
    );
    assert_eq!(claim.json()["generation"], 1);
}

#[test]
fn other_settings_are_asked_of_the_policy() {
    let gate = gate();
    without_the_component(&gate);
    let claim = gate.run(&["--rules", r#"{"finished_stages":["analysis"]}"#, "claim"]);
    assert!(claim.stderr.contains(ASKED), "{}", claim.stderr);
}

#[test]
fn with_a_trust_list_the_policy_is_asked_because_nobody_signed_the_row() {
    let gate = gate();
    gate.run(&["policy", "keygen", "ops.key"]).succeeds();
    let altered = "UPDATE serial_gate_clause SET text = ''";
    gate.program().run(altered);
    gate.run(&["claim", "--trust", "ops.pub"]).exits(3);
    // Without the list, the database may say what it wants: it could have another policy as well.
    gate.program().run(altered);
    gate.run(&["claim"]).succeeds();
}

#[test]
fn a_process_that_waits_or_watches_asks_the_policy() {
    let gate = gate();
    without_the_component(&gate);
    for verb in [
        &["claim", "--wait", "1ms"][..],
        &["claim", "--decision-log", "log.jsonl"],
        &["queue"],
    ] {
        let ran = gate.run(verb);
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains(ASKED), "{verb:?}: {said}");
    }
}

#[test]
fn a_policy_that_has_something_to_say_is_asked_each_time() {
    let gate = gate();
    gate.program().run(
        "UPDATE serial_gate_generation
         SET settings = replace(settings, '\"repos\":\"\"', '\"repos\":\"alpha,a/b\"')",
    );
    for _ in 0..2 {
        let claim = gate.run(&["claim"]).exits(3);
        assert!(claim.stderr.contains("`a/b`"), "{}", claim.stderr);
    }
}

#[test]
fn a_kept_clause_that_the_guard_refuses_is_asked_of_the_policy() {
    let gate = gate();
    gate.program()
        .run("UPDATE serial_gate_clause SET text = 'AND lower(jobs.repo) = 1'");
    let claim = gate.run(&["claim"]).exits(3);
    assert!(
        claim.stderr.contains("the kept clause is not accepted"),
        "{}",
        claim.stderr
    );
    let claim = gate.run(&["claim"]).exits(3);
    assert_eq!(claim.stderr, "", "the policy's answer is kept again");
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The Friday 2026-11-27, at a time in hours and minutes.
fn friday(hours: i64, minutes: i64) -> Timestamp {
    at(1_795_737_600 + 60 * (60 * hours + minutes))
}

#[test]
fn a_clause_that_depends_on_the_time_is_used_for_its_time_only() {
    let gate = Gate::new();
    let windows = r#"{"windows":[{"from":"fri 16:00","until":"fri 18:00"}]}"#;
    let mut operator = gate.queue();
    let active = operator
        .store()
        .generation_in(GenerationState::Active)
        .unwrap();
    let component = component("freeze-window").to_vec();
    let mut proposal = Proposal::over(active.as_ref(), component, None);
    proposal.settings.rules = Some(windows.into());
    let actor = Actor {
        now: friday(12, 0),
        who: "ops",
        why: "a test",
    };
    rollout::swap(&mut operator, &proposal, Place::Active, actor).unwrap();
    for _ in 0..4 {
        gate.run(&["task", "add", "alpha"]).succeeds();
        gate.program().run("UPDATE tasks SET stage = 'done'");
    }
    let claim = |now: Timestamp| {
        let options = Options {
            claims_once: true,
            ..Options::default()
        };
        let rule = Rule::Active(Overrides::default());
        let mut queue = Queue::open(gate.place(), rule, options).unwrap();
        queue.claim(now, "w", LEASE).unwrap().map(|job| job.id)
    };
    assert_eq!(claim(friday(15, 0)), Some(1));
    assert_eq!(claim(friday(16, 0)), None, "the window is open");
    assert_eq!(claim(friday(17, 59)), None);
    assert_eq!(claim(friday(18, 0)), Some(2));
    assert_eq!(claim(friday(17, 0)), None, "the clock went back");
    without_the_component(&gate);
    assert_eq!(
        claim(friday(17, 30)),
        None,
        "the clause of the window is kept"
    );
}
