//! Sentences about the end of tasks, and what the next claim then does.

use serde_json::{Value, json};

use super::{World, is_claimed};
use crate::support::Gate;
use crate::support::engine::Engine;
use crate::support::service::Service;

/// A second task of `alpha` waits behind the first, whose job is claimed.
fn two(world: World) -> Gate {
    let gate = world.gate();
    gate.run(&["claim"]).succeeds();
    gate.program()
        .run("UPDATE jobs SET status = 'done' WHERE task_id = 1");
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate
}

/// The first task is brought to a stage; what was said besides.
fn by_command(gate: &Gate, stage: &str) -> Value {
    let ran = gate.run(&["task", "stage", "1", stage, "--json"]);
    ran.succeeds().json()["note"].clone()
}

fn by_http(gate: &Gate, stage: &str) -> Value {
    let service = Service::on(gate.clone());
    let asked = service.request("PATCH", "/v1/tasks/1");
    let answer = asked.json(&json!({ "stage": stage })).send().is(200);
    answer.json()["note"].clone()
}

#[test]
fn a_stage_that_only_looks_finished_is_told_and_holds_what_it_is_said_to_hold() {
    let not_finished = "is not a finished stage (`done` is)";
    let merged = "is not a finished stage (`merged` is)";
    let cases = [
        (World::On, "Done", not_finished, true),
        (World::On, "done ", not_finished, true),
        (World::On, "doen", not_finished, true),
        (World::On, "cancelled", not_finished, true),
        (World::On, "CLOSED", not_finished, true),
        (World::On, "merged", not_finished, true),
        (World::GateOff, "Done", not_finished, false),
        (World::OutOfScope, "Done", not_finished, false),
        (World::OutOfRules, "Done", not_finished, false),
        (World::OtherStages, "done", merged, true),
        (World::OtherStages, "Merged", merged, true),
    ];
    let cases = cases
        .iter()
        .flat_map(|case| [by_command, by_http].map(|bring| (*case, bring)));
    for ((world, stage, said, holds), bring) in Engine::every(3, cases) {
        let gate = two(world);
        let note = bring(&gate, stage);
        let text = note.as_str().unwrap_or_default();
        assert!(text.contains(said), "{stage} in {world:?}: {note}");
        let promises = text.contains("holds later tasks of `alpha`");
        assert_eq!(promises, holds, "{stage} in {world:?}: {note}");
        assert_eq!(is_claimed(&gate), !holds, "{stage} in {world:?}: {note}");
    }
}

#[test]
fn a_finished_stage_and_one_on_the_way_need_no_word() {
    for (world, stage, claimed) in [
        (World::On, "done", true),
        (World::On, "development", false),
        (World::On, "review", false),
        (World::OtherStages, "merged", true),
        (World::GateOff, "testing", true),
    ] {
        let gate = two(world);
        assert_eq!(
            by_command(&gate, stage),
            Value::Null,
            "{stage} in {world:?}"
        );
        assert_eq!(is_claimed(&gate), claimed, "{stage} in {world:?}");
    }
}

#[test]
fn a_task_that_is_added_in_such_a_stage_is_told_too() {
    for (stage, said, claimed) in [
        (
            "done",
            "`done` is a finished stage: the task holds no later task",
            true,
        ),
        ("Done", "the task holds later tasks of `gamma`", false),
    ] {
        let gate = World::On.gate();
        gate.program().run("DELETE FROM jobs");
        let added = gate
            .run(&["task", "add", "gamma", "--stage", stage])
            .succeeds()
            .stdout;
        assert!(added.contains(said), "{added}");
        gate.run(&["claim"]).succeeds();
        gate.run(&["task", "add", "gamma"]).succeeds();
        assert_eq!(is_claimed(&gate), claimed, "{stage}");

        let service = Service::on(gate);
        let task = json!({"repo": "gamma", "stage": stage});
        let note = service.post("/v1/tasks", &task).is(201).json()["note"].clone();
        assert!(note.as_str().unwrap_or_default().contains(said), "{note}");
    }
}

#[test]
fn the_end_of_a_task_lets_the_next_one_start() {
    for end in [
        &["task", "done", "1"][..],
        &["task", "cancel", "1"],
        &["task", "stage", "1", "done"],
    ] {
        let gate = two(World::On);
        assert!(!is_claimed(&gate));
        gate.run(end).succeeds();
        assert!(is_claimed(&gate), "{end:?}");
    }
}

#[test]
fn the_end_of_a_task_that_had_ended_is_said_to_be_none() {
    let gate = World::On.gate();
    let said = |verb: &str| gate.run(&["task", verb, "1"]).succeeds().stdout;
    assert_eq!(said("done"), "task 1 is done\n");
    assert_eq!(said("done"), "task 1 was done already\n");
    assert_eq!(said("cancel"), "task 1 was done, and is cancelled now\n");
    assert_eq!(said("cancel"), "task 1 was cancelled already\n");
    assert_eq!(said("done"), "task 1 was cancelled, and is done now\n");

    let service = Service::on(gate);
    let done = json!({"stage": "done"});
    let patched = service
        .request("PATCH", "/v1/tasks/1")
        .json(&done)
        .send()
        .is(200);
    assert_eq!(patched.json()["note"], "it was done already");
    let cancelled = service
        .post("/v1/tasks/1/cancel", &json!({}))
        .is(200)
        .json();
    assert_eq!(cancelled["note"], "it was done, and is cancelled now");
    let ended = service
        .post("/v1/tasks/2/cancel", &json!({}))
        .is(200)
        .json();
    assert_eq!(ended["note"], Value::Null);
}

#[test]
fn a_cancelled_task_goes_to_the_stage_that_says_so_if_the_rules_have_one() {
    for (stages, done, cancelled) in [
        (r#"["done"]"#, "done", "done"),
        (r#"["done", "cancelled"]"#, "done", "cancelled"),
        (r#"["canceled", "merged"]"#, "merged", "canceled"),
    ] {
        let gate = World::On.gate();
        let rules = format!(r#"{{"finished_stages":{stages}}}"#);
        gate.run(&["policy", "settings", "--rules", &rules, "--reason", "r"])
            .succeeds();
        for (verb, task, stage) in [("done", "1", done), ("cancel", "2", cancelled)] {
            let ended = gate.run(&["task", verb, task, "--json"]).succeeds().json();
            assert_eq!(ended["stage"], stage, "{stages}");
            let found: String = gate
                .program()
                .one(format!("SELECT stage FROM tasks WHERE id = {task}"));
            assert_eq!(found, stage, "{stages}");
        }
        // A task that is moved there is cancelled.
        let added = gate.run(&["task", "add", "alpha", "--json"]).succeeds();
        let third = added.json()["task_id"].to_string();
        gate.run(&["task", "stage", &third, cancelled]).succeeds();
        let again = gate.run(&["task", "cancel", &third]).succeeds().stdout;
        let is_one = cancelled != done;
        assert_eq!(again.contains("was cancelled already"), is_one, "{again}");
    }
}
