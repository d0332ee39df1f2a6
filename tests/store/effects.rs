//! What another program's triggers undo: it is an error, and nothing tells of it as done.

use serde_json::json;

use crate::support::engine::{Does, Program, Row};
use crate::support::service::Service;
use crate::support::{Gate, Ran};

/// When another program's trigger fires, and what it does.
type Undoing = (&'static str, Does<'static>);

/// Each way in which a freeze does not stay.
const NO_FREEZE: [Undoing; 15] = [
    ("BEFORE INSERT ON repo_freeze", Does::Ignore),
    ("BEFORE INSERT ON repo_freeze", Does::RollBack("no")),
    ("AFTER INSERT ON repo_freeze", Does::Fail("no")),
    (
        "AFTER INSERT ON repo_freeze",
        Does::Run("DELETE FROM repo_freeze WHERE id = new.id"),
    ),
    (
        "AFTER INSERT ON repo_freeze",
        Does::Run("UPDATE repo_freeze SET cleared_at = 'x' WHERE id = new.id"),
    ),
    (
        "AFTER INSERT ON repo_freeze",
        Does::Run("UPDATE repo_freeze SET repo = 'other' WHERE id = new.id"),
    ),
    (
        "AFTER INSERT ON repo_freeze",
        Does::Run("UPDATE repo_freeze SET reason = 'fine' WHERE id = new.id"),
    ),
    (
        "AFTER INSERT ON repo_freeze",
        Does::Run("UPDATE repo_freeze SET id = 1000 WHERE id = new.id"),
    ),
    // Another table of the same transaction.
    (
        "AFTER INSERT ON serial_gate_alert",
        Does::Run("DELETE FROM repo_freeze"),
    ),
    (
        "AFTER INSERT ON serial_gate_audit",
        Does::Run("UPDATE repo_freeze SET cleared_at = 'x'"),
    ),
    (
        "AFTER INSERT ON serial_gate_audit",
        Does::Run("UPDATE repo_freeze SET repo = 'other'"),
    ),
    // No later alert would report it.
    ("BEFORE INSERT ON serial_gate_audit", Does::Ignore),
    (
        "AFTER INSERT ON serial_gate_audit",
        Does::Run("DELETE FROM serial_gate_audit WHERE id = new.id"),
    ),
    ("BEFORE INSERT ON serial_gate_alert", Does::Ignore),
    (
        "AFTER INSERT ON serial_gate_alert",
        Does::Run("DELETE FROM serial_gate_alert WHERE id = new.id"),
    ),
];

/// Each way in which an unfreeze does not stay.
const NO_UNFREEZE: [Undoing; 7] = [
    ("BEFORE UPDATE ON repo_freeze", Does::Ignore),
    ("BEFORE UPDATE ON repo_freeze", Does::RollBack("no")),
    ("AFTER UPDATE ON repo_freeze", Does::Fail("no")),
    (
        "AFTER UPDATE OF cleared_at ON repo_freeze",
        Does::Run("UPDATE repo_freeze SET cleared_at = NULL WHERE id = new.id"),
    ),
    (
        "AFTER UPDATE OF cleared_at ON repo_freeze",
        Does::Run("UPDATE repo_freeze SET cleared_at = NULL, repo = 'other' WHERE id = new.id"),
    ),
    (
        "AFTER UPDATE OF cleared_at ON repo_freeze",
        Does::Run("INSERT INTO repo_freeze (repo) VALUES (new.repo)"),
    ),
    (
        "AFTER INSERT ON serial_gate_alert",
        Does::Run("UPDATE repo_freeze SET cleared_at = NULL"),
    ),
];

fn trigger(gate: &Gate, (event, does): &Undoing) {
    gate.program().trigger("undo", event, None, does);
}

