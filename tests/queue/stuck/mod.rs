//! Queues that stand still, and what is said about them: on the command line, over HTTP, on the
//! page, in the metrics.
//!
//! `advised` has what helps where other programs moved jobs, `said` the words of every view for
//! every way to be stuck, `kinds` what counts as running, failed or neither, `ready` what makes the
//! service say that it cannot work.

mod advised;
mod kinds;
mod ready;
mod said;

use std::time::Duration;

use jiff::Timestamp;
use serial_gate::gate::{Overrides, Rule};
use serial_gate::queue::{Options, Queue};
use serial_gate::store::Actor;

use crate::support::Gate;

/// Two tasks of `alpha`, A-1 and A-2.
pub fn two_tasks() -> Gate {
    let gate = Gate::new();
    for work_item in ["A-1", "A-2"] {
        let add = ["task", "add", "alpha", "--work-item", work_item];
        gate.run(&add).succeeds();
    }
    gate
}

/// The first job is claimed by `w-1`; its token.
pub fn claimed(gate: &Gate) -> String {
    let claim = gate.run(&["claim", "--worker", "w-1", "--json"]).succeeds();
    crate::support::token(&claim.json())
}

/// The first job is claimed by `w-1` and done.
fn finished(gate: &Gate) {
    let token = claimed(gate);
    let finish = ["job", "finish", "1", "--token", &token];
    gate.run(&finish).succeeds();
}

pub fn fail(gate: &Gate, error: &str) {
    let token = claimed(gate);
    gate.run(&["job", "fail", "1", "--token", &token, "--error", error])
        .succeeds();
}

pub fn execute(gate: &Gate, sql: &str) {
    gate.program().run(sql);
}

/// The branch of the first job could not be cut.
pub fn put_off(gate: &Gate) {
    let token = claimed(gate);
    let rule = Rule::Active(Overrides::default());
    let mut queue = Queue::open(gate.place(), rule, Options::default()).unwrap();
    let actor = Actor {
        now: Timestamp::now(),
        who: "w-1",
        why: "",
    };
    let claim = serial_gate::store::Claim {
        job: 1,
        token: &token,
    };
    let error = "its branch could not be cut: `git fetch` failed: the remote is away";
    queue
        .defer(actor, claim, Duration::from_secs(3_600), error)
        .unwrap();
}

/// A way to be stuck, and how a queue gets there.
pub struct Way {
    pub name: &'static str,
    pub happens: fn(&Gate),
}

pub const WAYS: [Way; 9] = [
    Way {
        name: "its job failed",
        happens: |gate| fail(gate, "boom"),
    },
    Way {
        name: "another program claimed its job with its own query",
        happens: |gate| execute(gate, "UPDATE jobs SET status = 'running' WHERE id = 1"),
    },
    Way {
        name: "its worker was not heard of",
        happens: |gate| {
            claimed(gate);
            execute(
                gate,
                "UPDATE jobs SET gate_lease_until = '2001-01-01 00:00:00' WHERE id = 1",
            );
        },
    },
    Way {
        name: "its branch could not be cut",
        happens: put_off,
    },
    Way {
        name: "its deploy failed",
        happens: |gate| {
            finished(gate);
            gate.run(&["task", "done", "1"]).succeeds();
            let verdict = ["deploy-verdict", "alpha", "--verdict", "degraded"];
            let of = ["--deploy", "118", "--work-item", "A-1"];
            gate.run(&[&verdict[..], &of].concat()).succeeds();
        },
    },
    Way {
        name: "its stage is misspelt",
        happens: |gate| {
            finished(gate);
            gate.run(&["task", "stage", "1", "Done"]).succeeds();
        },
    },
    Way {
        name: "its job is done and nobody goes on with it",
        happens: finished,
    },
    Way {
        name: "its job runs",
        happens: |gate| {
            claimed(gate);
        },
    },
    Way {
        name: "its next job waits for another agent",
        happens: |gate| {
            finished(gate);
            gate.run(&["job", "add", "1", "developer"]).succeeds();
        },
    },
];
