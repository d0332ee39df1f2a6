//! The end of a job and of its attempts, as the gate records it: each way in which a job ends or goes
//! back to the queue.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serial_gate::queue::Queue;
use serial_gate::store::{
    Actor, Claim, Claimed, Ending, NewTask, Pipeline, PipelineStage, Retry, Running, TaskEnd,
    TaskOutcome, Then, sql_time,
};

use crate::support::Gate;
use crate::support::look::{count, value};

const LEASE: Duration = Duration::from_secs(1800);

/// A queue with one claimed job of a task, at a time that is not the time of the next event. A server
/// claims by its own clock, so this is today.
struct Claims {
    gate: Gate,
    queue: Queue,
    claimed: Claimed,
    now: Timestamp,
}

impl Claims {
    fn new() -> Claims {
        let gate = Gate::new();
        let mut queue = gate.queue();
        let now = Timestamp::now();
        let new = NewTask {
            repo: "alpha",
            work_item: Some("A-1"),
            stage: "analysis",
            agent: "analyst",
            label: None,
        };
        queue.store_mut().add_task(now, new).unwrap();
        let claimed = queue.claim(now, "w-1", LEASE).unwrap().unwrap();
        Claims {
            gate,
            queue,
            claimed,
            now: now + SignedDuration::from_mins(10),
        }
    }

    fn actor(&self) -> Actor<'static> {
        Actor {
            now: self.now,
            who: "kim",
            why: "a test",
        }
    }

    fn end(&mut self, ending: Ending<'_>) {
        let (actor, claimed) = (self.actor(), self.claimed.clone());
        self.queue.end_job(actor, claimed.claim(), ending).unwrap();
    }

    fn fail(&mut self, attempts: u32) {
        self.end(Ending::Failed {
            error: Some("red"),
            retry: Some(Retry {
                attempts: Some(attempts),
                first: Duration::from_secs(1),
            }),
        });
    }

    fn give_back(&mut self) {
        let (actor, claimed) = (self.actor(), self.claimed.clone());
        self.queue
            .release(actor, claimed.claim(), Some("stopped"))
            .unwrap();
    }

    fn put_off(&mut self) {
        let (actor, claimed) = (self.actor(), self.claimed.clone());
        let delay = Duration::from_secs(5);
        self.queue
            .defer(actor, claimed.claim(), delay, "no remote")
            .unwrap();
    }

    /// The lease ends, and the next claim finds that.
    fn expire(&mut self) {
        self.gate
            .program()
            .run("UPDATE jobs SET gate_lease_until = '2000-01-01 00:00:00' WHERE id = 1");
        let finished = self.queue.finished_stages().unwrap();
        let now = self.now;
        let store = self.queue.store_mut();
        store.requeue_expired(now, LEASE, &finished).unwrap();
    }

    fn requeue(&mut self) {
        let finished = self.queue.finished_stages().unwrap();
        let actor = self.actor();
        let store = self.queue.store_mut();
        assert!(store.requeue(actor, 1, None, &finished).unwrap());
    }

    fn end_task(&mut self, force: bool) {
        let actor = self.actor();
        let end = TaskEnd {
            outcome: TaskOutcome::Cancelled,
            stage: "done",
            running: Running { token: None, force },
        };
        self.queue.store_mut().end_tasks(actor, &[1], end).unwrap();
    }

    /// Another program ends the task, and leaves its job running.
    fn task_ends_elsewhere(&self) {
        self.gate.program().run("UPDATE tasks SET stage = 'done'");
    }

    fn pipeline(&mut self) {
        let stages = [("analysis", "analyst"), ("development", "developer")];
        let pipeline = Pipeline {
            stages: stages
                .map(|(stage, agent)| PipelineStage {
                    stage: stage.into(),
                    agent: agent.into(),
                })
                .into(),
            then: Then::Merge,
            attempts: 1,
        };
        let actor = self.actor();
        self.queue.set_pipeline(actor, &pipeline).unwrap();
    }

    fn next_minute(&mut self) {
        self.now += SignedDuration::from_mins(1);
    }

    /// The state of the first job, whether it has the time of its end and which, and its attempts.
    fn found(&self) -> String {
        let job = value(
            &self.gate,
            "SELECT status || ' ' || coalesce(gate_ended_at, '-') FROM jobs WHERE id = 1",
        );
        let attempts = self.gate.program().all::<String>(
            "SELECT outcome || ' ' || ended_at || ' of ' || worker || ' ' || attempt
             FROM serial_gate_attempt ORDER BY id",
        );
        let now = sql_time(self.now);
        let all: Vec<String> = job.into_iter().chain(attempts).collect();
        all.join(", ").replace(&now, "now")
    }
}

