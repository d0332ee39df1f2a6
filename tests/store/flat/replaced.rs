//! Rows that go without a trigger: `REPLACE` deletes them for another unique column than the id. A
//! claim that finds nothing finds out.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;
use serial_gate::gate::{Rule, default_settings};
use serial_gate::queue::{Options, Queue};

use crate::support::Gate;
use crate::support::random::Rng;
use crate::support::service::Service;

/// The tables of an orchestrator with its own keys for rows.
const KEYS: &str = "
    ALTER TABLE jobs ADD COLUMN external_key TEXT;
    CREATE UNIQUE INDEX by_work_item ON tasks (work_item_id);
    CREATE UNIQUE INDEX by_key ON jobs (external_key);
    CREATE UNIQUE INDEX by_reason ON repo_freeze (reason);";

/// The second task of `alpha` waits for the first, whose work item is `ONE`.
fn gate() -> Gate {
    let gate = Gate::new();
    gate.sqlite().execute_batch(KEYS).unwrap();
    gate.run(&["task", "add", "alpha", "--work-item", "ONE"])
        .succeeds();
    gate.run(&["task", "add", "alpha", "--work-item", "TWO"])
        .succeeds();
    gate.run(&["claim"]).succeeds();
    gate.run(&["claim"]).exits(3);
    gate
}

const WRITES: [(&str, &str); 5] = [
    (
        "a task for its name",
        "REPLACE INTO tasks (work_item_id, repo, stage) VALUES ('ONE', 'beta', 'analysis')",
    ),
    (
        "a task for its name, by an update",
        "INSERT INTO tasks (work_item_id, repo, stage) VALUES ('THREE', 'beta', 'analysis');
         UPDATE OR REPLACE tasks SET work_item_id = 'ONE' WHERE work_item_id = 'THREE'",
    ),
    (
        "a task for its id",
        "REPLACE INTO tasks (id, repo, stage) VALUES (1, 'beta', 'analysis')",
    ),
    (
        "a task for its id, by an update",
        "INSERT INTO tasks (id, repo, stage) VALUES (9, 'beta', 'analysis');
         UPDATE OR REPLACE tasks SET id = 1 WHERE id = 9",
    ),
    (
        "a freeze",
        "REPLACE INTO repo_freeze (repo, reason) VALUES ('beta', 'errors')",
    ),
];

#[test]
fn a_claim_finds_the_job_that_a_replaced_row_has_held() {
    for (what, write) in WRITES {
        let gate = gate();
        if what == "a freeze" {
            gate.sqlite()
                .execute_batch(
                    "INSERT INTO repo_freeze (repo, reason) VALUES ('alpha', 'errors');
                     UPDATE tasks SET stage = 'done' WHERE id = 1",
                )
                .unwrap();
            gate.run(&["claim"]).exits(3);
        }
        gate.sqlite().execute_batch(write).unwrap();
        let claimed = gate.run(&["claim", "--json"]);
        assert_eq!(claimed.code, Some(0), "{what}: {}", claimed.stderr);
        assert_eq!(claimed.json()["id"], 2, "{what}");
    }
}

#[test]
fn a_claim_finds_the_job_behind_one_that_was_replaced() {
    for write in [
        "REPLACE INTO jobs (external_key, repo, agent, status) VALUES ('K', 'alpha', 'analyst', \
         'done')",
        "INSERT INTO jobs (repo, agent, status) VALUES ('beta', 'analyst', 'done');
         UPDATE OR REPLACE jobs SET external_key = 'K' WHERE status = 'done'",
        "REPLACE INTO jobs (id, repo, agent, status) VALUES (1, 'beta', 'analyst', 'done')",
    ] {
        let gate = Gate::new();
        gate.sqlite().execute_batch(KEYS).unwrap();
        for _ in 0..3 {
            gate.run(&["task", "add", "alpha"]).succeeds();
        }
        // The first one is the candidate, and nothing holds the second once the first task is done.
        gate.sqlite()
            .execute_batch(&format!(
                "UPDATE jobs SET external_key = 'K' WHERE id = 1;
                 UPDATE tasks SET stage = 'done' WHERE id = 1; {write}"
            ))
            .unwrap();
        let claimed = gate.run(&["claim", "--json"]).succeeds();
        assert_eq!(claimed.json()["id"], 2, "{write}");
    }
}

#[test]
fn the_service_finds_it_too() {
    let service = Service::on(gate());
    service.post("/v1/claim", &json!({"worker": "one"})).is(204);
    service.gate.sqlite().execute_batch(WRITES[0].1).unwrap();
    let claimed = service.post("/v1/claim", &json!({"worker": "two", "wait": 60}));
    assert_eq!(claimed.is(200).json()["id"], 2);
}

#[test]
fn who_is_told_that_a_job_may_be_claimed_gets_it_with_the_next_claim() {
    let explain = ["explain", "250"];
    for verb in [&["queue"][..], &["queue", "--json"], &explain] {
        let gate = gate_of_many();
        // Its task's predecessor goes, and no trigger fires.
        gate.sqlite()
            .execute_batch(
                "REPLACE INTO tasks (work_item_id, repo, stage) VALUES ('W250', 'other', 'done')",
            )
            .unwrap();
        gate.run(verb).succeeds();
        let dirty: Vec<String> = gate
            .sqlite()
            .prepare("SELECT repo FROM serial_gate_dirty")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(dirty.contains(&"r250".to_owned()), "{verb:?}: {dirty:?}");
        // A second look has nothing more to mark.
        gate.run(verb).succeeds();
        let claimed = gate.run(&["claim", "--json"]).succeeds();
        assert_eq!(claimed.json()["id"], 250, "{verb:?}");
    }
}

