//! Changing the policy over HTTP.

use serde_json::json;

use crate::support::components::component;
use crate::support::service::Service;

#[test]
fn other_rules_are_swapped_in_and_rolled_back() {
    let service = Service::start();
    let path = "/v1/policy/swap?reason=planners%20too&rules=%7B%22gated_agents%22%3A%5B%22analyst%22%2C%22planner%22%5D%7D";
    let swapped = service.request("POST", path).send().is(200).json();
    assert_eq!(
        (&swapped["generation"], &swapped["accepted"]),
        (&json!(2), &json!(true))
    );
    let late = json!({"reason": "of what was there before", "seen": 1});
    let refused = service.post("/v1/policy/rollback", &late).is(409);
    assert!(
        refused.detail().contains("in the meantime"),
        "{}",
        refused.text
    );
    let back = service.post(
        "/v1/policy/rollback",
        &json!({"reason": "too much", "seen": 2}),
    );
    assert_eq!(back.is(200).json(), json!({"generation": 1}));
    let history = service.get("/v1/policy/history").is(200).json();
    assert_eq!(
        (&history[0]["generation"], &history[0]["why"]),
        (&json!(1), &json!("too much"))
    );
}

#[test]
fn a_component_is_swapped_in_by_its_bytes() {
    let service = Service::start();
    let swapped = service
        .request(
            "POST",
            "/v1/policy/swap?reason=why&rules=%7B%22limit%22%3A2%7D",
        )
        .body("application/wasm", component("wip-limit").to_vec())
        .send()
        .is(200)
        .json();
    assert_eq!(
        (&swapped["generation"], &swapped["accepted"]),
        (&json!(2), &json!(true))
    );
}

#[test]
fn rules_that_the_policy_refuses_change_nothing() {
    let service = Service::start();
    let path = "/v1/policy/swap?reason=why&rules=%7B%22gated%22%3A%5B%5D%7D";
    let refused = service.request("POST", path).send().is(422).json();
    assert_eq!(refused["accepted"], false);
    let history = service.get("/v1/policy/history").json();
    assert_eq!(history[0]["state"], "refused");
}

#[test]
fn what_is_no_component_is_refused() {
    let service = Service::start();
    let asked = service
        .request("POST", "/v1/policy/check")
        .body("application/wasm", b"wasm".to_vec());
    let checked = asked.send().is(200).json();
    assert_eq!(checked["accepted"], false);
    let asked = service
        .request("POST", "/v1/policy/swap?reason=why")
        .body("application/wasm", b"wasm".to_vec());
    let detail = asked.send().is(400).detail();
    assert!(detail.contains("not WebAssembly"), "{detail}");
}

#[test]
fn a_shadow_is_started_looked_at_promoted_and_stopped() {
    let service = Service::start();
    assert_eq!(service.get("/v1/policy/shadow").is(200).json(), json!(null));
    let rules = "rules=%7B%22gated_agents%22%3A%5B%22analyst%22%2C%22planner%22%5D%7D";
    let start = format!("/v1/policy/shadow?reason=try&{rules}");
    service.request("POST", &start).send().is(200);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    assert_eq!(service.get("/v1/policy/shadow").json()["looks"], 1);
    let promoted = service.post("/v1/policy/promote", &json!({"reason": "no surprise"}));
    assert_eq!(promoted.is(200).json(), json!({"generation": 2}));
    service
        .request("POST", "/v1/policy/shadow?reason=try&rules=%7B%7D")
        .send()
        .is(200);
    let stop = service
        .request("DELETE", "/v1/policy/shadow")
        .json(&json!({"reason": "enough"}));
    stop.send().is(200);
    assert_eq!(service.get("/v1/policy/shadow").json(), json!(null));
}
