//! `doctor`: what a write that no trigger saw leaves behind, and what becomes of it.

use jiff::Timestamp;
use serial_gate::gate::{Rule, default_settings};
use serial_gate::queue::{Options, Queue};

use crate::support::Gate;
use crate::support::engine::Engine;

/// A repo with a job that is held by an unfinished task, looked at by a claim.
fn gate() -> Gate {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["claim"]).succeeds();
    gate.run(&["claim"]).exits(3);
    gate
}

/// Writes what a trigger would see, without it.
fn unseen(gate: &Gate, trigger: &str, write: &str) {
    gate.program().without_trigger(trigger, write);
}

/// Finishes the first task without a mark.
fn finish_unseen(gate: &Gate) {
    unseen(
        gate,
        "serial_gate_tasks_changed",
        "UPDATE tasks SET stage = 'done' WHERE id = 1",
    );
}

#[test]
fn a_head_that_is_held_unseen_is_not_given_away() {
    let gate = gate();
    gate.run(&["task", "add", "beta"]).succeeds();
    gate.run(&["task", "add", "gamma"]).succeeds();
    gate.run(&["claim"]).succeeds();
    unseen(
        &gate,
        "serial_gate_repo_freeze_added",
        "INSERT INTO repo_freeze (repo) VALUES ('gamma')",
    );
    let ran = gate.run(&["claim"]).exits(3);
    // A server counts it, and does not say it.
    if Engine::under_test() == Engine::Sqlite {
        insta::assert_snapshot!(ran.stderr, @"ERROR job 4 was the head of its repo and may not be \
            claimed: the repo is evaluated anew");
    }
    let differences = gate.run(&["doctor"]).stdout;
    assert!(differences.contains("differences since"), "{differences}");
    gate.run(&["unfreeze", "gamma"]).succeeds();
    gate.run(&["claim"]).succeeds();
}