/// What happens to the job, and what is recorded of it.
type Way = (
    &'static str,
    &'static [&'static str],
    fn(&mut Claims),
    &'static str,
);

/// Each way, with the events of `store::job_state` that are in it.
const WAYS: [Way; 19] = [
    ("nothing yet", &["Claim"], |_| {}, "running -"),
    ("done", &["Finish"], |it| it.end(Ending::Done), "done now"),
    ("failed", &["Fail"], |it| it.fail(1), "failed now"),
    (
        "tried again",
        &["Fail"],
        |it| it.fail(2),
        "running -, tried_again now of w-1 1",
    ),
    (
        "given back",
        &["Release"],
        Claims::give_back,
        "queued -, given_back now of w-1 1",
    ),
    (
        "given back after the end of the task",
        &["Release"],
        |it| {
            it.task_ends_elsewhere();
            it.give_back();
        },
        "cancelled now, given_back now of w-1 1",
    ),
    (
        "put off",
        &["Defer"],
        Claims::put_off,
        "running -, put_off now of w-1 1",
    ),
    (
        "put off after the end of the task",
        &["Defer"],
        |it| {
            it.task_ends_elsewhere();
            it.put_off();
        },
        "cancelled now, put_off now of w-1 1",
    ),
    (
        "the lease is over",
        &["Expire"],
        Claims::expire,
        "queued -, lease_over now of w-1 1",
    ),
    (
        "the lease is over after the end of the task",
        &["Expire"],
        |it| {
            it.task_ends_elsewhere();
            it.expire();
        },
        "cancelled now, lease_over now of w-1 1",
    ),
    (
        "the delay is over",
        &["Defer", "Expire"],
        |it| {
            it.put_off();
            it.expire();
        },
        "queued -, put_off now of w-1 1",
    ),
    (
        "taken from its worker",
        &["Requeue"],
        Claims::requeue,
        "queued -, requeued now of w-1 1",
    ),
    (
        "queued again after a failure",
        &["Fail", "Requeue"],
        |it| {
            it.fail(1);
            it.requeue();
        },
        "queued -, failed now of w-1 1",
    ),
    (
        "queued again while it is put off",
        &["Defer", "Requeue"],
        |it| {
            it.put_off();
            it.requeue();
        },
        "queued -, put_off now of w-1 1",
    ),
    (
        "queued again after another program failed it",
        &["Requeue"],
        |it| {
            it.gate.program().run("UPDATE jobs SET status = 'failed'");
            it.requeue();
        },
        "queued -",
    ),
    (
        "the task is cancelled with force",
        &["EndTask"],
        |it| it.end_task(true),
        "cancelled now",
    ),
    (
        "the task is cancelled while the job waits",
        &["Release", "EndTask"],
        |it| {
            it.give_back();
            it.end_task(false);
        },
        "cancelled now, given_back now of w-1 1",
    ),
    (
        "cancelled with force, and queued again in an unfinished task",
        &["EndTask", "Requeue"],
        |it| {
            it.end_task(true);
            it.gate.program().run("UPDATE tasks SET stage = 'analysis'");
            it.requeue();
        },
        "queued -, cancelled now of w-1 1",
    ),
    (
        "the task leaves the stage while the job waits",
        &["Release", "EndTask"],
        |it| {
            it.pipeline();
            it.give_back();
            // Another job of the same agent sends the task on.
            let stage = Ending::To {
                stage: "development",
            };
            let new = serial_gate::store::NewJob {
                task_id: 1,
                agent: "scout",
                repo: None,
            };
            let (actor, now) = (it.actor(), it.now);
            let added = it.queue.store_mut().add_job(now, new).unwrap();
            it.gate
                .program()
                .run("UPDATE jobs SET status = 'held' WHERE id = 1");
            let scout = it.queue.claim(now, "w-2", LEASE).unwrap().unwrap();
            assert_eq!(scout.id, added);
            it.gate
                .program()
                .run("UPDATE jobs SET status = 'queued' WHERE id = 1");
            it.queue.end_job(actor, scout.claim(), stage).unwrap();
        },
        "cancelled now, given_back now of w-1 1",
    ),
];

