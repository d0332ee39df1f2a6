//! A policy whose `decide` and clause differ, in use: what passed the check all the same is found,
//! told and rolled back.
//!
//! The policy is put into the database as a host without a check would do it.

mod found;
mod looks;
mod never;

use jiff::Timestamp;
use serde_json::{Value, json};
use serial_gate::gate::{default_settings, stored};
use serial_gate::model::Settings;
use serial_gate::policy;
use serial_gate::policy::Allowance;
use serial_gate::store::{Actor, GenerationState, NewGeneration, Seen};

use crate::support::Gate;
use crate::support::components::hole;

/// Lets the jobs of a frozen repo through.
const OPEN: &str = r#"{"hole":"jobs.repo = 'prod'"}"#;

/// Four tasks in the frozen `prod`, the second with a label, and a job without a task.
fn gate() -> Gate {
    let gate = Gate::new();
    for _ in 0..4 {
        gate.run(&["task", "add", "prod"]).succeeds();
    }
    gate.run(&["freeze", "prod", "--reason", "incident"])
        .succeeds();
    gate.program().run(
        "UPDATE tasks SET gate_label = 'vip' WHERE id = 2;
             INSERT INTO jobs (repo, agent) VALUES ('prod', 'analyst');",
    );
    gate
}

/// The same with a policy of these rules, as generation 2.
fn gate_with(rules: &str) -> Gate {
    let gate = gate();
    put(&gate, rules, Allowance::default());
    gate
}

/// Makes the policy with the hole the active one, unchecked.
fn put(gate: &Gate, rules: &str, allowance: Allowance) {
    let mut store = gate.store();
    let active = store.generation_in(GenerationState::Active).unwrap();
    let settings = Settings {
        rules: Some(rules.into()),
        ..default_settings()
    };
    let actor = Actor {
        now: Timestamp::now(),
        who: "tests",
        why: "unchecked",
    };
    let new = NewGeneration {
        component: hole(),
        signature: None,
        digest: &policy::digest(hole()),
        name: "hole",
        version: "1",
        settings: &stored(&settings),
        limits: &stored(&allowance),
    };
    let generation = store.add_candidate(new, actor).unwrap();
    let seen = Seen {
        generation: &generation,
        active: active.as_ref(),
    };
    store.put(GenerationState::Active, seen, actor).unwrap();
}

/// The active generation, how often the second one contradicted itself, and how many alerts say so.
fn counted(gate: &Gate) -> (i64, i64, i64) {
    let mut store = gate.store();
    let active = store.active_generation_id().unwrap().unwrap();
    let times = store.contradictions(2).unwrap();
    let told =
        "SELECT count(*) FROM serial_gate_alert WHERE kind = 'contradiction' AND subject = 2";
    let told = gate.program().one(told);
    (active, times.map_or(0, |found| found.times), told)
}

/// What `queue --json` names.
fn contradictions(state: &Value) -> &Value {
    &state["contradictions"]
}

fn one(job: i64) -> Value {
    json!({ "job": job, "decide": "hold", "clause": "claim" })
}
