//! What a refusal says about the next request: it names routes and fields, and reads as one text.

use serde_json::{Value, json};

use crate::support::service::{Answer, Service};

fn patch(service: &Service, body: &Value) -> Answer {
    service.request("PATCH", "/v1/tasks/1").json(body).send()
}

#[test]
fn advice_begins_a_sentence_after_a_question_and_continues_any_other_text() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let freeze = |repo: &str| {
        let asked = json!({"repo": repo, "reason": "checkout is down"});
        service.post("/v1/freezes", &asked).is(404).detail()
    };
    insta::assert_snapshot!(freeze("alhpa"), @r#"no task of `alhpa` is known, so nothing was frozen: did you mean `alpha`? If the repo is new, send `"new": true`"#);
    insta::assert_snapshot!(freeze("zzz"), @r#"no task of `zzz` is known, so nothing was frozen: if the repo is new, send `"new": true`"#);
    let nowhere = service.get("/v1/jobs/99/explain").is(404).detail();
    insta::assert_snapshot!(nowhere, @"there is no job 99: `GET /v1/jobs` lists them");
}

#[test]
fn a_task_with_a_running_job_is_refused_with_the_fields_that_end_it() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let claim = json!({"worker": "one"});
    let token = service.post("/v1/claim", &claim).is(200).json()["token"].clone();
    let runs = patch(&service, &json!({"stage": "done"})).is(409).detail();
    insta::assert_snapshot!(runs, @r#"task 1 cannot end while its job 1 is running on worker `one`: wait for it, or cancel it: send `"force": true` and a `reason`, or, as its worker, its `token`"#);
    let why = json!({"stage": "done", "force": true});
    let without = patch(&service, &why).is(422).detail();
    insta::assert_snapshot!(without, @"a task is ended by force only with a reason: say why in `reason`");
    let cancel = service.post("/v1/tasks/1/cancel", &json!({"force": true}));
    assert_eq!(cancel.is(422).detail(), without);
    patch(&service, &json!({"stage": "done", "token": token})).is(200);
}

#[test]
fn the_page_names_no_route_and_no_field() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let form = "application/x-www-form-urlencoded";
    let post = |path: &str, fields: &str| {
        let asked = service.request("POST", path);
        asked.body(form, fields.as_bytes().to_vec()).send()
    };
    let unknown = post("/dashboard/freeze", "repo=alhpa&reason=down").is(404);
    assert!(unknown.text.contains("alpha"), "{}", unknown.text);
    assert!(!unknown.text.contains("new&quot;") && !unknown.text.contains("&#34;new"));
    let freeze = json!({"repo": "alpha", "reason": "down"});
    service.post("/v1/freezes", &freeze).is(200);
    let stale = post("/dashboard/unfreeze", "repo=alpha&reason=up&freeze_id=3").is(409);
    assert!(
        stale.text.contains("is not held by freeze 3"),
        "{}",
        stale.text
    );
    assert!(!stale.text.contains("GET /queue"), "{}", stale.text);
}

#[test]
fn a_repo_is_opened_with_or_without_a_reason_as_on_the_command_line() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    for unfreeze in [
        json!({"repo": "alpha"}),
        json!({"repo": "alpha", "reason": ""}),
        json!({"repo": "alpha", "reason": "rolled back"}),
    ] {
        let freeze = json!({"repo": "alpha", "reason": "down"});
        service.post("/v1/freezes", &freeze).is(200);
        let opened = service.post("/serial-gate/unfreeze", &unfreeze).is(200);
        assert_eq!(opened.json()["cleared"], 1, "{unfreeze}");
    }
}