/// Everything that the database holds, to see that nothing was changed.
fn rows(program: &Program, table: &str) -> Vec<Row> {
    program.rows(format!("SELECT * FROM {table} ORDER BY 1"))
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
fn is_undone(gate: &Gate, undoing: &Undoing, verb: &[&str]) -> Ran {
    let all = |gate: &Gate| TABLES.map(|table| rows(&gate.program(), table));
    let before = all(gate);
    trigger(gate, undoing);
    let ran = gate.run(verb).exits(1);
    assert_eq!(all(gate), before, "{}", undoing.0);
    gate.program().drop_trigger("undo");
    ran
}

#[test]
fn a_freeze_that_does_not_stay_is_an_error_and_nothing_else() {
    let gate = Gate::new();
    for body in &NO_FREEZE {
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
    for body in &NO_UNFREEZE {
        is_undone(&gate, body, &["unfreeze", "alpha"]);
    }
    gate.run(&["unfreeze", "alpha"]).succeeds();
}

#[test]
fn the_error_names_what_did_not_stay_and_where_to_look() {
    let gate = Gate::new();
    let ran = is_undone(
        &gate,
        &NO_FREEZE[0],
        &["freeze", "alpha", "--new", "--reason", "r"],
    );
    insta::assert_snapshot!(ran.stderr, @"error: the freeze of `alpha` did not stay: a trigger of \
        this database changed or removed it, so look at its triggers on `repo_freeze`");
}

#[test]
fn a_verdict_that_is_forgotten_is_an_error() {
    let gate = Gate::new();
    for body in &[
        ("BEFORE INSERT ON serial_gate_deploy", Does::Ignore),
        (
            "AFTER INSERT ON serial_gate_deploy",
            Does::Run("DELETE FROM serial_gate_deploy"),
        ),
        (
            "AFTER INSERT ON serial_gate_deploy",
            Does::Run("UPDATE serial_gate_deploy SET verdict = 'healthy'"),
        ),
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
    for body in &[
        ("BEFORE INSERT ON tasks", Does::Ignore),
        ("BEFORE INSERT ON jobs", Does::Ignore),
        (
            "AFTER INSERT ON tasks",
            Does::Run("DELETE FROM tasks WHERE id = new.id"),
        ),
        ("AFTER INSERT ON jobs", Does::Run("DELETE FROM tasks")),
        (
            "AFTER INSERT ON tasks",
            Does::Run("UPDATE tasks SET stage = 'done' WHERE id = new.id"),
        ),
        (
            "AFTER INSERT ON tasks",
            Does::Run("UPDATE tasks SET gate_label = 'hotfix' WHERE id = new.id"),
        ),
        (
            "AFTER INSERT ON jobs",
            Does::Run("UPDATE jobs SET agent = 'nobody' WHERE id = new.id"),
        ),
        (
            "AFTER INSERT ON jobs",
            Does::Run("UPDATE jobs SET status = 'done' WHERE id = new.id"),
        ),
        (
            "AFTER INSERT ON jobs",
            Does::Run("UPDATE jobs SET repo = 'beta' WHERE id = new.id"),
        ),
    ] {
        is_undone(&gate, body, &["task", "add", "alpha", "--work-item", "A-1"]);
    }
}

#[test]
fn a_stage_or_a_label_that_does_not_stay_is_an_error() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    for body in &[
        ("BEFORE UPDATE ON tasks", Does::Ignore),
        ("AFTER UPDATE ON tasks", Does::Run("DELETE FROM tasks")),
        (
            "AFTER INSERT ON serial_gate_audit",
            Does::Run("UPDATE tasks SET stage = 'analysis', gate_label = NULL"),
        ),
    ] {
        is_undone(&gate, body, &["task", "done", "1"]);
        is_undone(&gate, body, &["task", "label", "1", "hotfix"]);
    }
}

#[test]
fn a_token_that_does_not_stay_is_an_error_and_neither_is_one_revoked_that_stays_good() {
    let gate = Gate::new();
    for body in &[
        ("BEFORE INSERT ON serial_gate_access", Does::Ignore),
        (
            "AFTER INSERT ON serial_gate_access",
            Does::Run("DELETE FROM serial_gate_access"),
        ),
        (
            "AFTER INSERT ON serial_gate_access",
            Does::Run("UPDATE serial_gate_access SET role = 'operator'"),
        ),
    ] {
        is_undone(&gate, body, &["token", "add", "kim", "--role", "reader"]);
    }
    gate.run(&["token", "add", "kim", "--role", "reader"])
        .succeeds();
    for body in &[
        ("BEFORE UPDATE ON serial_gate_access", Does::Ignore),
        (
            "AFTER UPDATE OF revoked_at ON serial_gate_access",
            Does::Run("UPDATE serial_gate_access SET revoked_at = NULL, name = 'other'"),
        ),
    ] {
        is_undone(&gate, body, &["token", "revoke", "kim"]);
    }
}

#[test]
fn the_service_answers_503_and_goes_on() {
    let service = Service::start();
    let freeze = json!({"repo": "alpha", "new": true, "reason": "incident"});
    for body in &NO_FREEZE {
        trigger(&service.gate, body);
        service.post("/v1/freezes", &freeze).is(503);
        service.gate.program().drop_trigger("undo");
    }
    service.post("/v1/freezes", &freeze).is(200);
}
