//! The service about itself: its document, its metrics, its events, its headers.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::support::Gate;
use crate::support::service::Service;

#[test]
fn the_document_names_every_operation_once_with_its_answers() {
    let service = Service::start();
    let document = service.get("/openapi.json").is(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut operations: Vec<String> = Vec::new();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["responses"].is_object(), "{method} {path}");
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "two operations are `{name}`");
            operations.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    insta::assert_snapshot!(operations.join("\n"), @"
    GET /
    GET /activity
    GET /dashboard.css
    GET /dashboard.js
    POST /dashboard/freeze
    POST /dashboard/requeue
    POST /dashboard/rollback
    POST /dashboard/unfreeze
    GET /healthz
    POST /hooks/gitea
    POST /hooks/github
    POST /hooks/gitlab
    GET /idiomorph.js
    GET /login
    POST /login
    POST /logout
    GET /metrics
    GET /openapi.json
    GET /policy
    GET /queue
    GET /readyz
    GET /repo
    POST /serial-gate/unfreeze
    GET /tasks/{id}
    GET /v1/audit
    POST /v1/claim
    POST /v1/deploys
    GET /v1/events
    GET /v1/freezes
    POST /v1/freezes
    POST /v1/freezes/{group}/unfreeze
    GET /v1/jobs
    POST /v1/jobs
    GET /v1/jobs/{id}
    GET /v1/jobs/{id}/explain
    POST /v1/jobs/{id}/fail
    POST /v1/jobs/{id}/finish
    POST /v1/jobs/{id}/heartbeat
    POST /v1/jobs/{id}/requeue
    POST /v1/policy/check
    GET /v1/policy/history
    POST /v1/policy/promote
    POST /v1/policy/rollback
    DELETE /v1/policy/shadow
    GET /v1/policy/shadow
    POST /v1/policy/shadow
    POST /v1/policy/swap
    GET /v1/tasks
    POST /v1/tasks
    GET /v1/tasks/{task}
    PATCH /v1/tasks/{task}
    POST /v1/tasks/{task}/cancel
    ");
}

