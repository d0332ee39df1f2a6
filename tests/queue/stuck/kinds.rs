//! What counts as running, failed or neither, and where it is listed.

use serde_json::{Value, json};

use super::{claimed, execute, fail, two_tasks};
use crate::support::Gate;

fn repo(gate: &Gate, name: &str) -> Value {
    let queue = gate.run(&["queue", "--json"]).succeeds().json();
    queue["per_repo"][name].clone()
}

fn state(gate: &Gate) -> Value {
    repo(gate, "alpha")["active_task"]["work"]["state"].clone()
}

#[test]
fn nothing_waits_only_where_nothing_runs_or_failed_either() {
    let gate = Gate::new();
    let nothing = "nothing runs and nothing waits\n";
    assert_eq!(gate.run(&["queue"]).succeeds().stdout, nothing);
    gate.run(&["task", "add", "alpha"]).succeeds();
    let token = claimed(&gate);
    let runs = gate.run(&["queue"]).succeeds().stdout;
    assert!(
        runs.contains("job 1 for `analyst` is running on `w-1`"),
        "{runs}"
    );
    let finish = ["job", "finish", "1", "--token", &token];
    gate.run(&finish).succeeds();
    gate.run(&["task", "done", "1"]).succeeds();
    assert_eq!(gate.run(&["queue"]).succeeds().stdout, nothing);
}

#[test]
fn a_failed_job_counts_until_a_later_one_of_its_agent_is_there() {
    let gate = two_tasks();
    fail(&gate, "boom");
    let failed = || repo(&gate, "alpha")["jobs"]["failed"].clone();
    assert_eq!(failed(), 1);
    gate.run(&["job", "add", "1", "fixer"]).succeeds();
    assert_eq!(failed(), 1, "another agent's job is not in its place");
    gate.run(&["job", "add", "1", "analyst"]).succeeds();
    assert_eq!(failed(), 0);
    let explained = gate.run(&["explain", "1"]).succeeds().stdout;
    assert!(!explained.contains("requeue"), "{explained}");
}