#[test]
fn it_finds_nothing_wrong_in_a_queue_that_was_only_written_to_by_sql() {
    let gate = gate();
    gate.program()
        .run("UPDATE tasks SET stage = 'review' WHERE id = 1");
    let ran = gate.run(&["doctor"]).succeeds();
    insta::assert_snapshot!(ran.stdout + &ran.stderr, @r#"
    2 tasks: `analysis` 1, `review` 1; 2 jobs: `queued` 1, `running` 1; queued for: `analyst` 1
    1 repo compared, all heads are right
    "#);
}

#[test]
fn it_puts_right_what_no_trigger_saw_and_counts_it() {
    let gate = gate();
    finish_unseen(&gate);
    let ran = gate.run(&["doctor"]).exits(1);
    insta::assert_snapshot!(ran.stdout + &ran.stderr, @r#"
    2 tasks: `analysis` 1, `done` 1; 2 jobs: `queued` 1, `running` 1; queued for: `analyst` 1
    REPO   AGENT    HEAD  BY THE CLAUSE
    alpha  analyst  none  job 2
    1 repo compared, 1 repaired: something wrote to the database without its triggers
    differences since the clause came into use: 1
    "#);
    let notes = gate.run(&["queue"]).succeeds().stdout;
    let notes = notes.lines().next().unwrap_or_default().to_owned();
    insta::assert_snapshot!(notes, @"note: heads were not what the clause gives, 1 times, and were put right");
    gate.run(&["claim"]).succeeds();
    let again = gate.run(&["doctor"]).succeeds();
    insta::assert_snapshot!(again.stdout, @r#"
    2 tasks: `analysis` 1, `done` 1; 2 jobs: `running` 2
    the claim index is empty, so there is nothing to compare
    differences since the clause came into use: 1
    "#);
}

#[test]
fn it_restores_a_trigger_and_finds_all_heads_anew() {
    let gate = gate();
    let mut queue = Queue::open(
        gate.place(),
        Rule::built_in(default_settings()),
        Options::default(),
    )
    .unwrap();
    let program = gate.program();
    program.drop_trigger("serial_gate_tasks_changed");
    program.run("UPDATE tasks SET stage = 'done' WHERE id = 1");
    let found = queue.diagnose(Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(found.restored.len(), 1);
    let claimed = queue.claim(Timestamp::UNIX_EPOCH, "worker", std::time::Duration::ZERO);
    assert_eq!(claimed.unwrap().map(|job| job.id), Some(2));
}

#[test]
fn a_trigger_of_another_version_is_left_to_init() {
    let gate = gate();
    let rule = Rule::built_in(default_settings());
    let mut queue = Queue::open(gate.place(), rule, Options::default()).unwrap();
    let program = gate.program();
    let now = || {
        let own = program.own("trigger").into_iter();
        let mut named = own.filter(|(name, _)| name == "serial_gate_tasks_changed");
        named.next().unwrap().1
    };
    program.idle_trigger("serial_gate_tasks_changed", &now());
    let other = now();
    let found = queue.diagnose(Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(found.restored, []);
    assert_eq!(now(), other);
    gate.run(&["init"]).succeeds();
    assert_ne!(now(), other);
}

#[test]
fn init_finds_all_heads_anew_where_a_trigger_was_missing() {
    let gate = gate();
    let program = gate.program();
    program.drop_trigger("serial_gate_tasks_changed");
    program.run("UPDATE tasks SET stage = 'done' WHERE id = 1");
    gate.run(&["init"]).succeeds();
    gate.run(&["claim"]).succeeds();
}

#[test]
fn a_waiting_claim_finds_what_no_trigger_saw() {
    let gate = gate();
    let mut queue = Queue::open(
        gate.place(),
        Rule::built_in(default_settings()),
        Options::default(),
    )
    .unwrap();
    let (now, lease) = (Timestamp::UNIX_EPOCH, std::time::Duration::ZERO);
    assert_eq!(queue.claim(now, "worker", lease).unwrap(), None);
    finish_unseen(&gate);
    // What was compared a moment ago is not compared again.
    assert_eq!(queue.claim(now, "worker", lease).unwrap(), None);
    let later = now + std::time::Duration::from_secs(10);
    let begun = std::time::Instant::now();
    let is_over = || begun.elapsed() > std::time::Duration::from_secs(10);
    let found = queue.wait_for_job(&|| later, "worker".into(), lease, &is_over);
    assert_eq!(found.unwrap().map(|job| job.id), Some(2));
}

#[test]
fn it_says_what_stands_in_the_way_of_heads() {
    let gate = gate();
    gate.write(
        "hotfix.wasm",
        crate::support::components::component("hotfix-lane"),
    );
    gate.run(&["policy", "swap", "hotfix.wasm", "--reason", "test"])
        .succeeds();
    let ran = gate.run(&["doctor"]).succeeds();
    insta::assert_snapshot!(ran.stdout + &ran.stderr, @r#"
    2 tasks: `analysis` 2; 2 jobs: `queued` 1, `running` 1; queued for: `analyst` 1
    there are no heads, and claims are not flat: each looks at every held job before the first that may be claimed, which is slow with thousands of them. The policy's author can mend that: `(EXISTS (SELECT 1 FROM "tasks" AS "g2" WHERE (("g2"."id" = "jobs"."task_id") AND ("g2"."gate_label" = 'hotfix'))))` is not tied by `repo`, so a change in any repo may release a job: add `AND g2.repo = jobs.repo` to its WHERE
    "#);
}

#[test]
fn a_trigger_that_is_gone_is_named_by_every_command() {
    let gate = gate();
    gate.program().drop_trigger("serial_gate_tasks_changed");
    for command in [&["queue"][..], &["doctor"], &["claim"]] {
        let ran = gate.run(command).exits(1);
        let (told, remedy) = ran.stderr.split_once(": `serial-gate").unwrap();
        assert_eq!(
            told,
            "error: in `serial-gate.db` the trigger `serial_gate_tasks_changed` of the gate is gone \
             or altered, so changes may go unseen"
        );
        assert!(remedy.contains(" init` adds what is missing"), "{remedy}");
    }
    gate.run(&["init"]).succeeds();
    gate.run(&["doctor"]).succeeds();
}
