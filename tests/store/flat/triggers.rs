//! Each trigger sees a change that no other sees: without it, candidates and clause disagree.

use super::{Rule, other_program, sqlite};
use crate::support::Gate;

const RULE: &str = "AND NOT (jobs.agent = 'analyst' AND (
    EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage <> \
    'done')
    OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL)))";

/// A job is held by a task in `a` and by a freeze in `d`; one may be claimed in `c` and one in `f`.
const STATE: &str = "
    INSERT INTO tasks (id, repo, stage) VALUES (1, 'a', 'review'), (9, 'b', 'review');
    INSERT INTO repo_freeze (id, repo) VALUES (1, 'd'), (9, 'e');
    INSERT INTO jobs (id, task_id, repo, agent, status) VALUES
        (1, 2, 'a', 'analyst', 'queued'), (2, NULL, 'c', 'analyst', 'queued'), (3, NULL, 'd', \
        'analyst', 'queued'),
        (4, 5, 'f', 'analyst', 'queued'), (9, NULL, 'e', 'developer', 'done')";

/// Each trigger and a change that it alone sees.
const CHANGES: [(&str, &str); 15] = [
    (
        "tasks_added",
        "INSERT INTO tasks (id, repo, stage) VALUES (3, 'f', 'review')",
    ),
    (
        "tasks_changed",
        "UPDATE tasks SET stage = 'done' WHERE id = 1",
    ),
    ("tasks_removed", "DELETE FROM tasks WHERE id = 1"),
    (
        "tasks_replacing",
        "REPLACE INTO tasks (id, repo, stage) VALUES (1, 'z', 'review')",
    ),
    (
        "tasks_renumbering",
        "UPDATE OR REPLACE tasks SET id = 1 WHERE id = 9",
    ),
    (
        "jobs_added",
        "INSERT INTO jobs (repo, agent, status) VALUES ('g', 'analyst', 'queued')",
    ),
    (
        "jobs_changed",
        "UPDATE jobs SET status = 'running' WHERE id = 2",
    ),
    ("jobs_removed", "DELETE FROM jobs WHERE id = 2"),
    (
        "jobs_replacing",
        "REPLACE INTO jobs (id, repo, agent, status) VALUES (2, 'z', 'analyst', 'queued')",
    ),
    (
        "jobs_renumbering",
        "UPDATE OR REPLACE jobs SET id = 2 WHERE id = 9",
    ),
    (
        "repo_freeze_added",
        "INSERT INTO repo_freeze (repo) VALUES ('c')",
    ),
    (
        "repo_freeze_changed",
        "UPDATE repo_freeze SET cleared_at = 'now' WHERE id = 1",
    ),
    (
        "repo_freeze_removed",
        "DELETE FROM repo_freeze WHERE id = 1",
    ),
    (
        "repo_freeze_replacing",
        "REPLACE INTO repo_freeze (id, repo) VALUES (1, 'z')",
    ),
    (
        "repo_freeze_renumbering",
        "UPDATE OR REPLACE repo_freeze SET id = 1 WHERE id = 9",
    ),
];

/// Whether candidates and clause disagree after a change, with or without a trigger.
fn disagree(change: &str, without: Option<&str>) -> bool {
    let gate = Gate::new();
    let program = other_program(&gate);
    let sqlite = sqlite(&program);
    let rule = Rule::flat(RULE).unwrap();
    sqlite.execute_batch(STATE).unwrap();
    // One claim evaluates every repo; then job 2 is put back, and the next claim is of another
    // repo.
    assert_eq!(rule.claim(&mut gate.store(), &[]), Some(2));
    sqlite
        .execute_batch(
            "UPDATE jobs SET status = 'queued' WHERE id = 2;
             INSERT INTO jobs (id, repo, agent, status) VALUES (0, 'h', 'analyst', 'queued')",
        )
        .unwrap();
    assert_eq!(rule.claim(&mut gate.store(), &[]), Some(0));
    if let Some(trigger) = without {
        sqlite
            .execute_batch(&format!("DROP TRIGGER serial_gate_{trigger}"))
            .unwrap();
    }
    sqlite.execute_batch(change).unwrap();
    rule.disagreement(&program).is_some()
}

#[test]
fn every_trigger_sees_a_change_that_no_other_sees() {
    for (trigger, change) in CHANGES {
        assert!(!disagree(change, None), "{change}");
        assert!(
            disagree(change, Some(trigger)),
            "without {trigger}: {change}"
        );
    }
}