#[test]
fn a_failed_job_of_a_finished_task_is_history() {
    for stage in ["done", "shipped"] {
        let gate = two_tasks();
        let rules = ["--rules", r#"{"finished_stages":["done","shipped"]}"#];
        fail(&gate, "boom");
        let set = format!("UPDATE tasks SET stage = '{stage}' WHERE id = 1");
        execute(&gate, &set);
        let queue = gate
            .run(&[&rules[..], &["queue", "--json"]].concat())
            .succeeds()
            .json();
        let alpha = &queue["per_repo"]["alpha"];
        assert_eq!(alpha["jobs"]["failed"], 0, "{stage}");
        assert_eq!(alpha["active_task"]["task_id"], 2, "{stage}");
        let explained = gate
            .run(&[&rules[..], &["explain", "1"]].concat())
            .succeeds()
            .stdout;
        assert!(!explained.contains("requeue"), "{stage}: {explained}");
    }
}

#[test]
fn a_task_in_front_in_a_stage_that_the_rules_do_not_finish_is_told_as_the_one_in_front() {
    let gate = two_tasks();
    execute(&gate, "UPDATE tasks SET stage = 'done' WHERE id = 1");
    let rules = ["--rules", r#"{"finished_stages":["merged"]}"#];
    let queue = gate
        .run(&[&rules[..], &["queue", "--json"]].concat())
        .succeeds()
        .json();
    let active = &queue["per_repo"]["alpha"]["active_task"];
    assert_eq!(
        [&active["task_id"], &active["looks_like"]],
        [&json!(1), &json!("merged")]
    );
}

#[test]
fn a_job_that_another_program_claimed_has_neither_the_worker_nor_the_lease_of_an_earlier_claim() {
    for before in [
        "gate_worker = 'w-0', gate_claimed_at = '2001-01-01 00:00:00'",
        "gate_put_off = 3, gate_error = 'away'",
        "gate_outcome = 'failed', gate_token = 'old', gate_worker = 'w-0'",
    ] {
        let gate = two_tasks();
        execute(&gate, &format!("UPDATE jobs SET {before} WHERE id = 1"));
        execute(&gate, "UPDATE jobs SET status = 'running' WHERE id = 1");
        let work = repo(&gate, "alpha")["active_task"]["work"].clone();
        assert_eq!(
            [
                &work["state"],
                &work["worker"],
                &work["since"],
                &work["lease_until"]
            ],
            [&json!("foreign"), &Value::Null, &Value::Null, &Value::Null],
            "{before}"
        );
    }
}

#[test]
fn a_status_that_only_another_program_knows_is_not_said_to_run_unless_it_means_an_end() {
    for (status, expected) in [
        ("'processing'", "foreign"),
        ("'Running'", "foreign"),
        ("'pending'", "foreign"),
        ("NULL", "foreign"),
        ("x'00ff'", "foreign"),
        ("'completed'", "finished"),
        ("'Success'", "finished"),
        ("'cancelled'", "finished"),
    ] {
        let gate = two_tasks();
        execute(
            &gate,
            &format!("UPDATE jobs SET status = {status} WHERE id = 1"),
        );
        assert_eq!(state(&gate), expected, "{status}");
        // No job of such a status can be requeued.
        let explained = gate.run(&["explain", "2"]).exits(3).stdout;
        assert!(!explained.contains("job requeue"), "{status}: {explained}");
    }
}

#[test]
fn a_job_that_runs_comes_before_one_that_failed_and_one_that_waits() {
    let gate = two_tasks();
    execute(
        &gate,
        "INSERT INTO jobs (task_id, repo, agent, status, gate_lease_until, gate_worker) VALUES
            (1, 'alpha', 'developer', 'running', '9000-01-01 00:00:00', 'w-9'),
            (1, 'alpha', 'reviewer', 'failed', NULL, NULL),
            (1, 'alpha', 'tester', 'queued', NULL, NULL)",
    );
    let work = repo(&gate, "alpha")["active_task"]["work"].clone();
    assert_eq!(
        [&work["state"], &work["job_id"]],
        [&json!("running"), &json!(3)]
    );
    let others = work["others"].as_array().unwrap().iter();
    let others: Vec<_> = others.map(|job| job["job_id"].as_i64().unwrap()).collect();
    assert_eq!(others, [5, 4, 1], "the newest comes first");
}

#[test]
fn a_job_that_runs_in_a_repo_where_nothing_waits_is_listed_and_so_is_one_without_a_repo() {
    let gate = Gate::new();
    execute(
        &gate,
        "INSERT INTO tasks (id, repo, stage) VALUES (1, 'alpha', 'done');
         INSERT INTO jobs (task_id, repo, agent, status) VALUES (1, 'alpha', 'deployer', 'running');
         INSERT INTO jobs (repo, agent, status) VALUES (NULL, 'cleaner', 'running'), ('', 'cleaner', 'running')",
    );
    let queue = gate.run(&["queue", "--json"]).succeeds().json();
    assert_eq!(queue["per_repo"]["alpha"]["other_work"][0]["job_id"], 1);
    assert_eq!(queue["others"]["work"].as_array().unwrap().len(), 2);
    let shown = gate.run(&["queue"]).succeeds().stdout;
    for part in [
        "alpha",
        "job 1 for `deployer`",
        "without a repo: job 2 for `cleaner`",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_long_history_hides_nothing_that_is_open() {
    let gate = two_tasks();
    execute(
        &gate,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO jobs (task_id, repo, agent, status) SELECT 1, 'alpha', 'agent-' || (i % 7), 'failed' FROM n;
         INSERT INTO jobs (task_id, repo, agent, status) VALUES (1, 'alpha', 'developer', 'failed')",
    );
    let alpha = repo(&gate, "alpha");
    assert_eq!(alpha["active_task"]["work"]["agent"], "developer");
    assert_eq!(alpha["jobs"]["failed"], 8, "the last one of each agent");
}

#[test]
fn what_other_programs_write_into_a_job_moves_no_cursor_and_is_not_shown_at_any_length() {
    let gate = two_tasks();
    let token = claimed(&gate);
    let error = format!("\u{1b}[2J{}", "x".repeat(10_000));
    gate.run(&["job", "fail", "1", "--token", &token, "--error", &error])
        .succeeds();
    let shown = gate.run(&["queue"]).succeeds().stdout;
    assert!(!shown.contains('\u{1b}') && shown.len() < 2_000, "{shown}");
    let explained = gate.run(&["explain", "2"]).exits(3).stdout;
    assert!(!explained.contains('\u{1b}'), "{explained}");
}

#[test]
fn in_a_repo_out_of_scope_the_queue_says_that_the_gate_does_not_act() {
    let gate = two_tasks();
    let scoped = gate.run(&["--repos", "beta", "queue"]).succeeds().stdout;
    assert!(scoped.contains("the gate does not act here"), "{scoped}");
    let all = gate.run(&["queue"]).succeeds().stdout;
    assert!(!all.contains("does not act"), "{all}");
}

#[test]
fn no_number_of_jobs_that_have_ended_hides_an_older_one_that_has_not() {
    for (status, expected) in [
        ("running", "foreign"),
        ("failed", "failed"),
        ("queued", "queued"),
        ("in_progress", "foreign"),
    ] {
        let gate = two_tasks();
        execute(
            &gate,
            &format!(
                "UPDATE jobs SET status = '{status}' WHERE id = 1;
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
                 INSERT INTO jobs (task_id, repo, agent, status) SELECT 1, 'alpha', 'other', 'done' FROM n"
            ),
        );
        assert_eq!(state(&gate), expected, "{status}");
    }
}

#[test]
fn what_runs_and_what_failed_is_counted_whole() {
    let gate = Gate::new();
    execute(
        &gate,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10005)
         INSERT INTO tasks (id, repo, stage) SELECT i, 'alpha', 'review' FROM n;
         INSERT INTO jobs (task_id, repo, agent, status) SELECT id, 'alpha', 'x', 'failed' FROM tasks;
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10005)
         INSERT INTO jobs (task_id, repo, agent, status) SELECT NULL, 'beta', 'x', 'running' FROM n",
    );
    assert_eq!(repo(&gate, "alpha")["jobs"]["failed"], 10_005);
    let beta = repo(&gate, "beta");
    assert_eq!(beta["jobs"]["foreign"], 10_005);
    assert_eq!(beta["more_work"], 9_985);
    let shown = gate.run(&["queue"]).succeeds().stdout;
    assert!(shown.contains("and 9985 more jobs"), "{shown}");
}

#[test]
fn a_job_is_listed_that_failed_without_a_task_or_whose_task_has_no_row_or_no_stage() {
    for (task, row) in [
        ("NULL", ""),
        ("77", ""),
        (
            "77",
            "INSERT INTO tasks (id, repo, stage) VALUES (77, 'alpha', NULL);",
        ),
    ] {
        for status in ["failed", "error"] {
            let gate = Gate::new();
            execute(
                &gate,
                &format!(
                    "{row} INSERT INTO jobs (task_id, repo, agent, status) VALUES ({task}, 'alpha', 'x', '{status}')"
                ),
            );
            let other = repo(&gate, "alpha")["other_work"][0].clone();
            assert_eq!(other["job_id"], 1, "{task}, {row}, {status}");
        }
    }
}

#[test]
fn another_program_s_status_is_counted_where_nothing_waits() {
    for status in ["error", "in_progress", "pending"] {
        let gate = Gate::new();
        gate.run(&["task", "add", "alpha"]).succeeds();
        execute(&gate, &format!("UPDATE jobs SET status = '{status}'"));
        assert_eq!(repo(&gate, "alpha")["jobs"]["foreign"], 1, "{status}");
        execute(&gate, "UPDATE tasks SET stage = 'done'");
        assert_eq!(repo(&gate, "alpha"), Value::Null, "{status}");
    }
}

#[test]
fn a_job_in_another_repo_than_its_task_is_shown_once() {
    let gate = two_tasks();
    execute(
        &gate,
        "UPDATE jobs SET status = 'running', repo = 'beta' WHERE id = 1",
    );
    assert_eq!(state(&gate), "foreign");
    let beta = repo(&gate, "beta");
    assert_eq!(beta["other_work"], Value::Null);
    assert_eq!(beta["jobs"]["foreign"], 1);
}
