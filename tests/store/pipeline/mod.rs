//! The pipeline: which end of a job moves its task, and where to.

mod killed;
mod late;
mod model;
mod refused;
mod retries;

use std::thread;

use serde_json::{Value, json};

use crate::support::look::value;
use crate::support::{Gate, Ran, token};

const STAGES: [&str; 3] = [
    "analysis=analyst",
    "development=developer",
    "review=reviewer",
];

/// A queue with a pipeline, and task 1 (A-1) in its first stage.
fn gate(options: &[&str]) -> Gate {
    let gate = Gate::new();
    let set = [&["pipeline", "set"], &STAGES[..], options].concat();
    gate.run(&set).succeeds();
    add(&gate, "A-1");
    gate
}

fn add(gate: &Gate, name: &str) {
    gate.run(&["task", "add", "alpha", "--work-item", name])
        .succeeds();
}

/// Claims the first job of an agent: the job and its token.
#[track_caller]
fn claim(gate: &Gate, agent: &str) -> (String, String) {
    let claimed = gate.run(&["claim", "--agent", agent, "--worker", "w", "--json"]);
    let claimed = claimed.succeeds().json();
    (claimed["id"].to_string(), token(&claimed))
}

fn finish(gate: &Gate, (job, token): &(String, String), options: &[&str]) -> Ran {
    gate.run(&[&["job", "finish", job, "--token", token], options].concat())
}

/// Claims and finishes the first job of an agent, and returns what is said.
#[track_caller]
fn do_job(gate: &Gate, agent: &str, options: &[&str]) -> String {
    let claimed = claim(gate, agent);
    finish(gate, &claimed, options).succeeds().stdout
}

fn stage(gate: &Gate) -> String {
    value(gate, "SELECT stage FROM tasks WHERE id = 1").unwrap()
}

/// The jobs in order: `analyst done, developer queued`.
fn jobs(gate: &Gate) -> String {
    let sql = "SELECT string_agg(agent || ' ' || status, ', ') FROM (
        SELECT agent, status FROM jobs ORDER BY id) AS ordered";
    value(gate, sql).unwrap()
}

