//! What another program's triggers undo: it is an error, and nothing tells of it as done.

use rusqlite::Connection;
use serde_json::json;

use crate::support::service::Service;
use crate::support::{Gate, Ran};

/// Each way in which a freeze does not stay.
const NO_FREEZE: [&str; 15] = [
    "BEFORE INSERT ON repo_freeze BEGIN SELECT RAISE(IGNORE); END",
    "BEFORE INSERT ON repo_freeze BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    "AFTER INSERT ON repo_freeze BEGIN SELECT RAISE(FAIL, 'no'); END",
    "AFTER INSERT ON repo_freeze BEGIN DELETE FROM repo_freeze WHERE id = new.id; END",
    "AFTER INSERT ON repo_freeze BEGIN UPDATE repo_freeze SET cleared_at = 'x' WHERE id = new.id; \
     END",
    "AFTER INSERT ON repo_freeze BEGIN UPDATE repo_freeze SET repo = 'other' WHERE id = new.id; \
     END",
    "AFTER INSERT ON repo_freeze BEGIN UPDATE repo_freeze SET reason = 'fine' WHERE id = new.id; \
     END",
    "AFTER INSERT ON repo_freeze BEGIN UPDATE repo_freeze SET id = 1000 WHERE id = new.id; END",
    // Another table of the same transaction.
    "AFTER INSERT ON serial_gate_alert BEGIN DELETE FROM repo_freeze; END",
    "AFTER INSERT ON serial_gate_audit BEGIN UPDATE repo_freeze SET cleared_at = 'x'; END",
    "AFTER INSERT ON serial_gate_audit BEGIN UPDATE repo_freeze SET repo = 'other'; END",
    // No later alert would report it.
    "BEFORE INSERT ON serial_gate_audit BEGIN SELECT RAISE(IGNORE); END",
    "AFTER INSERT ON serial_gate_audit BEGIN DELETE FROM serial_gate_audit WHERE id = new.id; END",
    "BEFORE INSERT ON serial_gate_alert BEGIN SELECT RAISE(IGNORE); END",
    "AFTER INSERT ON serial_gate_alert BEGIN DELETE FROM serial_gate_alert WHERE id = new.id; END",
];

/// Each way in which an unfreeze does not stay.
const NO_UNFREEZE: [&str; 7] = [
    "BEFORE UPDATE ON repo_freeze BEGIN SELECT RAISE(IGNORE); END",
    "BEFORE UPDATE ON repo_freeze BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    "AFTER UPDATE ON repo_freeze BEGIN SELECT RAISE(FAIL, 'no'); END",
    "AFTER UPDATE OF cleared_at ON repo_freeze BEGIN UPDATE repo_freeze SET cleared_at = NULL \
     WHERE id = new.id; END",
    "AFTER UPDATE OF cleared_at ON repo_freeze BEGIN
        UPDATE repo_freeze SET cleared_at = NULL, repo = 'other' WHERE id = new.id; END",
    "AFTER UPDATE OF cleared_at ON repo_freeze BEGIN INSERT INTO repo_freeze (repo) VALUES \
     (new.repo); END",
    "AFTER INSERT ON serial_gate_alert BEGIN UPDATE repo_freeze SET cleared_at = NULL; END",
];

fn trigger(gate: &Gate, body: &str) {
    let sqlite = gate.sqlite();
    sqlite
        .execute_batch(&format!("CREATE TRIGGER undo {body}"))
        .unwrap();
}