#[test]
fn who_is_told_that_a_job_may_be_claimed_waits_for_no_other_program() {
    let gate = gate_of_many();
    let other = gate.sqlite();
    other
        .execute_batch(
            "BEGIN IMMEDIATE;
             REPLACE INTO tasks (work_item_id, repo, stage) VALUES ('W250', 'other', 'done');
             COMMIT; BEGIN IMMEDIATE",
        )
        .unwrap();
    let said = gate.run(&["explain", "250"]).succeeds().stdout;
    assert!(said.contains("may be claimed"), "{said}");
}

/// More repos than one claim compares, each with a job that its task holds.
fn gate_of_many() -> Gate {
    gate_of(250)
}

fn gate_of(repos: usize) -> Gate {
    let gate = Gate::new();
    gate.sqlite()
        .execute_batch(&format!(
            "{KEYS}
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {repos})
             INSERT INTO tasks (work_item_id, repo, stage) SELECT 'W' || i, printf('r%03d', i), \
             'analysis' FROM n;
             INSERT INTO jobs (task_id, repo, agent) SELECT id + 10000, repo, 'analyst' FROM tasks;"
        ))
        .unwrap();
    gate.run(&["claim"]).exits(3);
    gate
}

#[test]
fn a_claim_compares_some_repos_and_the_next_one_goes_on_from_there() {
    let gate = gate_of(3_000);
    gate.sqlite()
        .execute_batch(
            "REPLACE INTO tasks (work_item_id, repo, stage) VALUES ('W3000', 'other', 'done')",
        )
        .unwrap();
    // Each claim compares for a short time, and at least a hundred repos.
    let mut tries = (0..30).map(|_| gate.run(&["claim"]).code.unwrap_or(-1));
    assert!(tries.any(|code| code == 0), "it was never found");
}

#[test]
fn a_claim_that_compares_waits_for_no_other_program() {
    let gate = gate_of_many();
    let other = gate.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    gate.run(&["claim"]).exits(3);
}

/// What other programs do to the rows, by the keys of their own.
fn write(rng: &mut Rng) -> String {
    let or = *rng.pick(&["OR REPLACE", "OR REPLACE", ""]);
    let key = *rng.pick(&["'A'", "'B'", "'C'", "'D'", "NULL"]);
    let id = *rng.pick(&["1", "2", "3", "4", "5", "6", "NULL"]);
    let repo = *rng.pick(&["'a'", "'b'", "'c'", "NULL"]);
    let stage = *rng.pick(&["'done'", "'review'"]);
    let cleared = *rng.pick(&["NULL", "NULL", "'then'"]);
    rng.pick(&[
        format!(
            "INSERT {or} INTO tasks (id, work_item_id, repo, stage) VALUES ({id}, {key}, \
            {repo}, {stage})"
        ),
        format!("UPDATE {or} tasks SET work_item_id = {key}, stage = {stage} WHERE id = {id}"),
        format!(
            "INSERT {or} INTO jobs (id, external_key, task_id, repo, agent, status) VALUES \
            ({id}, {key}, {id}, {repo}, 'analyst', 'queued')"
        ),
        format!("UPDATE {or} jobs SET external_key = {key}, status = 'queued' WHERE id = {id}"),
        format!(
            "INSERT {or} INTO repo_freeze (id, repo, reason, cleared_at) VALUES ({id}, {repo}, \
            {key}, {cleared})"
        ),
        format!("UPDATE {or} repo_freeze SET reason = {key} WHERE id = {id}"),
    ])
    .clone()
}

/// The jobs that the default rule lets through, by a plain scan.
fn let_through(sqlite: &Connection) -> Vec<i64> {
    let mut query = sqlite
        .prepare(
            "SELECT id FROM jobs WHERE status = 'queued' AND NOT (agent = 'analyst' AND (
                EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND \
                t.stage != 'done')
                OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at \
                IS NULL)))",
        )
        .unwrap();
    let ids = query.query_map([], |row| row.get(0)).unwrap();
    ids.map(Result::unwrap).collect()
}

#[test]
fn after_any_such_writes_claims_find_every_job_that_is_let_through() {
    let gate = Gate::new();
    let program = super::other_program(&gate);
    let sqlite = super::sqlite(&program);
    sqlite.execute_batch(KEYS).unwrap();
    let rule = Rule::built_in(default_settings());
    let mut queue = Queue::open(&gate.database(), rule, Options::default()).unwrap();
    let mut rng = Rng::new(14);
    let mut now = Timestamp::UNIX_EPOCH;
    for round in 0..300 {
        let mut written = Vec::new();
        for _ in 0..4 {
            let write = write(&mut rng);
            // A key that is there already is refused without `OR REPLACE`.
            if sqlite.execute_batch(&write).is_ok() {
                written.push(write);
            }
        }
        now += Duration::from_secs(11);
        let lease = Duration::from_secs(1_000_000);
        while queue.claim(now, "worker", lease).unwrap().is_some() {}
        assert_eq!(
            let_through(sqlite),
            [0i64; 0],
            "round {round}: {written:#?}"
        );
    }
}
