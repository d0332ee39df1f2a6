//! Jobs that end after their task has left their stage, or is over.

use std::thread;

use super::*;

#[test]
fn a_job_of_another_agent_ends_no_task_that_has_come_back_since() {
    let gate = Gate::new();
    gate.run(&["pipeline", "set", "work=analyst", "--then", "done"])
        .succeeds();
    add(&gate, "A-1");
    gate.run(&["job", "add", "1", "tester"]).succeeds();
    let analyst = claim(&gate, "analyst");
    let tester = claim(&gate, "tester");
    finish(&gate, &analyst, &[]).succeeds();
    gate.run(&["task", "stage", "1", "elsewhere"]).succeeds();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    gate.run(&["task", "stage", "1", "work"]).succeeds();
    finish(&gate, &tester, &[]).succeeds();
    assert_eq!(stage(&gate), "work");
}

#[test]
fn a_task_that_is_over_is_moved_by_no_job() {
    let gate = gate(&[]);
    let analyst = claim(&gate, "analyst");
    gate.run(&["task", "done", "1", "--token", &analyst.1])
        .succeeds();
    let said = || {
        let said = finish(&gate, &analyst, &["--stage", "development"]);
        said.succeeds().stdout
    };
    let first = said();
    insta::assert_snapshot!(first, @r"
    job 1 is done
      its task is over, and stays in its stage
    ");
    assert_eq!(said(), first);
    finish(&gate, &analyst, &["--stage", "review"]).exits(1);
    assert_eq!(
        (stage(&gate).as_str(), jobs(&gate).as_str()),
        ("done", "analyst done")
    );
}

#[test]
fn the_same_end_names_the_same_stage_even_after_the_task_has_ended() {
    let gate = gate(&[]);
    let analyst = claim(&gate, "analyst");
    finish(&gate, &analyst, &["--stage", "done"]).succeeds();
    finish(&gate, &analyst, &["--stage", "done"]).succeeds();
    let other = finish(&gate, &analyst, &["--stage", "development"]).exits(1);
    assert!(
        other.stderr.contains("has ended already"),
        "{}",
        other.stderr
    );
}

#[test]
fn a_review_of_the_code_from_before_does_not_pass_the_code_after() {
    let gate = gate(&["--then", "done"]);
    do_job(&gate, "analyst", &[]);
    do_job(&gate, "developer", &[]);
    gate.run(&["job", "add", "1", "reviewer"]).succeeds();
    gate.run(&["job", "add", "1", "reviewer"]).succeeds();
    let (sends_back, is_late) = (claim(&gate, "reviewer"), claim(&gate, "reviewer"));
    let said = finish(&gate, &sends_back, &["--stage", "development"]);
    // The one that nobody has begun is cancelled, and the other one is named.
    insta::assert_snapshot!(said.succeeds().stdout, @r"
    job 3 is done
    task 1 (A-1) is in development: job 6 for `developer` is queued; job 4 of the stage before still runs
    ");
    insta::assert_snapshot!(do_job(&gate, "developer", &[]), @r"
    job 6 is done
    task 1 (A-1) is in review: job 7 for `reviewer` is queued
    ");
    assert_eq!(
        finish(&gate, &is_late, &[]).succeeds().stdout,
        "job 4 is done\n"
    );
    assert_eq!(stage(&gate), "review");
    do_job(&gate, "reviewer", &[]);
    assert_eq!(stage(&gate), "done");
    let jobs = jobs(&gate);
    assert!(jobs.contains("reviewer cancelled"), "{jobs}");
}

#[test]
fn a_task_in_two_stages_at_once_has_one_of_them_in_the_end() {
    for _ in 0..10 {
        let gate = gate(&[]);
        do_job(&gate, "analyst", &[]);
        gate.run(&["job", "add", "1", "developer"]).succeeds();
        let claims = [claim(&gate, "developer"), claim(&gate, "developer")];
        thread::scope(|scope| {
            for (claim, to) in claims.iter().zip(["development", "review"]) {
                let gate = &gate;
                scope.spawn(move || finish(gate, claim, &["--stage", to]).succeeds());
            }
        });
        let jobs = jobs(&gate);
        assert_eq!(jobs.matches("queued").count(), 1, "{jobs}");
    }
}
