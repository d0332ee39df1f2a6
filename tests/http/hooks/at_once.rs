//! A merge is told while a worker ends, gives back or puts off the task's job. On a server, two
//! transactions that lock the same rows in another order wait for each other, and one of them fails.

use std::sync::Barrier;
use std::thread;

use serial_gate::queue::Queue;
use serial_gate::store::{
    Actor, Ending, FinishedStages, Hook, HookEffect, News, PullNews, PullState,
};

use super::*;
use crate::support::engine::{Does, Program};
use crate::support::look::count;

/// What a worker, or an operator, does with the job.
#[derive(Debug, Clone, Copy)]
enum Act {
    Finish,
    Fail,
    PutBack,
    PutOff,
    Requeue,
    Expire,
}

const ACTS: [Act; 6] = [
    Act::Finish,
    Act::Fail,
    Act::PutBack,
    Act::PutOff,
    Act::Requeue,
    Act::Expire,
];

fn merge(queue: &mut Queue, branch: &str, id: &str) -> HookEffect {
    let news = PullNews {
        branch,
        base: "main",
        state: PullState::Merged,
        who: "kim",
        url: None,
        merge_commit: None,
    };
    let hook = Hook {
        forge: "github",
        repo: "alpha",
        id: Some(id),
        digest: id,
        news: News::Pull(news),
    };
    queue.take_hook(Timestamp::now(), hook).unwrap()
}

fn act(queue: &mut Queue, act: Act, claimed: &Claimed) {
    let now = Timestamp::now();
    let actor = Actor {
        now,
        who: "w-1",
        why: "it is tried",
    };
    let finished = FinishedStages::default();
    let claim = claimed.claim();
    let minute = Duration::from_secs(60);
    let failed = Ending::Failed {
        error: None,
        retry: None,
    };
    // The merge may have ended the task before, and with it the job.
    let told = match act {
        Act::Finish => queue.end_job(actor, claim, Ending::Done).err(),
        Act::Fail => queue.end_job(actor, claim, failed).err(),
        Act::PutBack => (queue.store_mut().put_back(actor, claim, None, &finished))
            .err()
            .map(Into::into),
        Act::PutOff => (queue.store_mut())
            .put_off(actor, claim, minute, "no room", &finished)
            .err()
            .map(Into::into),
        Act::Requeue => (queue.store_mut().requeue(actor, claim.job, None, &finished))
            .err()
            .map(Into::into),
        Act::Expire => (queue.store_mut().requeue_expired(now, minute, &finished))
            .err()
            .map(Into::into),
    };
    let told = told.map_or(String::new(), |error: serial_gate::queue::Error| {
        error.to_string()
    });
    assert!(!told.contains("deadlock"), "{act:?}: {told}");
}

#[test]
fn a_merge_that_is_told_while_the_job_changes_ends_the_task_once() {
    let gate = gate();
    // A server shows a wrong order only if each of the two has time to take its first lock.
    let program = gate.program();
    if matches!(program, Program::Postgres(_)) {
        let takes_long = Does::Run("PERFORM pg_sleep(0.1)");
        program.trigger("slow", "AFTER UPDATE ON jobs", None, &takes_long);
    }
    let (mut forge, mut worker) = (gate.queue(), gate.queue());
    for round in 0..2 * ACTS.len() {
        let doing = ACTS[round / 2];
        let branch = format!("task/A-{round}");
        let claimed = running(&gate, "alpha", &branch);
        let task = claimed.task_id.unwrap();
        if round % 2 == 1 {
            // The forge has told of it before, and does so again.
            merge(&mut forge, &branch, &format!("first {round}"));
        }
        if matches!(doing, Act::Expire) {
            let over = "UPDATE jobs SET gate_lease_until = '2026-01-01 00:00:00' WHERE id = ";
            program.run(format!("{over}{}", claimed.id));
        }
        let both = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                thread::sleep(Duration::from_millis(30));
                merge(&mut forge, &branch, &format!("again {round}"));
            });
            both.wait();
            act(&mut worker, doing, &claimed);
        });
        assert_eq!(stage(&gate, task), "done", "{round} {doing:?}");
        let open = format!("jobs WHERE task_id = {task} AND status IN ('queued', 'running')");
        assert_eq!(count(&gate, &open), 0, "{round} {doing:?}");
        let ends =
            format!("serial_gate_audit WHERE action = 'task done' AND subject = 'task {task}'");
        assert_eq!(count(&gate, &ends), 1, "{round} {doing:?}");
    }
}
