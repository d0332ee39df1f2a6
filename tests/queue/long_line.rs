//! A job with many tasks ahead of it: what is said of each, and what that costs.

use jiff::Timestamp;
use serial_gate::queue::Standing;

use crate::support::own_server::OwnServer;
use crate::support::{Gate, programs};

/// Tasks of one repo, whose jobs are in each state. All wait for the first one.
fn add_line(gate: &Gate, tasks: usize) {
    gate.program().run(format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {tasks})
         INSERT INTO tasks (id, work_item_id, repo, stage)
         SELECT i, 'W-' || i, 'alpha', CASE i % 3 WHEN 0 THEN 'Done' ELSE 'analysis' END FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {tasks})
         INSERT INTO jobs (id, task_id, repo, agent, status)
         SELECT i, i, 'alpha', 'analyst',
            CASE i % 4 WHEN 1 THEN 'failed' WHEN 2 THEN 'done' WHEN 3 THEN 'running'
            ELSE 'queued' END
         FROM n;
         UPDATE jobs SET status = 'queued' WHERE id = {tasks};"
    ));
}

#[test]
fn the_first_hundred_tasks_ahead_are_named_each_as_it_is() {
    let gate = Gate::new();
    add_line(&gate, 150);
    let (mut queue, now) = (gate.queue(), Timestamp::now());
    let Standing::Held(held) = queue.explain(now, 150).unwrap().standing else {
        panic!("the job is not held");
    };
    let ids: Vec<i64> = held.tasks.iter().map(|ahead| ahead.id).collect();
    assert_eq!(ids, (1..=100).collect::<Vec<_>>());
    assert!(held.more_tasks && !held.stuck);
    for ahead in &held.tasks {
        let id = ahead.id;
        assert_eq!(queue.store().task(id).unwrap().as_ref(), Some(&ahead.task));
        assert_eq!(queue.store().task_work(now, id).unwrap(), ahead.work);
        assert_eq!(ahead.work.first.job_id, Some(id));
        let looks_like = (id % 3 == 0).then_some("done");
        assert_eq!(ahead.looks_like.as_deref(), looks_like, "{id}");
    }
}

#[test]
fn an_explanation_of_a_long_line_asks_the_database_hardly_more_often() {
    let Some(server) = OwnServer::new() else {
        return programs::missing("there is no `pg_ctl`", "no statements are counted");
    };
    server.start();
    let url = ("SERIAL_GATE_DB", server.url().into());
    let gate = Gate::empty().with_environment(vec![url]);
    gate.run(&["init"]).succeeds();
    for _ in 0..40 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    let explained = |job: &str| server.statements(|| drop(gate.run(&["explain", job]).exits(3)));
    let (short, long) = (explained("2"), explained("40"));
    assert!(short > 5, "{short}");
    // A process may run one of its own statements once more, but none for each task ahead.
    assert!(long < short + 10, "{short} and {long}");
}
