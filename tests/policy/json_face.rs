//! The contract in JSON, composed with a policy: it answers as the policy does, imports nothing, and
//! refuses what it cannot read by its name.

use std::fs;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use serial_gate::clause::Footprint;
use serial_gate::gate::{Rule, default_settings};
use serial_gate::model::{Decision, INTERFACE, Settings, Snapshot, Verdict};
use serial_gate::policy::{Allowance, DEFAULT_POLICY, JSON_FACE, Runtime};
use wasm_encoder::{ComponentBuilder, ComponentExportKind};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use crate::support::fixtures;
use crate::support::random_states::{for_random_states_of, settings};

mod bindings {
    wasmtime::component::bindgen!({ inline: "
        package tests:composed;
        world composed { export serial-gate:policy/json-face@0.4.0; }
    ", path: "wit", world: "tests:composed/composed" });
}

const FACE: &str = "serial-gate:policy/json-face@0.4.0";

/// What a composer makes of the two.
fn composed(policy: &[u8]) -> Vec<u8> {
    let mut whole = ComponentBuilder::default();
    let policy = whole.component_raw(None, policy);
    let policy = whole.instantiate(None, policy, std::iter::empty::<(&str, _, u32)>());
    let rule = whole.alias_export(policy, INTERFACE, ComponentExportKind::Instance);
    let face = whole.component_raw(None, JSON_FACE);
    let face = whole.instantiate(
        None,
        face,
        [(INTERFACE, ComponentExportKind::Instance, rule)],
    );
    let face = whole.alias_export(face, FACE, ComponentExportKind::Instance);
    whole.export(FACE, ComponentExportKind::Instance, face, None);
    whole.finish()
}

struct Face {
    engine: Engine,
    component: Component,
}

impl Face {
    fn new() -> Face {
        let engine = Engine::default();
        let component = Component::new(&engine, composed(DEFAULT_POLICY)).unwrap();
        Face { engine, component }
    }

    fn call<T>(
        &self,
        call: impl FnOnce(
            &bindings::exports::serial_gate::policy::json_face::Guest,
            &mut Store<()>,
        ) -> wasmtime::Result<T>,
    ) -> T {
        let mut store = Store::new(&self.engine, ());
        let linker = Linker::new(&self.engine);
        let world = bindings::Composed::instantiate(&mut store, &self.component, &linker).unwrap();
        call(world.serial_gate_policy_json_face(), &mut store).unwrap()
    }

    fn decide(&self, request: &Value) -> Result<Value, String> {
        let request = request.to_string();
        let answer = self.call(|face, store| face.call_decide_json(store, &request));
        answer.map(|answer| serde_json::from_str(&answer).unwrap())
    }

    fn claim_clause(&self, request: &Value) -> Result<Value, String> {
        let request = request.to_string();
        let answer = self.call(|face, store| face.call_claim_clause_json(store, &request));
        answer.map(|answer| serde_json::from_str(&answer).unwrap())
    }
}

fn settings_in_json(settings: &Settings) -> Value {
    let rules = settings.rules.as_deref();
    json!({
        "enabled": settings.enabled, "repos": settings.repos,
        "freeze_enabled": settings.freeze_enabled,
        "rules": rules.map(|rules| serde_json::from_str::<Value>(rules).unwrap()),
    })
}

/// The rows of a snapshot, the last first.
fn request(settings: &Settings, state: &Snapshot) -> Value {
    let text = |symbol: u32| json!(state.symbols.text(symbol));
    let id = |id: i64| json!(id.to_string());
    let Snapshot {
        tasks,
        jobs,
        freezes,
        ..
    } = state;
    let task = |row: usize| {
        json!({
            "id": id(tasks.id[row]), "work_item_id": text(tasks.work_item[row]),
            "repo": text(tasks.repo[row]), "stage": text(tasks.stage[row]),
            "gate_label": text(tasks.label[row]),
        })
    };
    let job = |row: usize| {
        let number = jobs.task_id[row];
        let task_id = match jobs.task_id_kind[row] {
            0 => Value::Null,
            1 => id(number),
            2 if number == i64::MIN => json!("-1e30"),
            2 => json!((number as f64 - 0.5).to_string()),
            _ => json!("no number"),
        };
        json!({
            "id": id(jobs.id[row]), "task_id": task_id, "repo": text(jobs.repo[row]),
            "agent": text(jobs.agent[row]), "status": text(jobs.status[row]),
        })
    };
    let freeze = |row: usize| {
        json!({
            "id": id(freezes.id[row]), "repo": text(freezes.repo[row]),
            "frozen_at": text(freezes.frozen_at[row]), "cleared_at": text(freezes.cleared_at[row]),
            "reason": text(freezes.reason[row]), "work_item_id": text(freezes.work_item[row]),
        })
    };
    json!({
        "settings": settings_in_json(settings), "now": 0,
        "tasks": (0..tasks.id.len()).rev().map(task).collect::<Vec<_>>(),
        "jobs": (0..jobs.id.len()).rev().map(job).collect::<Vec<_>>(),
        "freezes": (0..freezes.id.len()).rev().map(freeze).collect::<Vec<_>>(),
    })
}

fn in_json(decisions: &[Decision]) -> Value {
    let text = |id: Option<i64>| id.map(|id| id.to_string());
    let one = |decision: &Decision| {
        let verdict = match &decision.verdict {
            Verdict::Claim => json!("claim"),
            Verdict::Hold(hold) => json!({"hold": {
                "earlier_task": text(hold.earlier_task), "freeze_row": text(hold.freeze),
                "rule": hold.rule,
            }}),
        };
        json!({ "job": decision.job.to_string(), "verdict": verdict })
    };
    json!({ "decisions": decisions.iter().map(one).collect::<Vec<_>>() })
}

/// A request that is answered.
fn one_job() -> Value {
    json!({
        "settings": {"enabled": true, "repos": "", "freeze_enabled": true}, "now": 0,
        "tasks": [{"id": "1", "work_item_id": null, "repo": "a", "stage": "review",
            "gate_label": null}],
        "jobs": [{"id": "9007199254740993", "task_id": "2", "repo": "a", "agent": "analyst",
            "status": "queued"}],
        "freezes": [{"id": "3", "repo": "a", "frozen_at": null, "cleared_at": null,
            "reason": null, "work_item_id": null}],
    })
}

/// The error of that request with a value put into it.
fn refused(pointer: &str, value: Value) -> String {
    let mut request = one_job();
    *request.pointer_mut(pointer).unwrap() = value;
    Face::new().decide(&request).unwrap_err()
}

#[test]
fn composed_with_a_policy_it_imports_nothing() {
    let face = Face::new();
    let ty = face.component.component_type();
    assert_eq!(ty.imports(&face.engine).count(), 0);
    println!(
        "{} bytes, {} alone",
        composed(DEFAULT_POLICY).len(),
        JSON_FACE.len()
    );
}

#[test]
fn it_decides_as_the_policy_does_in_random_states_reasons_included() {
    let face = Face::new();
    let policy = Runtime::new().unwrap();
    let policy = policy.load(DEFAULT_POLICY, Allowance::default()).unwrap();
    let rule = Rule::built_in(default_settings());
    for_random_states_of(rule, settings(), 500, |queue, _, settings| {
        let all = Footprint::of_every_clause();
        let state = queue.store().snapshot(&all, None).unwrap();
        let decided = policy
            .decide(settings, Timestamp::UNIX_EPOCH, &state)
            .unwrap();
        let answer = face.decide(&request(settings, &state));
        prop_assert_eq!(answer.unwrap(), in_json(&decided));
        Ok(())
    });
}

#[test]
fn every_case_of_the_reference_has_its_clause() {
    let face = Face::new();
    for file in ["edge.jsonl", "random.jsonl"] {
        for line in fs::read_to_string(fixtures(file)).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let mut settings = line["case"]["settings"].clone();
            // The reference reads null as an empty scope. The contract has texts only.
            if settings["repos"].is_null() {
                settings["repos"] = json!("");
            }
            let request = json!({ "settings": settings, "now": 0, "dialect": "sqlite" });
            let clause = face.claim_clause(&request).unwrap();
            assert_eq!(clause["text"], line["expected"]["clause"], "{settings}");
        }
    }
}

#[test]
fn an_id_keeps_all_its_digits() {
    let answer = Face::new().decide(&one_job()).unwrap();
    assert_eq!(
        answer,
        json!({"decisions": [{"job": "9007199254740993", "verdict": {"hold": {
            "earlier_task": "1", "freeze_row": "3", "rule": null}}}]})
    );
}

#[test]
fn it_says_who_the_policy_is() {
    let said = Face::new().call(|face, store| face.call_describe_json(store));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["name"], "serial");
}

