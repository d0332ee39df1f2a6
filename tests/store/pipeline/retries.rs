//! Failed attempts: when a job is tried again, and when it has failed.

use super::{add, claim, gate, jobs, stage};
use crate::store::end_leases;
use crate::support::look::{count, value};
use crate::support::{Gate, Ran};

fn fail(gate: &Gate, (job, token): &(String, String), options: &[&str]) -> Ran {
    let fail = [
        "job",
        "fail",
        job,
        "--token",
        token,
        "--error",
        "tests are red",
    ];
    gate.run(&[&fail, options].concat())
}

/// Without the times.
fn told(ran: Ran) -> String {
    let said = ran.succeeds().stdout;
    let words = said.split(' ').collect::<Vec<_>>().join(" ");
    let mut parts = words.splitn(2, "after 20");
    let begin = parts.next().unwrap().to_owned();
    match parts.next() {
        None => begin,
        Some(rest) => format!("{begin}after TIME{}", &rest[rest.find(" UTC").unwrap()..]),
    }
}

#[test]
fn a_job_is_tried_again_until_its_last_attempt_has_failed() {
    let gate = gate(&["--attempts", "3"]);
    let mut said = String::new();
    for _ in 0..3 {
        said += &told(fail(&gate, &claim(&gate, "analyst"), &[]));
        said += &told(gate.run(&["queue"]));
        end_leases(&gate);
    }
    insta::assert_snapshot!(said, @r"
    job 1 is tried again after TIME UTC: attempt 1 of 3 failed: tests are red
    alpha  active: task 1 (A-1) in analysis
    job 1 for `analyst` is tried again after TIME UTC: attempt 1 of 3 failed: tests are red
    job 1 is tried again after TIME UTC: attempt 2 of 3 failed: tests are red
    alpha  active: task 1 (A-1) in analysis
    job 1 for `analyst` is tried again after TIME UTC: attempt 2 of 3 failed: tests are red
    job 1 failed
      to try it again: serial-gate job requeue 1
    alpha  active: task 1 (A-1) in analysis
    job 1 for `analyst` failed on `w`: attempt 3 of 3: tests are red
      when the cause is gone, try job 1 again: serial-gate job requeue 1
    ");
    assert_eq!(jobs(&gate), "analyst failed");
    assert_eq!(count(&gate, "serial_gate_alert"), 1);
    gate.run(&["job", "requeue", "1"]).succeeds();
    let said = told(fail(&gate, &claim(&gate, "analyst"), &[]));
    assert!(said.contains("attempt 1 of 3"), "{said}");
}

#[test]
fn a_failed_attempt_is_told_again_in_the_same_words() {
    let gate = gate(&["--attempts", "2"]);
    let job = claim(&gate, "analyst");
    let first = fail(&gate, &job, &["--json"]).succeeds().json();
    assert_eq!(first["status"], "put_off");
    assert_eq!(fail(&gate, &job, &["--json"]).succeeds().json(), first);
    gate.run(&["job", "finish", "1", "--token", &job.1])
        .exits(1);
    end_leases(&gate);
    // The claim of another agent puts it back.
    gate.run(&["claim", "--agent", "other"]).exits(3);
    assert_eq!(jobs(&gate), "analyst queued");
    assert_eq!(fail(&gate, &job, &["--json"]).succeeds().json(), first);
    let again = claim(&gate, "analyst");
    fail(&gate, &job, &[]).exits(1);
    gate.run(&["job", "finish", "1", "--token", &again.1])
        .succeeds();
    assert_eq!(stage(&gate), "development");
}

#[test]
fn a_worker_may_name_another_number_of_attempts() {
    for (pipeline, options, status) in [
        (None, &[][..], "failed"),
        (None, &["--attempts", "2"], "running"),
        (Some("3"), &["--attempts", "1"], "failed"),
        (Some("3"), &[], "running"),
    ] {
        let gate = Gate::new();
        if let Some(attempts) = pipeline {
            let set = [
                "pipeline",
                "set",
                "analysis=analyst",
                "--attempts",
                attempts,
            ];
            gate.run(&set).succeeds();
        }
        add(&gate, "A-1");
        fail(&gate, &claim(&gate, "analyst"), options).succeeds();
        assert_eq!(
            jobs(&gate),
            format!("analyst {status}"),
            "{pipeline:?} {options:?}"
        );
    }
}

#[test]
fn nobody_tries_a_job_of_a_finished_task_again() {
    let gate = gate(&["--attempts", "3"]);
    let job = claim(&gate, "analyst");
    gate.program().run("UPDATE tasks SET stage = 'done'");
    fail(&gate, &job, &[]).succeeds();
    assert_eq!(jobs(&gate), "analyst failed");
}

#[test]
fn a_task_may_end_while_its_job_waits_for_another_attempt() {
    let gate = gate(&["--attempts", "3"]);
    fail(&gate, &claim(&gate, "analyst"), &[]).succeeds();
    gate.run(&["task", "done", "1"]).succeeds();
    assert_eq!(jobs(&gate), "analyst cancelled");
}

#[test]
fn a_job_that_waits_for_another_attempt_keeps_its_task_in_its_stage() {
    let gate = gate(&["--attempts", "3"]);
    gate.run(&["job", "add", "1", "analyst"]).succeeds();
    let (first, second) = (claim(&gate, "analyst"), claim(&gate, "analyst"));
    fail(&gate, &first, &[]).succeeds();
    gate.run(&["job", "finish", "2", "--token", &second.1])
        .succeeds();
    assert_eq!(stage(&gate), "analysis");
    let waits = "SELECT CAST(gate_failures AS TEXT) FROM jobs WHERE id = 1";
    assert_eq!(value(&gate, waits).unwrap(), "1");
}
