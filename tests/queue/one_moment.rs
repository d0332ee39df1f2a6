//! Every answer of several reads is true at one moment, whatever is written meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use jiff::Timestamp;
use serde_json::Value;
use serial_gate::model::Verdict;
use serial_gate::queue::{Advice, Error, Standing};
use serial_gate::store::NewTask;

use crate::support::Gate;
use crate::support::service::Service;

/// Task 2 always waits: for task 1 or, once that is done, for the freeze.
const WAITS_FOR_A_TASK: &str = "BEGIN; UPDATE tasks SET stage = 'analysis' WHERE id = 1; \
    UPDATE repo_freeze SET cleared_at = 'now' WHERE repo = 'a'; COMMIT";
const WAITS_FOR_A_FREEZE: &str = "BEGIN; UPDATE tasks SET stage = 'done' WHERE id = 1; \
    UPDATE repo_freeze SET cleared_at = NULL WHERE repo = 'a'; COMMIT";

fn gate() -> Gate {
    let gate = Gate::new();
    gate.program().run(
        "INSERT INTO tasks (work_item_id, repo, stage)
         VALUES ('FIRST', 'a', 'analysis'), ('SECOND', 'a', 'analysis');
         INSERT INTO jobs (task_id, repo, agent) VALUES (2, 'a', 'analyst');
         INSERT INTO repo_freeze (repo, reason, cleared_at) VALUES ('a', 'bad deploy', 'now');",
    );
    gate
}

/// Looks again and again while another program changes what task 2 waits for.
fn beside_a_writer(gate: &Gate, looks: usize, mut look: impl FnMut()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let other = gate.program();
            other.without_flushes();
            let mut changes = 0;
            while !over.load(Ordering::Relaxed) {
                other.run(WAITS_FOR_A_FREEZE);
                other.run(WAITS_FOR_A_TASK);
                changes += 2;
            }
            changes
        });
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..looks).for_each(|_| look());
        }));
        over.store(true, Ordering::Relaxed);
        let changes = writer.join().unwrap();
        looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert!(changes > 2, "nothing was written meanwhile");
    });
}

/// Either the task is active or the repo is frozen.
#[track_caller]
fn is_one_moment(active: bool, frozen: bool, what: &impl std::fmt::Debug) {
    assert_ne!(active, frozen, "{what:?}");
}

#[test]
fn the_state_of_the_queue_is_of_one_moment() {
    let gate = gate();
    let mut queue = gate.queue();
    beside_a_writer(&gate, 100, || {
        let state = queue.state(Timestamp::now(), &[]).unwrap();
        let repo = &state.per_repo["a"];
        let first = repo.active_task.as_ref().unwrap().task.id == 1;
        is_one_moment(first, repo.frozen, repo);
        let Some(Verdict::Hold(hold)) = &repo.waiting[0].verdict else {
            panic!("{repo:?}");
        };
        assert_eq!(hold.earlier_task.is_some(), first, "{repo:?}");
        assert_eq!(hold.freeze.is_some(), repo.frozen, "{repo:?}");
    });
}

#[test]
fn an_explanation_is_of_one_moment() {
    let gate = gate();
    let mut queue = gate.queue();
    beside_a_writer(&gate, 100, || {
        let explanation = queue.explain(Timestamp::now(), 1).unwrap();
        let Standing::Held(held) = &explanation.standing else {
            panic!("{explanation:?}");
        };
        is_one_moment(!held.tasks.is_empty(), !held.freezes.is_empty(), held);
        let stages = held.tasks.iter().map(|ahead| ahead.task.stage.as_deref());
        assert!(stages.into_iter().all(|stage| stage == Some("analysis")));
        let unfreezes = |advice: &Advice| matches!(advice, Advice::Unfreeze { .. });
        assert_eq!(
            explanation.advice.iter().any(unfreezes),
            !held.freezes.is_empty(),
            "{explanation:?}"
        );
        assert_eq!(explanation.contradiction, None);
    });
}

#[test]
fn repo_shows_one_moment() {
    let gate = gate();
    beside_a_writer(&gate, 10, || {
        let shown = gate.run(&["repo", "a", "--json"]).succeeds().json();
        let first = shown["active_task"]["work_item_id"] == "FIRST";
        is_one_moment(first, shown["freeze"] != Value::Null, &shown);
    });
}

#[test]
fn the_service_answers_of_one_moment() {
    let service = Service::on(gate());
    beside_a_writer(&service.gate, 50, || {
        let answer = service.get("/queue").json();
        let repo = &answer["serial_gate"]["per_repo"]["a"];
        let first = repo["active_task"]["task_id"] == 1;
        is_one_moment(first, repo["frozen"] == true, repo);
        let explained = service.get("/v1/jobs/1/explain").json();
        let named = |key: &str| !explained[key].as_array().unwrap().is_empty();
        is_one_moment(named("tasks"), named("freezes"), &explained);
    });
}

#[test]
fn reads_of_one_moment_end_with_the_first_change() {
    let gate = gate();
    let mut queue = gate.queue();
    let ended: Result<(), Error> = queue.from_one_state(|queue| {
        assert!(!queue.is_frozen(Some("a")));
        gate.program().run(WAITS_FOR_A_FREEZE);
        assert!(!queue.is_frozen(Some("a")));
        queue.from_one_state(|_| Ok::<_, Error>(()))?;
        assert!(
            !queue.is_frozen(Some("a")),
            "the inner reads ended the outer ones"
        );
        let task = NewTask {
            repo: "b",
            work_item: None,
            stage: "analysis",
            agent: "analyst",
            label: None,
        };
        queue.store_mut().add_task(Timestamp::now(), task)?;
        assert!(queue.is_frozen(Some("a")));
        Ok(())
    });
    ended.unwrap();
    let tasks: i64 = gate.program().one("SELECT count(*) FROM tasks");
    assert_eq!(tasks, 3);
}
