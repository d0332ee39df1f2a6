//! A job's way through the service.

use serde_json::json;

use crate::support::service::Service;

#[test]
fn the_second_task_of_a_repo_starts_when_the_first_is_done() {
    let service = Service::start();
    let first = service.post(
        "/v1/tasks",
        &json!({"repo": "alpha", "work_item": "ORCH-1"}),
    );
    assert_eq!(
        first.is(201).json(),
        json!({"task_id": 1, "job_id": 1, "work_item_id": "ORCH-1"})
    );
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);

    let claimed = service
        .post("/v1/claim", &json!({"worker": "one"}))
        .is(200)
        .json();
    assert_eq!(
        (&claimed["id"], &claimed["work_item_id"]),
        (&json!(1), &json!("ORCH-1"))
    );
    service.post("/v1/claim", &json!({"worker": "two"})).is(204);
    let held = service.get("/v1/jobs/2/explain").is(200).json();
    assert_eq!(
        (&held["standing"], &held["tasks"][0]["id"]),
        (&json!("held"), &json!(1))
    );
    let queue = service.get("/queue").is(200).json();
    let alpha = &queue["serial_gate"]["per_repo"]["alpha"];
    let active = &alpha["active_task"];
    assert_eq!(
        [&active["work_item_id"], &active["stage"]],
        ["ORCH-1", "analysis"]
    );
    assert_eq!(
        [&active["work"]["state"], &active["work"]["worker"]],
        ["running", "one"]
    );
    assert_eq!(alpha["waiting"][0]["verdict"]["hold"]["earlier_task"], 1);

    let token = json!({"token": claimed["token"]});
    service.post("/v1/jobs/1/heartbeat", &token).is(200);
    let finished = service.post("/v1/jobs/1/finish", &token).is(200).json();
    assert_eq!(finished["status"], "done");
    let done = service
        .request("PATCH", "/v1/tasks/1")
        .json(&json!({"stage": "done"}));
    assert_eq!(done.send().is(200).json()["stage"], "done");
    let next = service
        .post("/v1/claim", &json!({"worker": "two"}))
        .is(200)
        .json();
    assert_eq!(next["id"], 2);
}

#[test]
fn the_queue_shows_every_repo_in_which_a_task_is_under_way() {
    let service = Service::start();
    for repo in ["beta", "alpha", "beta"] {
        service.post("/v1/tasks", &json!({"repo": repo})).is(201);
    }
    for _ in 0..2 {
        service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    }
    let done = service
        .request("PATCH", "/v1/tasks/3")
        .json(&json!({"stage": "done"}));
    done.send().is(200);
    let queue = service.get("/queue").is(200).json();
    let repos: Vec<&String> = queue["serial_gate"]["per_repo"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(repos, ["alpha", "beta"]);
    assert_eq!(
        queue["serial_gate"]["per_repo"]["alpha"]["waiting"],
        json!([])
    );
}

#[test]
fn a_job_added_to_a_task_fails_and_is_put_back() {
    let service = Service::start();
    service
        .post("/v1/tasks", &json!({"repo": "alpha", "label": "hotfix"}))
        .is(201);
    let job = service.post("/v1/jobs", &json!({"task_id": 1, "agent": "developer"}));
    let early = "task 1 has not begun, and the gate does not hold this job of `developer`: it may \
                 be claimed before the first job";
    assert_eq!(job.is(201).json(), json!({"job_id": 2, "note": early}));
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    let claimed = service
        .post("/v1/claim", &json!({"worker": "one"}))
        .is(200)
        .json();
    let failure = json!({"token": claimed["token"], "error": "no such branch"});
    service.post("/v1/jobs/2/fail", &failure).is(200);
    let failed = service.get("/v1/jobs/2/explain").is(200).json();
    assert_eq!(failed["job"]["error"], "no such branch");
    service.post("/v1/jobs/2/requeue", &json!({})).is(200);
    let again = service
        .post("/v1/claim", &json!({"worker": "one"}))
        .is(200)
        .json();
    assert_eq!((&again["id"], &again["attempt"]), (&json!(2), &json!(2)));
}

#[test]
fn a_frozen_repo_starts_nothing_until_it_is_unfrozen() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let freeze = json!({"repo": "alpha", "new": true, "reason": "checkout is down", "who": "kim"});
    let frozen = service.post("/v1/freezes", &freeze).is(200).json();
    service.post("/v1/claim", &json!({"worker": "one"})).is(204);
    let queue = service.get("/queue").json();
    let alpha = &queue["serial_gate"]["per_repo"]["alpha"];
    assert_eq!(
        (&alpha["frozen"], &alpha["frozen_reason"]),
        (&json!(true), &json!("checkout is down"))
    );

    let unfreeze =
        json!({"repo": "alpha", "reason": "rolled back", "freeze_id": frozen["freeze_id"]});
    let unfrozen = service
        .post("/serial-gate/unfreeze", &unfreeze)
        .is(200)
        .json();
    assert_eq!(unfrozen, json!({"repo": "alpha", "cleared": 1}));
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
}

