//! The life of a job: claimed with a token, kept, ended, lost, put back at its place.

use serde_json::json;
use serial_gate::clause::Clause;

use super::end_leases;
use crate::support::engine::Does;
use crate::support::look::value;
use crate::support::{Gate, token};

fn claim(gate: &Gate) -> serde_json::Value {
    gate.run(&["claim", "--json"]).succeeds().json()
}

#[test]
fn a_task_comes_with_its_first_job_queued() {
    let gate = Gate::new();
    let added = gate
        .run(&["task", "add", "alpha", "--work-item", "W-1", "--json"])
        .succeeds()
        .json();
    assert_eq!(
        added,
        json!({ "task_id": 1, "job_id": 1, "work_item_id": "W-1" })
    );
    let job = claim(&gate);
    assert_eq!(
        [
            &job["id"],
            &job["task_id"],
            &job["repo"],
            &job["agent"],
            &job["work_item_id"],
            &job["attempt"]
        ],
        [
            &json!(1),
            &json!(1),
            &json!("alpha"),
            &json!("analyst"),
            &json!("W-1"),
            &json!(1)
        ]
    );
}

#[test]
fn the_second_task_of_a_repo_is_held_until_the_first_is_done() {
    let gate = Gate::new();
    for repo in ["alpha", "alpha", "beta"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    let claimed = gate
        .run(&["claim", "--max", "9", "--json"])
        .succeeds()
        .json_lines();
    assert_eq!(
        claimed.iter().map(|job| &job["id"]).collect::<Vec<_>>(),
        [1, 3]
    );
    gate.run(&["claim"]).exits(3);
    gate.run(&["task", "stage", "1", "review"]).succeeds();
    gate.run(&["claim"]).exits(3);
    gate.run(&["task", "done", "1", "--force", "--reason", "merged"])
        .succeeds();
    assert_eq!(claim(&gate)["id"], 2);
}

#[test]
fn other_agents_jobs_of_the_active_task_pass_the_gate_even_in_a_frozen_repo() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["freeze", "alpha", "--new", "--reason", "bad deploy"])
        .succeeds();
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    assert_eq!(claim(&gate)["agent"], "developer");
    gate.run(&["claim"]).exits(3);
}

#[test]
fn a_stale_token_is_refused_and_changes_nothing() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let first = token(&claim(&gate));
    gate.run(&["job", "requeue", "1"]).succeeds();
    for verb in ["finish", "fail", "heartbeat"] {
        let ran = gate.run(&["job", verb, "1", "--token", &first]).exits(1);
        assert!(
            ran.stderr.contains("is not the one of job 1's claim"),
            "{}",
            ran.stderr
        );
    }
    let second = claim(&gate);
    assert_ne!(token(&second), first);
    assert_eq!(second["attempt"], 2);
    gate.run(&["job", "finish", "1", "--token", &first])
        .exits(1);
    gate.run(&["job", "finish", "1", "--token", &token(&second)])
        .succeeds();
}

#[test]
fn a_token_of_another_job_is_refused() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "add", "beta"]).succeeds();
    let (first, second) = (claim(&gate), claim(&gate));
    assert_ne!(first["token"], second["token"]);
    gate.run(&["job", "finish", "2", "--token", &token(&first)])
        .exits(1);
}

#[test]
fn a_job_whose_lease_ran_out_is_claimed_again_at_its_old_place() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "add", "beta"]).succeeds();
    let lost = claim(&gate);
    end_leases(&gate);
    let again = gate.run(&["claim", "--json"]).succeeds().json();
    assert_eq!(
        (&lost["id"], &again["id"], &again["attempt"]),
        (&json!(1), &json!(1), &json!(2))
    );
    let ran = gate
        .run(&["job", "finish", "1", "--token", &token(&lost)])
        .exits(1);
    assert!(
        ran.stderr
            .contains("the lease ran out or the job was requeued"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_heartbeat_prolongs_the_lease() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let job = claim(&gate);
    end_leases(&gate);
    let token = token(&job);
    gate.run(&["job", "heartbeat", "1", "--token", &token, "--lease", "1h"])
        .succeeds();
    gate.run(&["claim"]).exits(3);
    gate.run(&["job", "finish", "1", "--token", &token])
        .succeeds();
}

#[test]
fn a_failed_job_keeps_its_error_and_its_place() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "add", "beta"]).succeeds();
    let token = token(&claim(&gate));
    gate.run(&[
        "job",
        "fail",
        "1",
        "--token",
        &token,
        "--error",
        "tests are red",
    ])
    .succeeds();
    let error = value(&gate, "SELECT gate_error FROM jobs WHERE id = 1");
    assert_eq!(error.as_deref(), Some("tests are red"));
    gate.run(&["job", "requeue", "1"]).succeeds();
    assert_eq!(claim(&gate)["id"], 1);
}

#[test]
fn a_waiting_worker_gets_the_job_that_another_process_lets_through() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    claim(&gate);
    let waiting = gate.spawn(&["claim", "--wait", "60", "--json"]);
    gate.run(&["task", "done", "1", "--force", "--reason", "merged"])
        .succeeds();
    let output = waiting.wait_with_output().unwrap();
    let job: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(job["id"], 2);
}

