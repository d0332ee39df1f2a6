//! A task's way through the pipeline, by the service.

use serde_json::{Value, json};

use crate::support::Gate;
use crate::support::service::Service;

/// A service with a pipeline, and task 1 in its first stage.
fn service() -> Service {
    let gate = Gate::new();
    let set = ["pipeline", "set", "plan=planner", "work=developer"];
    gate.run(&[&set[..], &["--attempts", "2"]].concat())
        .succeeds();
    let service = Service::on(gate);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    service
}

fn claim(service: &Service, agent: &str) -> Value {
    let claim = json!({"worker": "w", "agent": agent});
    let claimed = service.post("/v1/claim", &claim).is(200).json();
    claimed["token"].clone()
}

#[test]
fn a_finish_says_where_the_task_went_and_again_the_same() {
    let service = service();
    let finish = json!({"token": claim(&service, "planner")});
    let moved = json!({"job_id": 1, "status": "done", "lease_until": null, "task_id": 1,
        "stage": "work", "next_job": {"id": 2, "agent": "developer"}});
    for _ in 0..2 {
        let answer = service.post("/v1/jobs/1/finish", &finish);
        assert_eq!(answer.is(200).json(), moved);
    }
    let token = claim(&service, "developer");
    let back = json!({"token": token, "stage": "plan"});
    let answer = service.post("/v1/jobs/2/finish", &back).is(200).json();
    assert_eq!(answer["next_job"], json!({"id": 3, "agent": "planner"}));
    let other = json!({"token": token, "stage": "work"});
    service.post("/v1/jobs/2/finish", &other).is(409);
    let token = claim(&service, "planner");
    let looks_over = json!({"token": token, "stage": "Done"});
    let answer = service.post("/v1/jobs/3/finish", &looks_over);
    let answer = answer.is(200).json();
    assert_eq!(answer["stage"], "Done");
    let note = answer["note"].as_str().unwrap();
    assert!(note.contains("is not a finished stage"), "{note}");
}

#[test]
fn a_failed_attempt_is_put_off_and_the_next_one_counts() {
    let service = service();
    let token = claim(&service, "planner");
    for wrong in [0, 101] {
        let fail = json!({"token": token, "attempts": wrong});
        service.post("/v1/jobs/1/fail", &fail).is(422);
    }
    let fail = json!({"token": token, "error": "red"});
    let first = service.post("/v1/jobs/1/fail", &fail).is(200).json();
    assert_eq!(first["status"], "put_off");
    assert!(first["lease_until"].is_string(), "{first}");
    assert_eq!(service.post("/v1/jobs/1/fail", &fail).is(200).json(), first);
    let queue = service.get("/queue").is(200).json();
    let work = &queue["serial_gate"]["per_repo"]["alpha"]["active_task"]["work"];
    assert_eq!(work["state"], "put_off");
    assert_eq!(work["error"], "attempt 1 of 2 failed: red");
    let delay_over = "UPDATE jobs SET gate_lease_until = '2000-01-01 00:00:00'";
    service.gate.program().run(delay_over);
    let token = claim(&service, "planner");
    let fail = json!({"token": token, "error": "red", "attempts": 1});
    let last = service.post("/v1/jobs/1/fail", &fail).is(200).json();
    assert_eq!(
        last,
        json!({"job_id": 1, "status": "failed", "lease_until": null})
    );
}