/// Everything that the database holds, to see that nothing was changed.
fn rows(sqlite: &Connection, table: &str) -> Vec<String> {
    let columns: String = sqlite
        .query_row(
            "SELECT group_concat('quote(\"' || name || '\")', ' || ') FROM pragma_table_info(?1)",
            [table],
            |row| row.get(0),
        )
        .unwrap();
    let mut query = sqlite
        .prepare(&format!("SELECT {columns} FROM {table}"))
        .unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

const TABLES: [&str; 7] = [
    "repo_freeze",
    "tasks",
    "jobs",
    "serial_gate_alert",
    "serial_gate_audit",
    "serial_gate_deploy",
    "serial_gate_access",
];

/// Runs a verb that fails under a trigger, and changes nothing.
#[track_caller]
fn is_undone(gate: &Gate, body: &str, verb: &[&str]) -> Ran {
    let all = |gate: &Gate| TABLES.map(|table| rows(&gate.sqlite(), table));
    let before = all(gate);
    trigger(gate, body);
    let ran = gate.run(verb).exits(1);
    assert_eq!(all(gate), before, "{body}");
    gate.sqlite().execute_batch("DROP TRIGGER undo").unwrap();
    ran
}

#[test]
fn a_freeze_that_does_not_stay_is_an_error_and_nothing_else() {
    let gate = Gate::new();
    for body in NO_FREEZE {
        is_undone(
            &gate,
            body,
            &["freeze", "alpha", "--new", "--reason", "incident"],
        );
        is_undone(
            &gate,
            body,
            &["deploy-verdict", "alpha", "--verdict", "degraded"],
        );
    }
    gate.run(&["freeze", "alpha", "--new", "--reason", "incident"])
        .succeeds();
}

#[test]
fn an_unfreeze_that_does_not_stay_is_an_error_and_nothing_else() {
    let gate = Gate::new();
    gate.run(&["freeze", "alpha", "--new", "--reason", "incident"])
        .succeeds();
    for body in NO_UNFREEZE {
        is_undone(&gate, body, &["unfreeze", "alpha"]);
    }
    gate.run(&["unfreeze", "alpha"]).succeeds();
}

#[test]
fn the_error_names_what_did_not_stay_and_where_to_look() {
    let gate = Gate::new();
    let ran = is_undone(
        &gate,
        NO_FREEZE[0],
        &["freeze", "alpha", "--new", "--reason", "r"],
    );
    insta::assert_snapshot!(ran.stderr, @"error: the freeze of `alpha` did not stay: a trigger of \
        this database changed or removed it, so look at its triggers on `repo_freeze`");
}

#[test]
fn a_verdict_that_is_forgotten_is_an_error() {
    let gate = Gate::new();
    for body in [
        "BEFORE INSERT ON serial_gate_deploy BEGIN SELECT RAISE(IGNORE); END",
        "AFTER INSERT ON serial_gate_deploy BEGIN DELETE FROM serial_gate_deploy; END",
        "AFTER INSERT ON serial_gate_deploy BEGIN UPDATE serial_gate_deploy SET verdict = \
         'healthy'; END",
    ] {
        is_undone(
            &gate,
            body,
            &["deploy-verdict", "alpha", "--verdict", "degraded"],
        );
    }
}

#[test]
fn a_task_or_its_job_that_does_not_stay_is_an_error() {
    let gate = Gate::new();
    for body in [
        "BEFORE INSERT ON tasks BEGIN SELECT RAISE(IGNORE); END",
        "BEFORE INSERT ON jobs BEGIN SELECT RAISE(IGNORE); END",
        "AFTER INSERT ON tasks BEGIN DELETE FROM tasks WHERE id = new.id; END",
        "AFTER INSERT ON jobs BEGIN DELETE FROM tasks; END",
        "AFTER INSERT ON tasks BEGIN UPDATE tasks SET stage = 'done' WHERE id = new.id; END",
        "AFTER INSERT ON tasks BEGIN UPDATE tasks SET gate_label = 'hotfix' WHERE id = new.id; END",
        "AFTER INSERT ON jobs BEGIN UPDATE jobs SET agent = 'nobody' WHERE id = new.id; END",
        "AFTER INSERT ON jobs BEGIN UPDATE jobs SET status = 'done' WHERE id = new.id; END",
        "AFTER INSERT ON jobs BEGIN UPDATE jobs SET repo = 'beta' WHERE id = new.id; END",
    ] {
        is_undone(&gate, body, &["task", "add", "alpha", "--work-item", "A-1"]);
    }
}

#[test]
fn a_stage_or_a_label_that_does_not_stay_is_an_error() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    for body in [
        "BEFORE UPDATE ON tasks BEGIN SELECT RAISE(IGNORE); END",
        "AFTER UPDATE ON tasks BEGIN DELETE FROM tasks; END",
        "AFTER INSERT ON serial_gate_audit BEGIN UPDATE tasks SET stage = 'analysis', gate_label = \
         NULL; END",
    ] {
        is_undone(&gate, body, &["task", "done", "1"]);
        is_undone(&gate, body, &["task", "label", "1", "hotfix"]);
    }
}

#[test]
fn a_token_that_does_not_stay_is_an_error_and_neither_is_one_revoked_that_stays_good() {
    let gate = Gate::new();
    for body in [
        "BEFORE INSERT ON serial_gate_access BEGIN SELECT RAISE(IGNORE); END",
        "AFTER INSERT ON serial_gate_access BEGIN DELETE FROM serial_gate_access; END",
        "AFTER INSERT ON serial_gate_access BEGIN UPDATE serial_gate_access SET role = 'operator'; \
         END",
    ] {
        is_undone(&gate, body, &["token", "add", "kim", "--role", "reader"]);
    }
    gate.run(&["token", "add", "kim", "--role", "reader"])
        .succeeds();
    for body in [
        "BEFORE UPDATE ON serial_gate_access BEGIN SELECT RAISE(IGNORE); END",
        "AFTER UPDATE OF revoked_at ON serial_gate_access BEGIN
            UPDATE serial_gate_access SET revoked_at = NULL, name = 'other'; END",
    ] {
        is_undone(&gate, body, &["token", "revoke", "kim"]);
    }
}

#[test]
fn the_service_answers_503_and_goes_on() {
    let service = Service::start();
    let freeze = json!({"repo": "alpha", "new": true, "reason": "incident"});
    for body in NO_FREEZE {
        trigger(&service.gate, body);
        service.post("/serial-gate/freeze", &freeze).is(503);
        service
            .gate
            .sqlite()
            .execute_batch("DROP TRIGGER undo")
            .unwrap();
    }
    service.post("/serial-gate/freeze", &freeze).is(200);
}
