//! Ten holes, each found while claims go on.

use std::process::Child;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use super::{counted, gate_with};
use crate::support::Gate;
use crate::support::engine::Engine;
use crate::support::look::until;
use crate::support::service::Service;

/// After this time it is never found.
const NEVER: Duration = Duration::from_secs(600);

const LABELLED: &str =
    "EXISTS (SELECT 1 FROM tasks t WHERE t.id = jobs.task_id AND t.gate_label = 'vip')";

/// What the hole is about, and the rules that make it.
fn holes() -> Vec<(&'static str, String)> {
    let hole = |condition: &str| json!({ "hole": condition }).to_string();
    let soon = Timestamp::now().as_second() + 2;
    vec![
        ("a repo", hole("jobs.repo = 'prod'")),
        ("a label", hole(LABELLED)),
        (
            "a stage",
            hole("EXISTS (SELECT 1 FROM tasks t WHERE t.id = jobs.task_id AND t.stage = 'analysis')"),
        ),
        ("a range of ids", hole("jobs.id > 2 AND jobs.id < 4")),
        (
            "a time",
            json!({ "claim_all": true, "from": soon }).to_string(),
        ),
        ("NULL", hole("jobs.task_id IS NULL")),
        (
            "a count",
            hole("(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo) >= 4"),
        ),
        ("an agent", hole("jobs.agent = 'analyst'")),
        (
            "two at once",
            hole(&format!("jobs.repo = 'prod' AND {LABELLED}")),
        ),
        (
            "inside a NOT EXISTS",
            json!({ "clause": "AND NOT (jobs.agent = 'analyst' AND (EXISTS (SELECT 1 FROM tasks t \
                WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage <> 'done') \
                OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.repo <> 'prod' \
                AND f.cleared_at IS NULL)))" })
            .to_string(),
        ),
    ]
}

/// Lets claims go on until the generation before is active again. What was claimed or has failed is
/// queued anew.
fn until_rolled_back(gate: &Gate, name: &str, claim: impl Fn()) {
    let begun = Instant::now();
    let sqlite = gate.program();
    while counted(gate).0 != 1 {
        assert!(begun.elapsed() < NEVER, "{name}: it was not found");
        claim();
        sqlite.run("UPDATE jobs SET status = 'queued' WHERE status <> 'queued'");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (_, times, alerts) = counted(gate);
    assert!(times >= 3, "{name}: {times}");
    assert_eq!(alerts, 1, "{name}");
}

#[test]
fn the_service_finds_each_hole_while_it_gives_out_jobs_and_goes_back_to_the_generation_before() {
    for (name, rules) in holes() {
        let service = Service::on(gate_with(&rules));
        until_rolled_back(&service.gate, name, || {
            service.post("/v1/claim", &json!({ "worker": "w-1" }));
        });
        // A comparison in the background is noticed by the claims after it.
        until("claims use the generation before", || {
            let claimed = service.post("/v1/claim", &json!({ "worker": "w-1" }));
            claimed.status == 204
        });
    }
}

struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_worker_finds_each_hole_while_it_does_jobs() {
    for (name, rules) in Engine::every(3, holes()) {
        let gate = gate_with(&rules);
        let mut command = gate.command(&["work", "--agent", "analyst", "--", "false"]);
        let worker = Worker(command.stderr(std::process::Stdio::null()).spawn().unwrap());
        until_rolled_back(&gate, name, || {});
        drop(worker);
    }
}

#[test]
fn an_alert_names_the_generation_a_job_both_answers_and_what_to_do() {
    let service = Service::on(gate_with(super::OPEN));
    service
        .post("/v1/claim", &json!({ "worker": "w-1" }))
        .is(204);
    let alerts = service.gate.run(&["alerts", "--json"]).succeeds();
    let told = alerts.json_lines().into_iter();
    let told = told.filter(|alert| alert["kind"] == "contradiction");
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0]["text"],
        "generation 2 of the policy contradicts itself in `prod`: job 1: `decide` holds it, and the clause, which claims use, lets it \
         through: roll the policy back"
    );
    assert_eq!(
        (&told[0]["subject"], &told[0]["repo"]),
        (&json!(2), &json!("prod"))
    );
}

#[test]
fn a_claim_that_finds_one_failure_too_many_gives_nothing_away() {
    let service = Service::on(gate_with(super::OPEN));
    service
        .post("/v1/claim", &json!({ "worker": "w-1" }))
        .is(204);
    assert_eq!(counted(&service.gate), (1, 5, 1));
}

#[test]
fn a_claim_of_a_process_that_does_not_stay_compares_nothing() {
    let gate = gate_with(super::OPEN);
    gate.run(&["claim", "--worker", "w-1"]).succeeds();
    assert_eq!(counted(&gate), (2, 0, 0));
}

#[test]
fn a_long_queue_is_compared_beside_the_claims() {
    let gate = gate_with(r#"{"hole":"jobs.id = 600"}"#);
    gate.program().run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO jobs (task_id, repo, agent) SELECT 4, 'prod', 'analyst' FROM n;",
    );
    let service = Service::on(gate);
    until_rolled_back(&service.gate, "a long queue", || {
        service.post("/v1/claim", &json!({ "worker": "w-1" }));
    });
}

#[test]
fn a_hole_that_shuts_rows_out_of_a_large_state_is_found_at_the_next_job() {
    let rules = holes().pop().unwrap().1;
    let gate = gate_with(&rules);
    gate.program().run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
             INSERT INTO tasks (repo, stage) SELECT 'other', 'done' FROM n;
             INSERT INTO jobs (repo, agent) VALUES ('other', 'developer');",
    );
    let service = Service::on(gate);
    until_rolled_back(&service.gate, "a large state", || {
        service.post("/v1/claim", &json!({ "worker": "w-1", "agent": "analyst" }));
    });
}