#[test]
fn a_job_that_is_done_moves_its_task_and_queues_the_next_agents_job() {
    let gate = gate(&[]);
    insta::assert_snapshot!(do_job(&gate, "analyst", &[]), @r"
    job 1 is done
    task 1 (A-1) is in development: job 2 for `developer` is queued
    ");
    insta::assert_snapshot!(do_job(&gate, "developer", &[]), @r"
    job 2 is done
    task 1 (A-1) is in review: job 3 for `reviewer` is queued
    ");
    insta::assert_snapshot!(do_job(&gate, "reviewer", &[]), @r"
    job 3 is done
    task 1 (A-1) waits to be merged: when it is, serial-gate task done 1
    ");
    assert_eq!(stage(&gate), "merge");
    assert_eq!(jobs(&gate), "analyst done, developer done, reviewer done");
    let moves = "SELECT string_agg(before || '>' || after || ' ' || why, ', ') FROM (
        SELECT before, after, why FROM serial_gate_audit WHERE action = 'task stage' ORDER BY id
        ) AS ordered";
    insta::assert_snapshot!(value(&gate, moves).unwrap(), @"analysis>development job 1 is done, development>review job 2 is done, review>merge job 3 is done");
    gate.run(&["task", "done", "1"]).succeeds();
}

#[test]
fn the_next_task_starts_when_the_last_job_of_the_one_before_ends_it() {
    let gate = gate(&["--then", "done"]);
    add(&gate, "A-2");
    for agent in ["analyst", "developer"] {
        do_job(&gate, agent, &[]);
    }
    gate.run(&["claim", "--agent", "analyst"]).exits(3);
    insta::assert_snapshot!(do_job(&gate, "reviewer", &[]), @r"
    job 4 is done
    task 1 (A-1) is done
    ");
    assert_eq!(stage(&gate), "done");
    claim(&gate, "analyst");
}

#[test]
fn the_same_end_again_has_the_same_answer_and_moves_nothing() {
    let gate = gate(&[]);
    let job = claim(&gate, "analyst");
    let said = |options: &[&str]| finish(&gate, &job, &[&["--json"], options].concat());
    let first = said(&[]).succeeds().json();
    let next = json!({"id": 2, "agent": "developer"});
    assert_eq!(
        first,
        json!({"job_id": 1, "status": "done", "lease_until": null, "task_id": 1,
            "stage": "development", "next_job": next})
    );
    do_job(&gate, "developer", &[]);
    assert_eq!(said(&[]).succeeds().json(), first);
    assert_eq!(stage(&gate), "review");
    let other = said(&["--stage", "analysis"]).exits(1).stderr;
    assert!(other.contains("job 1 has ended already"), "{other}");
    assert_eq!(jobs(&gate), "analyst done, developer done, reviewer queued");
}

#[test]
fn a_reviewer_sends_work_back_once() {
    let gate = gate(&[]);
    do_job(&gate, "analyst", &[]);
    do_job(&gate, "developer", &[]);
    let review = claim(&gate, "reviewer");
    let back = ["--stage", "development"];
    let said = finish(&gate, &review, &back).succeeds().stdout;
    insta::assert_snapshot!(said, @r"
    job 3 is done
    task 1 (A-1) is in development: job 4 for `developer` is queued
    ");
    assert_eq!(finish(&gate, &review, &back).succeeds().stdout, said);
    // `work` does this after its command has sent the task back itself.
    assert_eq!(finish(&gate, &review, &[]).succeeds().stdout, said);
    finish(&gate, &review, &["--stage", "analysis"]).exits(1);
    assert_eq!(
        jobs(&gate),
        "analyst done, developer done, reviewer done, developer queued"
    );
    do_job(&gate, "developer", &[]);
    assert_eq!(stage(&gate), "review");
}

#[test]
fn without_a_pipeline_a_job_moves_its_task_to_the_stage_that_its_worker_names() {
    let gate = Gate::new();
    add(&gate, "A-1");
    add(&gate, "A-2");
    let said = do_job(&gate, "analyst", &["--stage", "testing"]);
    insta::assert_snapshot!(said, @r"
    job 1 is done
    task 1 (A-1) is in testing
    ");
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    insta::assert_snapshot!(do_job(&gate, "developer", &["--stage", "Done"]), @r"
    job 3 is done
    task 1 (A-1) is in Done
      `Done` is not a finished stage (`done` is): the task holds later tasks of `alpha` until `task done` ends it
    ");
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    insta::assert_snapshot!(do_job(&gate, "developer", &["--stage", "done"]), @r"
    job 4 is done
    task 1 (A-1) is done
    ");
    claim(&gate, "analyst");
}

#[test]
fn a_worker_ends_no_task_on_which_another_works() {
    let gate = gate(&[]);
    gate.run(&["job", "add", "1", "tester"]).succeeds();
    let analyst = claim(&gate, "analyst");
    claim(&gate, "tester");
    let ran = finish(&gate, &analyst, &["--stage", "done"]).exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: job 1 was not ended: task 1 (A-1) cannot end while its job 2 is running on worker `w`; end the job without a stage, or wait");
    assert_eq!(jobs(&gate), "analyst running, tester running");
}

#[test]
fn a_job_whose_end_would_end_a_task_on_which_another_works_ends_alone() {
    let gate = Gate::new();
    gate.run(&["pipeline", "set", "work=analyst", "--then", "done"])
        .succeeds();
    add(&gate, "A-1");
    gate.run(&["job", "add", "1", "tester"]).succeeds();
    let analyst = claim(&gate, "analyst");
    let tester = claim(&gate, "tester");
    let said = || finish(&gate, &analyst, &[]).succeeds().stdout;
    let first = said();
    insta::assert_snapshot!(first, @r"
    job 1 is done
      another job of its task still runs: the task ends with that
    ");
    assert_eq!(said(), first);
    assert_eq!(stage(&gate), "work");
    insta::assert_snapshot!(finish(&gate, &tester, &[]).succeeds().stdout, @r"
    job 2 is done
    task 1 (A-1) is done
    ");
}

#[test]
fn a_task_stays_while_the_agent_of_its_stage_has_another_job() {
    let gate = gate(&[]);
    do_job(&gate, "analyst", &[]);
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    assert_eq!(do_job(&gate, "developer", &[]), "job 2 is done\n");
    assert_eq!(stage(&gate), "development");
    do_job(&gate, "developer", &[]);
    assert_eq!(stage(&gate), "review");
}

#[test]
fn a_failed_job_keeps_its_task_until_it_is_done_or_a_later_one_is() {
    for again in [
        &["job", "requeue", "3"][..],
        &["job", "add", "1", "developer"],
    ] {
        let gate = gate(&[]);
        do_job(&gate, "analyst", &[]);
        gate.run(&["job", "add", "1", "developer"]).succeeds();
        let (first, second) = (claim(&gate, "developer"), claim(&gate, "developer"));
        gate.run(&["job", "fail", &second.0, "--token", &second.1])
            .succeeds();
        finish(&gate, &first, &[]).succeeds();
        assert_eq!(stage(&gate), "development");
        gate.run(again).succeeds();
        do_job(&gate, "developer", &[]);
        assert_eq!(stage(&gate), "review", "{again:?}");
    }
}

#[test]
fn only_the_stage_s_own_agent_moves_the_task() {
    let gate = gate(&[]);
    gate.run(&["job", "add", "1", "tester"]).succeeds();
    assert_eq!(do_job(&gate, "tester", &[]), "job 2 is done\n");
    gate.run(&["task", "stage", "1", "elsewhere"]).succeeds();
    assert_eq!(do_job(&gate, "analyst", &[]), "job 1 is done\n");
    assert_eq!(stage(&gate), "elsewhere");
}

#[test]
fn a_job_that_was_added_early_is_the_next_one() {
    let gate = gate(&[]);
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    let said = do_job(&gate, "analyst", &[]);
    assert!(said.contains("job 2 for `developer`"), "{said}");
    assert_eq!(jobs(&gate), "analyst done, developer queued");
}

#[test]
fn another_program_s_sql_moves_nothing() {
    let gate = gate(&[]);
    let program = gate.program();
    program.run("UPDATE jobs SET status = 'done'");
    assert_eq!(
        (stage(&gate).as_str(), jobs(&gate).as_str()),
        ("analysis", "analyst done")
    );
}

#[test]
fn a_changed_pipeline_counts_from_the_next_end() {
    let gate = gate(&[]);
    do_job(&gate, "analyst", &[]);
    gate.run(&[
        "pipeline",
        "set",
        "analysis=analyst",
        "development=developer",
        "qa=tester",
    ])
    .succeeds();
    do_job(&gate, "developer", &[]);
    assert_eq!(stage(&gate), "qa");
    gate.run(&["pipeline", "clear", "--reason", "no more"])
        .succeeds();
    do_job(&gate, "tester", &[]);
    assert_eq!(stage(&gate), "qa");
    let last = "SELECT action || ': ' || before || ' (' || why || ')' FROM serial_gate_audit
        ORDER BY id DESC LIMIT 1";
    insta::assert_snapshot!(value(&gate, last).unwrap(), @"pipeline clear: analysis=analyst development=developer qa=tester, then merge (no more)");
}

#[test]
fn a_new_task_begins_in_the_first_stage_unless_it_is_said_otherwise() {
    let gate = Gate::new();
    gate.run(&["pipeline", "set", "plan=planner", "work=worker"])
        .succeeds();
    let begins = |options: &[&str]| -> String {
        gate.run(&[&["task", "add", "alpha"], options].concat())
            .succeeds();
        let sql = "SELECT stage || ' ' || agent FROM tasks JOIN jobs ON jobs.task_id = tasks.id
            ORDER BY tasks.id DESC LIMIT 1";
        value(&gate, sql).unwrap()
    };
    assert_eq!(begins(&[]), "plan planner");
    assert_eq!(begins(&["--stage", "work"]), "work worker");
    assert_eq!(begins(&["--agent", "other"]), "plan other");
    assert_eq!(
        begins(&["--stage", "else", "--agent", "other"]),
        "else other"
    );
}

#[test]
fn a_task_in_the_pipeline_has_the_remedy_of_its_stage() {
    let gate = gate(&[]);
    gate.program().run("UPDATE jobs SET status = 'done'");
    add(&gate, "A-2");
    insta::assert_snapshot!(gate.run(&["queue"]).succeeds().stdout, @"
    alpha  active: task 1 (A-1) in analysis
    all its jobs have ended
      if task 1 (A-1) is not over, add its next job: serial-gate job add 1 analyst
      when the work of task 1 (A-1) is merged: serial-gate task done 1
    JOB  TASK  WORK ITEM  STAGE     VERDICT
    2    2     A-2        analysis  held: task 1 (A-1) comes first
    ");
    gate.run(&["task", "stage", "1", "merge"]).succeeds();
    insta::assert_snapshot!(gate.run(&["queue"]).succeeds().stdout, @"
    alpha  active: task 1 (A-1) in merge
    all its jobs have ended
      task 1 (A-1) waits to be merged; when it is: serial-gate task done 1
    JOB  TASK  WORK ITEM  STAGE     VERDICT
    2    2     A-2        analysis  held: task 1 (A-1) comes first
    ");
    let advice = gate.run(&["explain", "2", "--json"]).exits(3).json();
    assert_eq!(advice["advice"][0]["remedy"], "merge");
}

#[test]
fn two_last_jobs_that_end_at_the_same_moment_move_the_task_once() {
    for round in 0..10 {
        let gate = gate(&[]);
        gate.run(&["job", "add", "1", "analyst"]).succeeds();
        let claims = [claim(&gate, "analyst"), claim(&gate, "analyst")];
        let answers: Vec<Value> = thread::scope(|scope| {
            let ends = claims
                .each_ref()
                .map(|claim| scope.spawn(|| finish(&gate, claim, &["--json"]).succeeds().json()));
            ends.into_iter().map(|end| end.join().unwrap()).collect()
        });
        let moved = answers
            .iter()
            .filter(|answer| answer["stage"] == "development");
        assert_eq!(moved.count(), 1, "{round}: {answers:?}");
        assert_eq!(jobs(&gate), "analyst done, analyst done, developer queued");
    }
}

#[test]
fn a_task_that_ends_by_hand_while_its_last_job_ends_is_over() {
    for _ in 0..10 {
        let gate = gate(&["--then", "done"]);
        do_job(&gate, "analyst", &[]);
        gate.run(&["task", "stage", "1", "review"]).succeeds();
        gate.run(&["job", "add", "1", "reviewer"]).succeeds();
        let review = claim(&gate, "reviewer");
        let force = ["task", "done", "1", "--force", "--reason", "merged"];
        thread::scope(|scope| {
            scope.spawn(|| gate.run(&force).succeeds());
            scope.spawn(|| finish(&gate, &review, &[]));
        });
        assert_eq!(stage(&gate), "done");
        let jobs = jobs(&gate);
        assert!(
            !jobs.contains("queued") && !jobs.contains("running"),
            "{jobs}"
        );
    }
}
