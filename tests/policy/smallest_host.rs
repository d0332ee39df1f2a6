//! The example of a host on wasmtime alone gives the reference's answers.

#[path = "../../host/examples/smallest_host/columns.rs"]
mod columns;
#[path = "../../host/examples/smallest_host/host.rs"]
mod host;

use host::{Host, Settings, claim, guarded};
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::Value;
use serial_gate::policy::DEFAULT_POLICY;

use crate::support::fixtures;

const TABLES: &str = "
    CREATE TABLE tasks (id INTEGER PRIMARY KEY, work_item_id TEXT, repo TEXT, stage TEXT);
    CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT, status TEXT);
    CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY, repo TEXT, frozen_at TEXT, cleared_at TEXT,
        reason TEXT, work_item_id TEXT);";

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(flag) => Cell::Integer(i64::from(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(id) => Cell::Integer(id),
            None => Cell::Real(number.as_f64().unwrap()),
        },
        Value::String(text) => Cell::Text(text.clone()),
        other => panic!("{other}"),
    }
}

fn queue(case: &Value) -> Connection {
    let queue = Connection::open_in_memory().unwrap();
    queue.execute_batch(TABLES).unwrap();
    for (table, key) in [
        ("tasks", "tasks"),
        ("jobs", "jobs"),
        ("repo_freeze", "freezes"),
    ] {
        for row in case[key].as_array().into_iter().flatten() {
            let mut row = row.as_object().unwrap().clone();
            if key == "jobs" {
                row.entry("status").or_insert("queued".into());
            }
            let names: Vec<&str> = row.keys().map(String::as_str).collect();
            let marks = vec!["?"; names.len()].join(", ");
            let sql = format!(
                "INSERT INTO {table} ({}) VALUES ({marks})",
                names.join(", ")
            );
            let cells = row.values().map(cell);
            queue
                .execute(&sql, rusqlite::params_from_iter(cells))
                .unwrap();
        }
    }
    queue
}

#[test]
fn every_case_of_the_reference_has_its_result() {
    let host = Host::new(DEFAULT_POLICY).unwrap();
    let mut cases = 0;
    let files = ["edge.jsonl", "random.jsonl"].map(fixtures);
    let text = files
        .map(|file| std::fs::read_to_string(file).unwrap())
        .concat();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (case, expected) = (&line["case"], &line["expected"]);
        let given = &case["settings"];
        let settings = Settings {
            enabled: given["enabled"] == true,
            repos: given["repos"].as_str().unwrap_or_default().into(),
            freeze_enabled: given["freeze_enabled"] == true,
            rules: None,
        };
        let text = host.claim_clause(&settings, 0).unwrap().unwrap().text;
        assert_eq!(expected["clause"], text, "{}", case["name"]);
        let clause = guarded(&text).unwrap();
        let queue = queue(case);
        let state = columns::columns(&queue).unwrap();
        let decisions = host.decide(&settings, 0, &state).unwrap().unwrap();
        let free = decisions
            .iter()
            .filter(|decision| matches!(decision.verdict, host::Verdict::Claim));
        let free: Vec<i64> = free.map(|decision| decision.job).collect();
        assert_eq!(
            expected["claimable"],
            serde_json::json!(free),
            "{}",
            case["name"]
        );
        let order = std::iter::from_fn(|| claim(&queue, &clause).unwrap());
        let order: Vec<i64> = order.collect();
        assert_eq!(
            expected["claim_order"],
            serde_json::json!(order),
            "{}",
            case["name"]
        );
        cases += 1;
    }
    assert_eq!(cases, 416);
}