#[test]
fn each_way_in_which_a_job_ends_is_recorded_and_no_other_state_has_an_end() {
    for (what, _, happens, expected) in WAYS {
        let mut claims = Claims::new();
        happens(&mut claims);
        assert_eq!(claims.found(), expected, "{what}");
    }
}

#[test]
fn each_event_of_a_job_is_among_these_ways() {
    let source = include_str!("../../host/src/store/job_state.rs");
    let (_, events) = source.split_once("enum Event {").unwrap();
    let (events, _) = events.split_once("\n}").unwrap();
    let names = events.lines().filter_map(|line| line.strip_prefix("    "));
    let names = names.filter_map(|line| line.strip_suffix(','));
    let tried: BTreeSet<&str> = WAYS
        .iter()
        .flat_map(|(_, events, ..)| *events)
        .copied()
        .collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), tried);
}

#[test]
fn a_claim_of_a_job_that_another_program_queued_again_clears_its_end() {
    let mut claims = Claims::new();
    claims.end(Ending::Done);
    claims
        .gate
        .program()
        .run("UPDATE jobs SET status = 'queued'");
    let now = claims.now;
    claims.queue.claim(now, "w-2", LEASE).unwrap().unwrap();
    assert_eq!(claims.found(), "running -");
}

#[test]
fn an_end_that_is_told_again_changes_nothing() {
    for end in [
        (|it: &mut Claims| it.end(Ending::Done)) as fn(&mut Claims),
        |it| it.fail(1),
        |it| it.fail(2),
    ] {
        let mut claims = Claims::new();
        end(&mut claims);
        let first = claims.found().replace("now", &sql_time(claims.now));
        claims.next_minute();
        end(&mut claims);
        assert_eq!(claims.found(), first);
        let (actor, claimed) = (claims.actor(), claims.claimed.clone());
        let again = claims.queue.release(actor, claimed.claim(), None);
        assert!(again.is_err());
        assert_eq!(claims.found(), first);
    }
}

#[test]
fn preparing_a_new_task_is_no_attempt() {
    let gate = Gate::new();
    let mut queue = gate.queue();
    let now = Timestamp::now();
    let new = NewTask {
        repo: "alpha",
        work_item: None,
        stage: "analysis",
        agent: "analyst",
        label: None,
    };
    let (added, token) = queue
        .store_mut()
        .add_task_claimed(now, new, "cli", LEASE)
        .unwrap();
    let actor = Actor {
        now,
        who: "cli",
        why: "",
    };
    let claim = Claim {
        job: added.job_id,
        token: &token,
    };
    queue.release(actor, claim, None).unwrap();
    assert_eq!(count(&gate, "serial_gate_attempt"), 0);
}

#[test]
fn the_newest_attempts_are_kept() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.program().run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100150)
         INSERT INTO serial_gate_attempt (job, attempt, worker, claimed_at, ended_at, outcome)
         SELECT 7, 1, 'w', '2026-01-01 00:00:00', '2026-01-01 00:00:00', 'given_back' FROM n",
    );
    let mut queue = gate.queue();
    let now = Timestamp::now();
    for _ in 0..2 {
        let claimed = queue.claim(now, "w-1", LEASE).unwrap().unwrap();
        let actor = Actor {
            now,
            who: "w-1",
            why: "",
        };
        queue.release(actor, claimed.claim(), None).unwrap();
    }
    assert_eq!(count(&gate, "serial_gate_attempt"), 100_000);
}