#[test]
fn a_worker_that_waits_in_vain_says_that_there_was_nothing() {
    let ran = Gate::new().run(&["claim", "--wait", "1"]).exits(3);
    assert_eq!(
        ran.stdout,
        "nothing to claim: `serial-gate queue` shows what waits, and why\n"
    );
}

#[test]
fn a_claim_that_nobody_can_hear_of_is_put_back() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let ran = gate.run_in_shell("serial-gate claim --json >/dev/full");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .starts_with("error: cannot print job 1, so it was put back"),
        "{}",
        ran.stderr
    );
    assert_eq!(claim(&gate)["id"], 1);
}

#[test]
fn a_trigger_that_swallows_the_claim_is_an_error_and_no_claim() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.program()
        .trigger("no", "BEFORE UPDATE ON jobs", None, &Does::Ignore);
    let ran = gate.run(&["claim", "--json"]).exits(1);
    assert_eq!(ran.stdout, "");
}

#[test]
fn an_attempt_that_cannot_be_counted_further_stalls_nobody() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    for attempt in ["9223372036854775807", "'x'", "1.5"] {
        let sql = format!("UPDATE jobs SET status = 'queued', gate_attempt = {attempt}");
        if !gate.program().takes(sql) {
            continue;
        }
        assert_eq!(claim(&gate)["id"], 1);
    }
}

#[test]
fn what_a_clause_counts_or_compares_decides_who_may_be_claimed() {
    let gate = Gate::new();
    gate.program().run(
        "INSERT INTO tasks (repo, stage, gate_label) VALUES
                ('alpha', 'review', NULL), ('alpha', 'analysis', 'hotfix'), ('beta', 'analysis', \
                NULL);
             INSERT INTO jobs (task_id, repo, agent, status) VALUES
                (1, 'alpha', 'reviewer', 'running'), (1, 'alpha', 'reviewer', 'running'),
                (2, 'alpha', 'analyst', 'queued'), (3, 'beta', 'analyst', 'queued');",
    );
    let mut store = gate.store();
    let mut claimable = |text: &str| {
        let clause = Clause::accept(text).unwrap().render(store.dialect());
        store.check_clause(&clause).unwrap();
        store.claimable(&clause).unwrap()
    };
    let running = "(SELECT count(*) FROM jobs r WHERE r.repo = jobs.repo AND r.status = 'running')";
    assert_eq!(claimable(&format!("{running} >= 0")), [3, 4]);
    assert_eq!(claimable(&format!("{running} < 2")), [4]);
    assert_eq!(claimable(&format!("NOT {running} < 2")), [3]);
    let first = "(SELECT min(t.id) FROM tasks t WHERE t.repo = jobs.repo)";
    assert_eq!(claimable(&format!("jobs.task_id = {first}")), [4]);
    let last = "(SELECT max(t.stage) FROM tasks t WHERE t.repo = jobs.repo)";
    assert_eq!(claimable(&format!("{last} = 'review'")), [3]);
    let label =
        "EXISTS (SELECT 1 FROM tasks t WHERE t.id = jobs.task_id AND t.gate_label = 'hotfix')";
    assert_eq!(claimable(label), [3]);
}

#[test]
fn a_worker_that_names_an_agent_gets_its_jobs_only() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "add", "beta", "--agent", "developer"])
        .succeeds();
    let claim = |agent: &str| gate.run(&["claim", "--agent", agent, "--json"]);
    assert_eq!(claim("developer").succeeds().json()["id"], 2);
    claim("developer").exits(3);
    assert_eq!(claim("analyst").succeeds().json()["id"], 1);
}

#[test]
fn statistics_of_tables_with_few_rows_stop_no_claim() {
    let gate = Gate::new();
    gate.program().run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 59000)
            INSERT INTO tasks (repo, stage) SELECT 'repo-' || (i % 500), 'done' FROM n;
         INSERT INTO repo_freeze (repo, reason) VALUES ('repo-1', 'down'), ('repo-2', 'down');",
    );
    gate.run(&["task", "add", "repo-3"]).succeeds();
    gate.program().run("ANALYZE");
    assert_eq!(claim(&gate)["id"], 1);
    gate.run(&["queue"]).succeeds();
    // The same of few tasks, and of the other rules.
    gate.program().run(
        "DELETE FROM tasks WHERE id > 2 AND id < 59001;
         INSERT INTO jobs (repo, agent, status) SELECT repo, 'developer', 'done' FROM jobs",
    );
    gate.run(&["task", "add", "repo-4"]).succeeds();
    gate.program().run("ANALYZE");
    for policy in ["hotfix-lane", "wip-limit"] {
        let policy = format!("builtin:{policy}");
        gate.run(&["policy", "swap", &policy, "--reason", "r"])
            .succeeds();
        gate.run(&["queue"]).succeeds();
    }
    assert_eq!(claim(&gate)["task_id"], 59_002);
}