#[test]
fn an_unfreeze_for_an_older_freeze_is_refused() {
    let service = Service::start();
    let freeze = json!({"repo": "alpha", "new": true, "reason": "checkout is down"});
    let first = service.post("/v1/freezes", &freeze).is(200).json();
    service.post("/v1/freezes", &freeze).is(200);
    let unfreeze =
        json!({"repo": "alpha", "reason": "rolled back", "freeze_id": first["freeze_id"]});
    service.post("/serial-gate/unfreeze", &unfreeze).is(409);
    let queue = service.get("/queue").json();
    assert_eq!(queue["serial_gate"]["per_repo"]["alpha"]["frozen"], true);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let cases = [
        (
            "POST",
            "/v1/tasks",
            json!({"repo": ""}),
            422,
            "the repo is empty: give it a name",
        ),
        (
            "POST",
            "/v1/jobs",
            json!({"task_id": 9, "agent": "developer"}),
            404,
            "there is no task 9: `GET /v1/tasks` lists them",
        ),
        (
            "PATCH",
            "/v1/tasks/9",
            json!({"stage": "done"}),
            404,
            "there is no task 9: `GET /v1/tasks` lists them",
        ),
        (
            "PATCH",
            "/v1/tasks/1",
            json!({}),
            422,
            "nothing to change: give `stage` or `label`",
        ),
        (
            "POST",
            "/v1/claim",
            json!({"worker": ""}),
            422,
            "`worker` has 1 to 200 characters",
        ),
        (
            "POST",
            "/v1/claim",
            json!({"worker": "one", "wait": 301}),
            422,
            "`wait` is at most 300 seconds",
        ),
        (
            "POST",
            "/v1/jobs/1/finish",
            json!({"token": 1}),
            409,
            "this token is not the one of job 1's claim: unless it is mistyped, the lease ran out or the job was requeued, so drop this work and claim again",
        ),
        (
            "POST",
            "/v1/freezes",
            json!({"repo": "alpha", "reason": ""}),
            422,
            "`reason` is blank: say why",
        ),
        (
            "DELETE",
            "/queue",
            json!(null),
            405,
            "this method is not allowed here: `/openapi.json` lists all routes",
        ),
        (
            "GET",
            "/nowhere",
            json!(null),
            404,
            "there is nothing here: `/openapi.json` lists all routes",
        ),
    ];
    for (method, path, body, status, detail) in cases {
        let answer = service.request(method, path).json(&body).send();
        assert_eq!(
            (answer.status, answer.detail()),
            (status, detail.to_owned()),
            "{method} {path}"
        );
    }
}

#[test]
fn a_body_that_is_none_is_refused_with_its_place() {
    let service = Service::start();
    let send = |body: &str| {
        let body = body.as_bytes().to_vec();
        service
            .request("POST", "/v1/claim")
            .body("application/json", body)
            .send()
    };
    let unknown = send(r#"{"worker": "one", "repo": "alpha"}"#).is(422);
    assert!(
        unknown.detail().contains("unknown field `repo`"),
        "{}",
        unknown.text
    );
    let broken = send("{").is(400);
    assert!(broken.detail().contains("EOF"), "{}", broken.text);
    // Only a little too large: of a body that nobody reads to its end, the connection may be reset.
    let large = send(&format!(r#"{{"worker": "{}"}}"#, "x".repeat(64 << 10))).is(413);
    large.detail();
    let form = service
        .request("POST", "/v1/claim")
        .body("text/plain", b"{}".to_vec())
        .send();
    form.is(415).detail();
}

#[test]
fn a_requeue_for_an_earlier_attempt_leaves_the_job_to_its_worker() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let claim = || service.post("/v1/claim", &json!({"worker": "one"}));
    let requeue = |attempt: i64| {
        let body = json!({"reason": "its machine is gone", "attempt": attempt});
        service.post("/v1/jobs/1/requeue", &body)
    };
    claim().is(200);
    requeue(1).is(200);
    let second = claim().is(200).json();
    for (attempt, said) in [(1, "not 1"), (3, "not 3")] {
        let stale = requeue(attempt).is(409).detail();
        let words =
            format!("job 1 is at attempt 2 and {said}, and nothing was changed: look at it again");
        assert_eq!(stale, words);
    }
    let token = json!({"token": second["token"]});
    service.post("/v1/jobs/1/heartbeat", &token).is(200);
    let body = json!({"attempt": null});
    service.post("/v1/jobs/1/requeue", &body).is(200);
    // It waits: nobody has claimed it since.
    let queued = requeue(2).is(409).detail();
    assert!(queued.starts_with("job 1 is `queued`"), "{queued}");
    claim().is(200);
    requeue(3).is(200);
}
