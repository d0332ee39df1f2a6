//! The service is killed in the middle of a webhook, and of the end of a job whose task was merged,
//! at each statement that writes: nothing of it is there, and the same again has its effect.

use std::io::Write;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::support::engine::Does;
use crate::support::look::{count, status, until};

/// What a webhook writes that ends a task, and what the end of its last job writes then.
const WRITES: [(&str, &str); 6] = [
    ("INSERT", "serial_gate_hook"),
    ("INSERT", "serial_gate_pull"),
    ("UPDATE", "jobs"),
    ("UPDATE", "tasks"),
    ("DELETE", "serial_gate_pull"),
    ("INSERT", "serial_gate_audit"),
];

/// Goes on until the process is killed.
const FOR_EVER: &str = "INSERT INTO reached SELECT 1;
    INSERT INTO reached SELECT max(i) FROM (
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT (i + 1) % 1000 FROM n WHERE i < 1000)
        SELECT i FROM n) AS endless";

/// Sends a request and kills the service while a statement of it runs.
fn kill_in(
    service: &mut Service,
    (event, table): (&str, &str),
    path: &str,
    headers: &str,
    body: &[u8],
) {
    let program = service.gate.program();
    let event = format!("AFTER {event} ON {table}");
    program.trigger("held_up", &event, None, &Does::Run(FOR_EVER));
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         {headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = service.connect();
    let request = [head.as_bytes(), body].concat();
    connection.write_all(&request).unwrap();
    until("it is held up", || {
        program.is_changed_by_another() && {
            thread::sleep(Duration::from_millis(200));
            program.is_changed_by_another()
        }
    });
    service.kill_and_start_again();
    program.stop_others();
    program.drop_trigger("held_up");
    until("it is ready", || service.is_ready());
}

#[test]
fn killed_at_any_statement_of_a_webhook_the_task_is_in_one_stage() {
    let gate = gate();
    gate.program().run("CREATE TABLE reached (step BIGINT)");
    let mut service = Service::on(gate);
    for (n, write) in WRITES.into_iter().enumerate() {
        let branch = format!("task/A-{n}");
        let task = finished(&service.gate, "alpha", &branch);
        // A queued job ends with the task.
        let added = service.post("/v1/jobs", &json!({"task_id": task, "agent": "reviewer"}));
        let job = added.is(201).json()["job_id"].as_i64().unwrap();
        let body = changed(PULL, &[("/pull_request/head/ref", json!(branch))]);
        let bytes = body.to_string().into_bytes();
        let signature = hmac(SECRET, &bytes);
        let headers = format!(
            "X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: d-{n}\r\n\
             X-Hub-Signature-256: sha256={signature}\r\n"
        );
        let before = counts(&service.gate);
        kill_in(&mut service, write, "/hooks/github", &headers, &bytes);
        assert_eq!(counts(&service.gate), before, "{write:?}");
        assert_eq!(stage(&service.gate, task), "analysis", "{write:?}");
        assert_eq!(status(&service.gate, job), "queued", "{write:?}");
        let id = format!("d-{n}");
        let again = Sent {
            id: Some(&id),
            ..Sent::github(&service, "pull_request", &body)
        };
        let ended = format!("200 ended: task {task} (A-{n}) is done: its branch was merged");
        assert_eq!(again.said(), ended, "{write:?}");
        assert_eq!(stage(&service.gate, task), "done");
        assert_eq!(status(&service.gate, job), "cancelled", "{write:?}");
    }
}

#[test]
fn killed_at_any_statement_of_the_end_of_a_merged_task_s_job_the_job_still_runs() {
    let gate = gate();
    gate.program().run("CREATE TABLE reached (step BIGINT)");
    let mut service = Service::on(gate);
    for (n, write) in WRITES.into_iter().enumerate().skip(2) {
        let branch = format!("task/A-{n}");
        let claimed = running(&service.gate, "alpha", &branch);
        let task = claimed.task_id.unwrap();
        let body = changed(PULL, &[("/pull_request/head/ref", json!(branch))]);
        Sent::github(&service, "pull_request", &body).send().is(200);
        let finish = format!("/v1/jobs/{}/finish", claimed.id);
        let token = json!({"token": claimed.token});
        let before = counts(&service.gate);
        let body = token.to_string();
        kill_in(&mut service, write, &finish, "", body.as_bytes());
        assert_eq!(counts(&service.gate), before, "{write:?}");
        assert_eq!(stage(&service.gate, task), "analysis", "{write:?}");
        assert_eq!(status(&service.gate, claimed.id), "running", "{write:?}");
        service.post(&finish, &token).is(200);
        assert_eq!(stage(&service.gate, task), "done", "{write:?}");
        assert_eq!(status(&service.gate, claimed.id), "done", "{write:?}");
    }
}

fn counts(gate: &Gate) -> [i64; 3] {
    ["serial_gate_hook", "serial_gate_pull", "serial_gate_audit"].map(|table| count(gate, table))
}