#[test]
fn the_figures_count_claims_and_holds() {
    let gate = Gate::new();
    // Nothing listens there.
    gate.write(
        "serial-gate.toml",
        "[alerts.webhook]\nurl = \"http://127.0.0.1:9\"\nsecret_file = \"secret\"",
    );
    gate.write("secret", "a shared secret");
    let service = Service::on(gate);
    for _ in 0..3 {
        service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    }
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    service.post("/v1/claim", &json!({"worker": "one"})).is(204);
    let freeze = json!({"repo": "alpha", "new": true, "reason": "checkout is down"});
    service.post("/v1/freezes", &freeze).is(200);
    let text = service.get("/metrics").is(200).text;
    for line in [
        "serial_gate_claims_total 1",
        "serial_gate_claims_empty_total 1",
        "serial_gate_generation 1",
        "serial_gate_held_jobs{repo=\"alpha\"} 2",
        "serial_gate_holds{reason=\"earlier_task\"} 2",
        "serial_gate_holds{reason=\"freeze\"} 2",
        "serial_gate_outbox_alerts{state=\"pending\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    for name in [
        "serial_gate_head_seconds{repo=\"alpha\"} ",
        "serial_gate_frozen_seconds{repo=\"alpha\"} ",
        "serial_gate_outbox_oldest_seconds ",
        "serial_gate_policy_call_seconds_total{function=\"claim-clause\"} ",
    ] {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        let value: f64 = found.expect(name).parse().unwrap();
        assert!((0.0..60.0).contains(&value), "{name}{value}");
    }
    // Besides the snapshot of the queue, the clause may have been compared.
    let calls = "serial_gate_policy_calls_total{function=\"decide\"} ";
    let calls = text.lines().find_map(|line| line.strip_prefix(calls));
    assert!((1..=3).contains(&calls.unwrap().parse().unwrap()), "{text}");
    // An invented method adds no line.
    service.request("BREW", "/queue").send().is(405);
    let text = service.get("/metrics").is(200).text;
    assert!(
        text.contains("method=\"other\"") && !text.contains("BREW"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn whoever_follows_the_events_is_told_of_each_change() {
    let service = Service::start();
    let mut stream = TcpStream::connect(&service.address).unwrap();
    write!(stream, "GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut next_event = || lines.find(|line| line == "event: change");
    assert!(next_event().is_some());
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    assert!(next_event().is_some());
    service.gate.run(&["task", "add", "beta"]).succeeds();
    assert!(next_event().is_some());
}

#[test]
fn it_lives_and_is_ready() {
    let service = Service::start();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(service.get(path).is(200).json(), json!({"status": "ok"}));
    }
}

#[test]
fn an_answer_lets_a_browser_load_nothing_from_elsewhere() {
    let service = Service::start();
    let headers = service.get("/nowhere").headers;
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cache-control"], "no-store");
}

#[test]
fn a_text_that_no_command_can_be_given_is_refused_by_the_document_too() {
    let service = Service::start();
    let document = service.get("/openapi.json").is(200).json();
    let schemas = &document["components"]["schemas"];
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    for (path, schema, field) in [
        ("/v1/tasks", "AddTask", "repo"),
        ("/v1/tasks", "AddTask", "work_item"),
        ("/v1/tasks", "AddTask", "stage"),
        ("/v1/tasks", "AddTask", "agent"),
        ("/v1/tasks", "AddTask", "label"),
        ("/v1/jobs", "AddJob", "repo"),
        ("/v1/jobs", "AddJob", "agent"),
    ] {
        let mut body = match path {
            "/v1/tasks" => json!({"repo": "alpha"}),
            _ => json!({"task_id": 1, "agent": "developer"}),
        };
        body[field] = "a\0b".into();
        let detail = service.post(path, &body).is(422).detail();
        assert!(detail.contains("NUL"), "{field}: {detail}");
        let pattern = &schemas[schema]["properties"][field]["pattern"];
        assert_eq!(pattern, r"^[^\x00]*$", "{schema}.{field}");
    }
}

#[test]
fn a_nul_character_in_any_text_is_refused_on_both_engines() {
    let service = Service::start();
    service
        .post("/v1/tasks", &json!({ "repo": "alpha" }))
        .is(201);
    let nul = "a\0b";
    for (method, path, body) in [
        (
            "POST",
            "/v1/deploys",
            json!({ "repo": nul, "verdict": "healthy" }),
        ),
        (
            "POST",
            "/v1/deploys",
            json!({ "repo": nul, "verdict": "degraded" }),
        ),
        (
            "POST",
            "/v1/deploys",
            json!({ "repo": "alpha", "verdict": "healthy", "work_item": nul }),
        ),
        (
            "POST",
            "/v1/deploys",
            json!({ "repo": "alpha", "verdict": "degraded", "detail": nul }),
        ),
        (
            "POST",
            "/v1/deploys",
            json!({ "repo": "alpha", "verdict": "degraded", "deploy": nul }),
        ),
        ("POST", "/v1/freezes", json!({ "repo": nul, "reason": "r" })),
        (
            "POST",
            "/v1/freezes",
            json!({ "repo": "alpha", "reason": nul }),
        ),
        ("POST", "/serial-gate/unfreeze", json!({ "repo": nul })),
        ("POST", "/v1/tasks", json!({ "repo": nul })),
        ("PATCH", "/v1/tasks/1", json!({ "stage": nul })),
        ("PATCH", "/v1/tasks/1", json!({ "label": nul })),
        ("POST", "/v1/jobs", json!({ "task_id": 1, "agent": nul })),
        ("POST", "/v1/claim", json!({ "worker": nul })),
        ("POST", "/v1/claim", json!({ "worker": "w", "agent": nul })),
        (
            "POST",
            "/v1/claim",
            json!({ "worker": "w", "agents": ["a", nul] }),
        ),
        ("GET", "/v1/tasks?repo=a%00b", json!({})),
        ("GET", "/v1/tasks?stage=a%00b", json!({})),
        ("GET", "/v1/jobs?agent=a%00b", json!({})),
        ("GET", "/v1/jobs?task=a%00b", json!({})),
        ("GET", "/v1/freezes?repo=a%00b", json!({})),
        ("GET", "/v1/audit?who=a%00b", json!({})),
        ("GET", "/v1/tasks/a%00b", json!({})),
        ("GET", "/v1/jobs/%00", json!({})),
        ("GET", "/v1/jobs?status=%00", json!({})),
        ("PATCH", "/v1/tasks/a%00b", json!({ "stage": "review" })),
        ("POST", "/v1/policy/check?rules=%00", json!({})),
        ("POST", "/v1/policy/swap?reason=a%00b", json!({})),
        ("POST", "/v1/claim", json!({ "worker": "w", "a\0b": 1 })),
        (
            "POST",
            "/v1/freezes",
            json!({ "repo": "alpha", "reason": "r", "who": nul }),
        ),
        (
            "POST",
            "/v1/freezes",
            json!({ "repo": "alpha", "reason": "r", "work_item": nul }),
        ),
        ("POST", "/v1/freezes/1/unfreeze", json!({ "reason": nul })),
        ("POST", "/v1/tasks/1/cancel", json!({ "reason": nul })),
        ("POST", "/v1/jobs/1/requeue", json!({ "reason": nul })),
        ("POST", "/v1/jobs", json!({ "task": nul, "agent": "a" })),
        (
            "POST",
            "/v1/jobs/1/finish",
            json!({ "token": "sgc_1", "stage": nul }),
        ),
        ("POST", "/v1/jobs/1/heartbeat", json!({ "token": nul })),
        (
            "POST",
            "/v1/jobs/1/fail",
            json!({ "token": nul, "error": nul }),
        ),
        ("POST", "/v1/policy/rollback", json!({ "reason": nul })),
    ] {
        let answer = service.request(method, path).json(&body).send();
        assert_eq!(
            answer.status, 422,
            "{method} {path} {body}: {}",
            answer.text
        );
        assert!(answer.detail().contains("NUL"), "{path} {body}");
    }
    let reason = "its=a%00b&repo=alpha&reason=a%00b";
    let form = service.request("POST", "/dashboard/freeze").body(
        "application/x-www-form-urlencoded",
        reason.as_bytes().to_vec(),
    );
    assert!(form.send().text.contains("NUL"));
    assert!(service.is_ready());
}

/// A backslash before it makes it six letters.
#[test]
fn the_letters_of_the_escape_are_no_nul_character() {
    let service = Service::start();
    let item = r"a\u0000b";
    let task = json!({ "repo": "alpha", "work_item": item });
    service.post("/v1/tasks", &task).is(201);
    let tasks = service.get("/v1/tasks").is(200).json();
    assert_eq!(tasks["tasks"][0]["work_item_id"], item);
}

#[test]
fn what_a_job_printed_may_have_a_nul_character() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let claimed = service.post("/v1/claim", &json!({"worker": "w"})).is(200);
    let end = json!({ "token": claimed.json()["token"], "output": "a\0b" });
    service.post("/v1/jobs/1/finish", &end).is(200);
    let job = service.get("/v1/jobs/1").is(200).json();
    assert_eq!(job["output"]["text"], "a\u{fffd}b");
}

#[test]
fn a_value_of_the_wrong_form_is_refused_with_what_to_send() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let high = "99999999999999999999";
    let mut said = Vec::new();
    for path in [
        "/v1/jobs/x".to_owned(),
        format!("/v1/jobs/{high}"),
        format!("/v1/tasks/{high}"),
        format!("/v1/jobs?task={high}"),
        "/v1/tasks/%ff".into(),
        "/v1/jobs?limit=x".into(),
        "/v1/jobs?limit=-1".into(),
        "/v1/jobs?limit=0".into(),
        "/v1/jobs?before=".into(),
        format!("/v1/jobs?before={high}"),
        "/v1/tasks?unfinished=yes".into(),
        "/v1/freezes?active=".into(),
        "/v1/audit?limit=1.5".into(),
        "/v1/audit?since=monday".into(),
    ] {
        said.push(format!("{path}: {}", service.get(&path).is(422).detail()));
    }
    for body in [
        json!({ "agent": "a", "task": high }),
        json!({ "agent": "a", "task_id": u64::MAX }),
        json!({ "agent": "a", "task_id": 1e30 }),
        json!({ "agent": "a", "task_id": "x" }),
    ] {
        let detail = service.post("/v1/jobs", &body).is(422).detail();
        said.push(format!("{body}: {detail}"));
    }
    let long = json!({ "repo": "a".repeat(70_000) });
    said.push(service.post("/v1/tasks", &long).is(413).detail());
    service.get("/v1/jobs/2").is(404);
    service.get("/v1/jobs/-1").is(404);
    service.get("/v1/tasks/2").is(404);
    insta::assert_snapshot!(said.join("\n"), @r#"
    /v1/jobs/x: `x` is not an id: send a whole number
    /v1/jobs/99999999999999999999: `99999999999999999999` is too high for an id
    /v1/tasks/99999999999999999999: no id is that high; `item:` before it makes it a work item
    /v1/jobs?task=99999999999999999999: no id is that high; `item:` before it makes it a work item
    /v1/tasks/%ff: the path is not UTF-8: send it in UTF-8, percent-encoded
    /v1/jobs?limit=x: limit: `x`: send a whole number
    /v1/jobs?limit=-1: limit: `-1`: send a whole number
    /v1/jobs?limit=0: `limit` is a number from 1 to 1000
    /v1/jobs?before=: before: ``: send a whole number
    /v1/jobs?before=99999999999999999999: before: `99999999999999999999`: this number is too high
    /v1/tasks?unfinished=yes: unfinished: `yes`: send `true` or `false`
    /v1/freezes?active=: active: ``: send `true` or `false`
    /v1/audit?limit=1.5: limit: `1.5`: send a whole number
    /v1/audit?since=monday: since: write a time such as `2026-11-28T06:00:00Z`
    {"agent":"a","task":"99999999999999999999"}: no id is that high; `item:` before it makes it a work item
    {"agent":"a","task_id":18446744073709551615}: task_id: `18446744073709551615` is too high at line 1 column 43
    {"agent":"a","task_id":1e+30}: task_id: invalid value: floating point `1e+30`, expected a whole number at line 1 column 28
    {"agent":"a","task_id":"x"}: task_id: invalid type: string "x", expected a whole number at line 1 column 26
    the body is longer than 64 KiB
    "#);
}
