//! A policy that agrees with itself is never reported, whatever is written meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serial_gate::gate::{Rule, default_settings};
use serial_gate::observe::Agreement;
use serial_gate::queue::Queue;

use crate::support::Gate;
use crate::support::engine::Engine;
use crate::support::random_states::{for_random_states_of, settings};

fn found_nothing(queue: &mut Queue, now: Timestamp) -> Agreement {
    let agreement = queue.agreement(now).unwrap();
    assert!(agreement.found.is_none(), "{:?}", agreement.found.jobs);
    agreement
}

/// What a program writes into the queue, over and over.
const WRITES: [&str; 9] = [
    "INSERT INTO tasks (repo, stage) VALUES ('a', 'analysis'), ('b', 'analysis')",
    "INSERT INTO jobs (task_id, repo, agent) SELECT max(id), 'a', 'analyst' FROM tasks",
    "INSERT INTO jobs (task_id, repo, agent) SELECT min(id), 'b', 'developer' FROM tasks",
    "UPDATE tasks SET stage = 'done' WHERE id = (SELECT min(id) FROM tasks WHERE stage <> 'done')",
    "INSERT INTO repo_freeze (repo) VALUES ('a')",
    "UPDATE repo_freeze SET cleared_at = 'now' WHERE repo = 'a'",
    "UPDATE jobs SET status = 'done' WHERE id = (SELECT min(id) FROM jobs WHERE status = 'running')",
    "UPDATE jobs SET repo = 'b' WHERE id = (SELECT max(id) FROM jobs WHERE status = 'queued')",
    "DELETE FROM jobs WHERE id = (SELECT min(id) FROM jobs WHERE status = 'queued' HAVING count(*) > 20)",
];

#[test]
fn beside_another_program_s_writes_and_claims_no_comparison_finds_anything() {
    let comparisons = Engine::cases(2_000);
    let gate = Gate::new();
    let over = AtomicBool::new(false);
    let compared = thread::scope(|scope| {
        scope.spawn(|| {
            let other = gate.program();
            other.without_flushes();
            for write in WRITES.iter().cycle() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                other.run(write);
            }
        });
        scope.spawn(|| {
            let mut queue = gate.queue();
            while !over.load(Ordering::Relaxed) {
                let lease = Duration::from_secs(60);
                queue.claim(Timestamp::now(), "w-1", lease).unwrap();
            }
        });
        let mut queue = gate.queue();
        let compared: usize = (0..comparisons)
            .filter_map(|_| found_nothing(&mut queue, Timestamp::now()).compared)
            .sum();
        over.store(true, Ordering::Relaxed);
        compared
    });
    assert!(compared > 0, "no job was queued");
}

#[test]
fn in_no_random_state_does_the_default_policy_contradict_itself() {
    let rule = Rule::built_in(default_settings());
    for_random_states_of(rule, settings(), 2_000, |queue, _, settings| {
        queue.set_settings(settings.clone());
        let agreement = queue.agreement(Timestamp::UNIX_EPOCH).unwrap();
        prop_assert!(agreement.found.is_none(), "{:?}", agreement.found.jobs);
        Ok(())
    });
}

#[test]
fn in_no_random_state_does_a_policy_of_this_repository_contradict_itself() {
    for name in ["wip-limit", "hotfix-lane"] {
        let rule = Rule::Given {
            component: crate::support::components::component(name).to_vec(),
            settings: default_settings(),
            allowance: serial_gate::policy::Allowance::default(),
        };
        for_random_states_of(rule, settings(), 500, |queue, _, settings| {
            queue.set_settings(settings.clone());
            let agreement = queue.agreement(Timestamp::UNIX_EPOCH).unwrap();
            prop_assert!(agreement.found.is_none(), "{:?}", agreement.found.jobs);
            Ok(())
        });
    }
}
