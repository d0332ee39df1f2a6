//! A deploy that went bad, from the pipeline's report to the alert and the operator.

use serde_json::json;

use crate::support::Gate;
use crate::support::endpoint::Endpoint;
use crate::support::service::Service;
use crate::support::service::access_token;

#[test]
fn a_degraded_deploy_freezes_its_repo_and_is_told_once() {
    let endpoint = Endpoint::new(&[]);
    let gate = Gate::new();
    let table = format!(
        "[alerts.webhook]\nurl = \"{}/hook\"\nsecret_file = \"secret\"\n",
        endpoint.url
    );
    gate.write("serial-gate.toml", table);
    gate.write("secret", "a shared secret");
    let service = Service::on(gate);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let deploy =
        json!({"repo": "alpha", "verdict": "degraded", "deploy": "118", "detail": "errors at 7 %"});
    let first = service.post("/v1/deploys", &deploy).is(201).json();
    assert_eq!(
        (first["freeze_id"].is_i64(), &first["repeated"]),
        (true, &json!(false))
    );
    let again = service.post("/v1/deploys", &deploy).is(201).json();
    assert_eq!(
        (&again["freeze_id"], &again["repeated"]),
        (&json!(null), &json!(true))
    );
    service.post("/v1/claim", &json!({"worker": "one"})).is(204);

    let unfreeze =
        json!({"repo": "alpha", "reason": "rolled back", "freeze_id": first["freeze_id"]});
    service.post("/serial-gate/unfreeze", &unfreeze).is(200);
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    let told = endpoint.wait_for(2);
    let kinds: Vec<_> = told
        .iter()
        .map(|alert| alert.json()["kind"].clone())
        .collect();
    assert_eq!(kinds, ["freeze", "unfreeze"]);
    let audit = service.get("/v1/audit?repo=alpha&limit=10").is(200).json();
    let actions: Vec<_> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["action"])
        .collect();
    assert_eq!(actions, ["unfreeze", "deploy verdict", "deploy verdict"]);
}

#[test]
fn who_moves_a_task_on_stands_in_the_audit() {
    let gate = crate::support::Gate::new();
    let token = access_token(&gate, "builder", "worker");
    gate.run(&["task", "add", "alpha"]).succeeds();
    let service = Service::on(gate);
    let done = service
        .request("PATCH", "/v1/tasks/1")
        .json(&json!({"stage": "done"}));
    done.token(&token).send().is(200);
    let audit = service
        .request("GET", "/v1/audit")
        .token(&token)
        .send()
        .json();
    assert_eq!(
        [
            &audit[0]["who"],
            &audit[0]["action"],
            &audit[0]["before"],
            &audit[0]["after"]
        ],
        ["builder", "task done", "analysis", "done"]
    );
}
