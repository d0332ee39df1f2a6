//! Tokens of the first version, which were numbers: SQLite was the only engine then.

use serde_json::json;

use crate::support::look::{status, value};
use crate::support::service::Service;
use crate::support::{Gate, token};

/// What version 0.1.0 had before tokens were texts: the columns of a claim, and its counter.
const OLD: &str = "
    CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, work_item_id TEXT, repo TEXT, stage \
    TEXT,
        created_at TEXT DEFAULT (datetime('now')), gate_stage TEXT, gate_stage_at TEXT, gate_label \
        TEXT, gate_branch TEXT,
        gate_base TEXT, gate_base_commit TEXT, gate_cut_at TEXT);
    CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER, repo TEXT, agent TEXT,
        status TEXT DEFAULT 'queued', created_at TEXT DEFAULT (datetime('now')), gate_worker TEXT, \
        gate_claimed_at TEXT,
        gate_lease_until TEXT, gate_attempt INTEGER, gate_token INTEGER, gate_error TEXT, \
        gate_generation INTEGER,
        gate_put_off INTEGER);
    CREATE TABLE serial_gate_token (last INTEGER NOT NULL);
    INSERT INTO serial_gate_token (last) VALUES (31);
    CREATE TRIGGER serial_gate_jobs_added AFTER INSERT ON jobs BEGIN SELECT 1; END;
    INSERT INTO tasks (repo, stage) VALUES ('alpha', 'analysis'), ('beta', 'analysis');
    INSERT INTO jobs (task_id, repo, agent, status, gate_worker, gate_lease_until, gate_attempt, \
    gate_token) VALUES
        (1, 'alpha', 'analyst', 'running', 'b1', '2999-01-01 00:00:00', 1, 31),
        (2, 'beta', 'analyst', 'queued', NULL, NULL, NULL, NULL);";

fn upgraded() -> Gate {
    let gate = Gate::empty();
    gate.program().run(OLD);
    gate.run(&["init"]).succeeds();
    gate
}

#[test]
fn a_claim_of_an_older_version_goes_on_with_its_number() {
    let gate = upgraded();
    let with = |verb: &str, token: &str| gate.run(&["job", verb, "1", "--token", token]);
    for wrong in ["32", "031", "31.0", " 31", "+31"] {
        with("heartbeat", wrong).exits(1);
    }
    with("heartbeat", "31").succeeds();
    with("finish", "31").succeeds();
    with("finish", "31").succeeds();
    with("fail", "31").exits(1);
    assert_eq!(status(&gate, 1), "done");
}

#[test]
fn over_http_the_number_may_be_sent_as_one() {
    let service = Service::on(upgraded());
    for verb in ["heartbeat", "finish"] {
        for token in [json!(31), json!("31")] {
            let body = json!({ "token": token });
            service.post(&format!("/v1/jobs/1/{verb}"), &body).is(200);
        }
    }
    service
        .post("/v1/jobs/1/finish", &json!({ "token": 32 }))
        .is(409);
    assert_eq!(status(&service.gate, 1), "done");
}

#[test]
fn new_claims_get_texts_also_where_the_column_is_one_of_numbers() {
    let gate = upgraded();
    let claimed = gate.run(&["claim", "--json"]).succeeds().json();
    let token = token(&claimed);
    assert!(token.starts_with("sgc_"), "{token}");
    let kept = "SELECT typeof(gate_token) || gate_token FROM jobs WHERE id = 2";
    assert_eq!(value(&gate, kept).unwrap(), format!("text{token}"));
    gate.run(&["job", "finish", "2", "--token", &token])
        .succeeds();
}

#[test]
fn an_older_claim_s_number_is_refused_once_the_job_is_claimed_anew() {
    let gate = upgraded();
    gate.run(&["job", "requeue", "1"]).succeeds();
    gate.run(&["claim"]).succeeds();
    let ran = gate.run(&["job", "finish", "1", "--token", "31"]).exits(1);
    assert!(
        ran.stderr.contains("is not the one of job 1's claim"),
        "{}",
        ran.stderr
    );
}
