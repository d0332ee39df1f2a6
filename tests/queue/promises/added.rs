//! What is said of a job that is added to a frozen repo, and what the next claim then does.

use serde_json::{Value, json};

use super::{World, is_claimed};
use crate::support::Gate;
use crate::support::service::Service;

fn frozen(world: World) -> Gate {
    let gate = world.gate();
    gate.run(&["freeze", "alpha", "--reason", "r"]).succeeds();
    gate
}

fn by_command(gate: &Gate, agent: &str, label: Option<&str>) -> Value {
    let label = label.map(|label| ["--label", label]);
    let mut arguments = vec!["task", "add", "alpha", "--agent", agent, "--json"];
    arguments.extend(label.iter().flatten());
    gate.run(&arguments).succeeds().json()["note"].clone()
}

fn by_http(gate: &Gate, agent: &str, label: Option<&str>) -> Value {
    let task = json!({"repo": "alpha", "agent": agent, "label": label});
    let answer = Service::on(gate.clone()).post("/v1/tasks", &task).is(201);
    answer.json()["note"].clone()
}

#[test]
fn a_task_that_the_freeze_of_its_repo_does_not_hold_is_told() {
    for (world, agent, label, starts) in [
        (World::On, "analyst", None, false),
        (World::On, "planner", None, true),
        (World::On, "", None, true),
        (World::GateOff, "analyst", None, true),
        (World::OutOfScope, "analyst", None, true),
        (World::OtherAgents, "planner", None, false),
        (World::HotfixLane, "analyst", None, false),
        (World::HotfixLane, "analyst", Some("hotfix"), true),
    ] {
        for add in [by_command, by_http] {
            let gate = world.gate();
            gate.program().run("DELETE FROM jobs");
            gate.program().run("DELETE FROM tasks WHERE repo = 'alpha'");
            gate.run(&["freeze", "alpha", "--new", "--reason", "r"])
                .succeeds();
            if agent.is_empty() {
                // Another program may write one without a name.
                gate.run(&["task", "add", "alpha"]).succeeds();
                gate.program().run("UPDATE jobs SET agent = ''");
                let said = gate
                    .run(&["freeze", "alpha", "--reason", "r"])
                    .succeeds()
                    .stdout;
                assert!(
                    said.contains("tasks that begin with `` start all the same"),
                    "{said}"
                );
                continue;
            }
            let note = add(&gate, agent, label);
            let text = note.as_str().unwrap_or_default();
            assert_eq!(
                text.contains("`alpha` is frozen, but"),
                starts,
                "{agent} {label:?} in {world:?}: {note}"
            );
            assert_eq!(is_claimed(&gate), starts, "{agent} {label:?} in {world:?}");
        }
    }
}

#[test]
fn a_job_that_the_freeze_of_its_repo_does_not_hold_is_told() {
    let gate = frozen(World::On);
    let added = gate
        .run(&["job", "add", "1", "developer"])
        .succeeds()
        .stdout;
    assert!(
        added.contains("`alpha` is frozen, but this job of `developer` is not held by that"),
        "{added}"
    );
    let held = gate
        .run(&["job", "add", "1", "analyst", "--json"])
        .succeeds();
    assert_eq!(held.json()["note"], Value::Null);
    let service = Service::on(gate.clone());
    let job = json!({"task_id": 1, "agent": "developer"});
    let note = service.post("/v1/jobs", &job).is(201).json()["note"].clone();
    assert!(
        note.as_str().unwrap_or_default().contains("`developer`"),
        "{note}"
    );
    let open = json!({"task_id": 2, "agent": "developer"});
    assert_eq!(
        service.post("/v1/jobs", &open).is(201).json()["note"],
        Value::Null
    );
    assert!(is_claimed(&gate));
}

#[test]
fn a_freeze_tells_when_it_has_not_looked_at_all_jobs() {
    let gate = World::On.gate();
    gate.run(&["claim"]).succeeds();
    // None of these is the first of its task, and the last one, which is, is not looked at.
    gate.program()
        .run("WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 200)
             INSERT INTO jobs (task_id, repo, agent, status) SELECT 1, 'alpha', 'planner', 'queued' FROM many;
             INSERT INTO tasks (id, repo, stage) VALUES (9, 'alpha', 'analysis');
             INSERT INTO jobs (task_id, repo, agent, status) VALUES (9, 'alpha', 'planner', 'queued');");
    let said = gate
        .run(&["freeze", "alpha", "--reason", "r"])
        .succeeds()
        .stdout;
    assert!(
        said.contains("no task of it starts, as far as was looked"),
        "{said}"
    );
}

#[test]
fn a_job_that_may_be_claimed_before_its_task_begins_is_told() {
    let early = "task 1 has not begun, and the gate does not hold this job of `developer`: it may \
                 be claimed before the first job";
    for (world, agent, said) in [
        (World::On, "developer", true),
        (World::On, "analyst", false),
        (World::GateOff, "developer", false),
    ] {
        let gate = world.gate();
        gate.run(&["job", "add", "1", agent]).succeeds();
        let note = gate
            .run(&["job", "add", "1", agent, "--json"])
            .succeeds()
            .json()["note"]
            .clone();
        assert_eq!(note == early, said, "{world:?} {agent}: {note}");
    }
    let gate = World::On.gate();
    gate.run(&["claim"]).succeeds();
    let added = gate.run(&["job", "add", "1", "developer"]).succeeds();
    let newest: i64 = gate.program().one("SELECT max(id) FROM jobs");
    let told = format!("job {newest} for `developer` added to task 1\n");
    assert_eq!(added.stdout, told);
}

#[test]
fn the_first_job_of_an_agent_whose_name_is_nearly_another_one_is_told() {
    let gate = Gate::new();
    for add in [by_command, by_http] {
        // The agent that the gate holds, and one that has a job.
        for (agent, near) in [("analist", "analyst"), ("develper", "developer")] {
            assert_eq!(add(&gate, "developer", None), Value::Null);
            let expected = format!("no other job is for `{agent}`: did you mean `{near}`?");
            assert_eq!(add(&gate, agent, None), json!(expected));
            // Twice is meant.
            assert_eq!(add(&gate, agent, None), Value::Null);
            gate.program().run("DELETE FROM jobs");
        }
    }
    assert_eq!(by_command(&gate, "analyst", None), Value::Null);
    assert_eq!(by_command(&gate, "tester", None), Value::Null);
}

#[test]
fn the_first_task_of_a_repo_whose_name_is_nearly_another_one_is_told() {
    let gate = Gate::new();
    let service = Service::on(gate.clone());
    let by_command = |repo: &str| -> Value {
        let added = gate.run(&["task", "add", repo, "--json"]).succeeds();
        added.json()["note"].clone()
    };
    let by_http = |repo: &str| -> Value {
        let added = service.post("/v1/tasks", &json!({ "repo": repo }));
        added.json()["note"].clone()
    };
    for add in [&by_command as &dyn Fn(&str) -> Value, &by_http] {
        assert_eq!(add("alpha"), Value::Null);
        let told = json!("no other task is of `alhpa`: did you mean `alpha`?");
        assert_eq!(add("alhpa"), told);
        // Twice is meant.
        assert_eq!(add("alhpa"), Value::Null);
        assert_eq!(add("beta"), Value::Null);
        gate.program().run("DELETE FROM jobs; DELETE FROM tasks");
    }
}
