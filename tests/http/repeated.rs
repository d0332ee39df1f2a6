//! Requests with an `Idempotency-Key`: repeating one adds nothing.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use serial_gate::store::sql_time;

use crate::support::look::count;
use crate::support::service::access_token;
use crate::support::service::{Answer, Service};

fn post(service: &Service, path: &str, key: &str, body: &str) -> Answer {
    let asked = service.request("POST", path).header("idempotency-key", key);
    asked
        .body("application/json", body.as_bytes().to_vec())
        .send()
}

const TASK: &str = r#"{"repo": "alpha", "work_item": "ORCH-1"}"#;

#[test]
fn a_task_that_is_sent_again_is_added_once() {
    let service = Service::start();
    let first = post(&service, "/v1/tasks", "k-1", TASK).is(201);
    // The same values in another notation.
    let again = r#"{"stage":null,"work_item":"ORCH-1","label":null,"repo":"alpha"}"#;
    for body in [TASK, again] {
        assert_eq!(
            post(&service, "/v1/tasks", "k-1", body).is(201).text,
            first.text
        );
    }
    assert_eq!(
        [count(&service.gate, "tasks"), count(&service.gate, "jobs")],
        [1, 1]
    );
    post(&service, "/v1/tasks", "k-2", TASK).is(201);
    assert_eq!(count(&service.gate, "tasks"), 2);
}

#[test]
fn a_job_that_is_sent_again_is_added_once() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let [first, again] = [
        r#"{"task_id": 1, "agent": "developer"}"#,
        r#"{"agent":"developer","task_id":1.0}"#,
    ]
    .map(|body| post(&service, "/v1/jobs", "k-1", body).is(201).text);
    assert_eq!(first, again);
    assert_eq!(count(&service.gate, "jobs"), 2);
}

#[test]
fn a_key_is_for_one_request() {
    let service = Service::start();
    post(&service, "/v1/tasks", "k-1", TASK).is(201);
    let other = post(&service, "/v1/tasks", "k-1", r#"{"repo": "beta"}"#).is(422);
    assert_eq!(
        other.detail(),
        "the `Idempotency-Key` `k-1` came with another request within the last 24 h, and nothing was changed: give each request a new key, and repeat a request unchanged"
    );
    post(
        &service,
        "/v1/jobs",
        "k-1",
        r#"{"task_id": 1, "agent": "developer"}"#,
    )
    .is(422);
    assert_eq!(
        [count(&service.gate, "tasks"), count(&service.gate, "jobs")],
        [1, 1]
    );
}

#[test]
fn the_same_key_of_two_callers_is_two_keys() {
    let service = Service::start();
    let tokens = ["kim", "lou"].map(|name| access_token(&service.gate, name, "worker"));
    let tasks: Vec<Value> = [&tokens[0], &tokens[1], &tokens[0]]
        .map(|token| {
            let asked = service
                .request("POST", "/v1/tasks")
                .header("idempotency-key", "k-1");
            asked
                .token(token)
                .json(&json!({"repo": "alpha"}))
                .send()
                .is(201)
                .json()
        })
        .into();
    assert_eq!(tasks[0], tasks[2]);
    assert_ne!(tasks[0], tasks[1]);
}

#[test]
fn a_request_that_was_refused_may_be_tried_again() {
    let service = Service::start();
    let job = r#"{"task_id": 1, "agent": "developer"}"#;
    post(&service, "/v1/jobs", "k-1", job).is(404);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    post(&service, "/v1/jobs", "k-1", job).is(201);
}

#[test]
fn of_many_at_once_at_two_services_one_adds_the_task() {
    let one = Service::start();
    let other = Service::on(one.gate.clone());
    let answers: Vec<String> = std::thread::scope(|scope| {
        let asking: Vec<_> = [&one, &other, &one, &other, &one, &other]
            .map(|service| scope.spawn(|| post(service, "/v1/tasks", "k-1", TASK).is(201).text))
            .into();
        asking
            .into_iter()
            .map(|asked| asked.join().unwrap())
            .collect()
    });
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    assert_eq!(count(&one.gate, "tasks"), 1);
}

#[test]
fn the_answer_survives_a_kill() {
    let mut service = Service::start();
    let first = post(&service, "/v1/tasks", "k-1", TASK).is(201);
    service.kill_and_start_again();
    assert_eq!(
        post(&service, "/v1/tasks", "k-1", TASK).is(201).text,
        first.text
    );
}

#[test]
fn a_key_is_forgotten_after_a_day_and_when_its_time_cannot_be() {
    let service = Service::start();
    for (minutes, tasks) in [(-23 * 60, 1), (-25 * 60, 2), (10, 2), (25 * 60, 3)] {
        post(&service, "/v1/tasks", "k-1", TASK).is(201);
        let at = sql_time(Timestamp::now() + SignedDuration::from_mins(minutes));
        let program = service.gate.program();
        program.run(format!("UPDATE serial_gate_idempotency SET at = '{at}'"));
        post(&service, "/v1/tasks", "k-1", TASK).is(201);
        assert_eq!(count(&service.gate, "tasks"), tasks, "{minutes}");
        assert_eq!(
            count(&service.gate, "serial_gate_idempotency"),
            1,
            "{minutes}"
        );
    }
}

#[test]
fn what_is_not_a_key_is_refused() {
    let service = Service::start();
    let longest = "k".repeat(255);
    let too_long = "k".repeat(256);
    for key in ["", &too_long, "k\t1", "kä"] {
        let refused = post(&service, "/v1/tasks", key, TASK).is(422);
        assert!(
            refused.detail().contains("1 to 255 printable ASCII"),
            "{key}"
        );
    }
    let twice = service
        .request("POST", "/v1/tasks")
        .header("idempotency-key", "a");
    twice
        .header("idempotency-key", "b")
        .json(&json!({"repo": "alpha"}))
        .send()
        .is(422);
    assert_eq!(count(&service.gate, "tasks"), 0);
    post(&service, "/v1/tasks", &longest, TASK).is(201);
    post(&service, "/v1/tasks", "\"a key\" of ~ {signs}", TASK).is(201);
}

#[test]
fn the_document_tells_of_the_key() {
    let service = Service::start();
    let document = service.get("/openapi.json").json();
    for path in ["/v1/tasks", "/v1/jobs"] {
        let parameter = &document["paths"][path]["post"]["parameters"][0];
        assert_eq!(
            [&parameter["name"], &parameter["in"], &parameter["required"]],
            [&json!("Idempotency-Key"), &json!("header"), &json!(false)]
        );
        assert_eq!(parameter["schema"]["maxLength"], 255);
    }
}