#[test]
fn what_it_cannot_read_is_refused_with_what_to_write() {
    let row = json!([["1", null, "a", "review", null]]);
    let task = |id: Value| json!([{"id": id, "work_item_id": null, "repo": "a", "stage": null, "gate_label": null}]);
    let twice = json!([task(json!("1"))[0], task(json!("1"))[0]]);
    let errors = [
        refused("/tasks", task(json!(1))),
        refused("/tasks", task(json!("one"))),
        refused("/tasks", task(json!(null))),
        refused("/tasks", twice),
        refused("/tasks", row),
        refused("/tasks/0/repo", json!(5)),
        refused(
            "/tasks/0",
            json!({"id": "1", "work_item_id": null, "stage": "a"}),
        ),
        refused("/jobs/0/task_id", json!(2)),
        refused(
            "/settings",
            json!({"enabled": true, "repos": "", "freezeEnabled": true}),
        ),
        refused("/settings", json!({"enabled": true, "repos": ""})),
        refused("/settings/enabled", json!(null)),
        refused("/now", json!("2026-01-31")),
        refused("", json!([])),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r#"
    invalid-request: invalid type: integer `1`, expected an id as a text, such as "42" at line 1 column 303
    invalid-request: "one" is not an id as a text, such as "42" at line 1 column 307
    invalid-request: null is not an id as a text, such as "42" at line 1 column 306
    invalid-request: two rows of `tasks` have the id "1": give each row once
    invalid-request: invalid type: sequence, expected an object at line 1 column 278
    invalid-request: invalid type: integer `5`, expected a text or null at line 1 column 314
    invalid-request: missing field `repo` at line 1 column 320
    invalid-request: invalid type: integer `2`, expected the id of a task as a text, such as "42", or null at line 1 column 195
    invalid-request: unknown field `freezeEnabled`, expected one of `enabled`, `repos`, `freeze_enabled`, `rules` at line 1 column 250
    invalid-request: missing field `freeze_enabled` at line 1 column 246
    invalid-request: invalid type: null, expected a boolean at line 1 column 234
    invalid-request: invalid type: string "2026-01-31", expected i64 at line 1 column 218
    invalid-request: invalid type: sequence, expected an object at line 1 column 0
    "#);
}

#[test]
fn the_policy_s_own_errors_are_named() {
    let mut request = one_job();
    request["settings"]["rules"] = json!({"gated": []});
    let error = Face::new().decide(&request).unwrap_err();
    assert!(
        error.starts_with("invalid-rules: unknown field `gated`"),
        "{error}"
    );
    request["settings"]["rules"] = json!([]);
    let error = Face::new().decide(&request).unwrap_err();
    assert!(error.starts_with("invalid-rules: "), "{error}");
}
