//! A claim that finds nothing, and the change that ends the wait.

use std::time::Duration;

use jiff::Timestamp;
use serial_gate::gate::{Rule, default_settings};
use serial_gate::queue::{Options, Queue};

use crate::support::Gate;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn claim(queue: &mut Queue) -> Option<i64> {
    let claimed = queue.claim(NOW, "worker", Duration::from_secs(60)).unwrap();
    claimed.map(|job| job.id)
}

fn open(gate: &Gate) -> Queue {
    let rule = Rule::built_in(default_settings());
    Queue::open(gate.place(), rule, Options::default()).unwrap()
}

#[test]
fn a_claim_that_found_nothing_takes_no_write_lock_until_something_changes() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let mut queue = open(&gate);
    assert_eq!([claim(&mut queue), claim(&mut queue)], [Some(1), None]);
    let other = gate.program();
    other.begin_alone();
    // It would wait for the lock, and fail in the end.
    assert_eq!(claim(&mut queue), None);
    other.run("UPDATE tasks SET stage = 'done' WHERE id = 1; COMMIT");
    assert_eq!(claim(&mut queue), Some(2));
}

#[test]
fn the_transaction_that_finishes_a_task_is_the_one_that_releases_the_next() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let (mut queue, mut other) = (open(&gate), open(&gate));
    assert_eq!([claim(&mut queue), claim(&mut other)], [Some(1), None]);
    gate.program()
        .run("BEGIN; UPDATE tasks SET stage = 'done' WHERE id = 1; ROLLBACK");
    assert_eq!([claim(&mut queue), claim(&mut other)], [None, None]);
    gate.program()
        .run("UPDATE tasks SET stage = 'done' WHERE id = 1");
    assert_eq!([claim(&mut other), claim(&mut queue)], [Some(2), None]);
}

#[test]
fn a_killed_worker_leaves_no_repo_behind() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let mut queue = open(&gate);
    assert_eq!(claim(&mut queue), Some(1));
    crate::store::end_leases(&gate);
    let now = jiff::Timestamp::now();
    let again = queue.claim(now, "other", Duration::from_secs(60)).unwrap();
    assert_eq!(again.map(|job| (job.id, job.attempt)), Some((1, 2)));
}

#[test]
fn a_thousand_repos_are_known_before_the_first_claim_returns() {
    let gate = Gate::new();
    gate.program().run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO tasks (repo, stage) SELECT 'repo-' || i, 'analysis' FROM n;
             INSERT INTO jobs (task_id, repo, agent) SELECT id, repo, 'analyst' FROM tasks ORDER \
             BY id DESC;",
    );
    let mut queue = open(&gate);
    assert_eq!(claim(&mut queue), Some(1));
    let known: i64 = gate
        .program()
        .one("SELECT count(*) FROM serial_gate_partition");
    assert_eq!(known, 999);
}

#[test]
fn of_the_tasks_that_may_start_the_one_whose_job_has_the_least_id_is_first() {
    let gate = Gate::new();
    gate.program().run(
        "INSERT INTO tasks (id, repo, stage) VALUES (3, 'alpha', 'review');
             INSERT INTO jobs (id, task_id, repo, agent) VALUES
                (1, 9, 'alpha', 'analyst'), (2, 9, 'alpha', 'analyst'), (3, 9, 'alpha', 'analyst'),
                (8, 2, 'alpha', 'analyst'), (9, 1, 'alpha', 'analyst')",
    );
    let mut queue = open(&gate);
    let claimed = [(); 3].map(|()| claim(&mut queue));
    assert_eq!(claimed, [Some(8), Some(9), None]);
}
