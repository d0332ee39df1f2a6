//! Tokens and fences: which token ends a job, what a later use of it gets, and that a fence only
//! grows.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use serial_gate::queue::Queue;
use serial_gate::store::{Actor, Claim, Claimed, Ending, Error, sql_time};

use crate::support::look::{status, value};
use crate::support::service::Service;
use crate::support::{Gate, token};

const LEASE: Duration = Duration::from_secs(60);

fn actor(now: Timestamp) -> Actor<'static> {
    Actor {
        now,
        who: "w",
        why: "",
    }
}

#[track_caller]
fn claim_at(queue: &mut Queue, now: Timestamp) -> Claimed {
    queue.claim(now, "w", LEASE).unwrap().expect("a job")
}

#[test]
fn a_fence_grows_with_every_claim_of_a_job_whatever_the_clock_says() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let mut queue = gate.queue();
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut last = 0;
    // Ahead, back, the same moment, long ago, as far ahead as a clock goes, and back again.
    for offset in [0, 86_400, -86_400, 0, 0, -1_000_000_000, 250_000_000_000, 0] {
        let at = now + SignedDuration::from_secs(offset);
        let job = claim_at(&mut queue, at);
        assert!(job.fence > last, "{} after {last}", job.fence);
        assert!(job.fence < 1 << 53, "{}", job.fence);
        last = job.fence;
        queue.release(actor(at), job.claim(), None).unwrap();
    }
}

#[test]
fn a_fence_grows_over_a_restored_backup() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let backup = gate.backup();
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let before = claim_at(&mut gate.queue(), now);
    gate.restore(&backup);
    let mut queue = gate.queue();
    let after = claim_at(&mut queue, now + SignedDuration::from_millis(1));
    assert!(after.fence > before.fence);
    let stale = queue.end_job(actor(now), before.claim(), Ending::Done);
    assert!(
        matches!(
            stale,
            Err(serial_gate::queue::Error::Gate(
                serial_gate::gate::Error::Store(Error::StaleToken { id: 1 })
            ))
        ),
        "{stale:?}"
    );
}

#[test]
fn a_fence_that_no_claim_can_have_given_stalls_nobody() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    for garbage in [
        "9223372036854775807",
        "9007199254740991",
        "-5",
        "'x'",
        "1.5",
        "x'00'",
        "NULL",
    ] {
        let sql = format!("UPDATE jobs SET status = 'queued', gate_fence = {garbage}");
        if !gate.program().takes(&sql) {
            continue;
        }
        let fence = gate.run(&["claim", "--json"]).succeeds().json()["fence"]
            .as_i64()
            .unwrap();
        assert!(fence > 0 && fence < 1 << 53, "{garbage}: {fence}");
    }
}

const REFUSED: &str = "SELECT count(*) FROM serial_gate_audit WHERE action = 'token refused'";

#[test]
fn a_refused_token_is_in_the_audit_once_a_minute() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let mut queue = gate.queue();
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    claim_at(&mut queue, now);
    for seconds in [0, 1, 30, 59, 70, 71, 200] {
        let claim = Claim {
            job: 1,
            token: "wrong",
        };
        let at = actor(now + SignedDuration::from_secs(seconds));
        queue.end_job(at, claim, Ending::Done).unwrap_err();
        queue.store().heartbeat(at, claim, LEASE).unwrap_err();
    }
    assert_eq!(value(&gate, REFUSED).unwrap(), "3");
}

#[test]
fn a_token_refused_over_http_is_in_the_audit() {
    let service = Service::start();
    service
        .post("/v1/tasks", &json!({ "repo": "alpha" }))
        .is(201);
    service.post("/v1/claim", &json!({ "worker": "w" })).is(200);
    for verb in ["finish", "fail", "heartbeat"] {
        service
            .post(&format!("/v1/jobs/1/{verb}"), &json!({ "token": "wrong" }))
            .is(409);
    }
    assert_eq!(value(&service.gate, REFUSED).unwrap(), "1");
}

/// The ways to end a job, each with the other one.
const ENDS: [[&str; 2]; 2] = [["finish", "fail"], ["fail", "finish"]];

#[test]
fn the_same_end_again_is_no_error_and_another_is_told_the_outcome() {
    for [verb, other] in ENDS {
        let gate = Gate::new();
        gate.run(&["task", "add", "alpha"]).succeeds();
        let token = token(&gate.run(&["claim", "--json"]).succeeds().json());
        let with = |verb: &str| gate.run(&["job", verb, "1", "--token", &token]);
        let first = with(verb).succeeds().stdout;
        assert_eq!(with(verb).succeeds().stdout, first);
        let outcome = status(&gate, 1);
        for another in [other, "heartbeat"] {
            let told = with(another).exits(1).stderr;
            assert!(
                told.contains(&format!("has ended already, as `{outcome}`")),
                "{told}"
            );
        }
        assert_eq!(status(&gate, 1), outcome);
    }
}

#[test]
fn over_http_the_same_end_again_is_no_error_and_another_is_told_the_outcome() {
    for [verb, other] in ENDS {
        let service = Service::start();
        service
            .post("/v1/tasks", &json!({ "repo": "alpha" }))
            .is(201);
        let claimed = service
            .post("/v1/claim", &json!({ "worker": "w" }))
            .is(200)
            .json();
        let body = json!({ "token": token(&claimed) });
        let with = |verb: &str| service.post(&format!("/v1/jobs/1/{verb}"), &body);
        let first: Value = with(verb).is(200).json();
        assert_eq!(with(verb).is(200).json(), first);
        for another in [other, "heartbeat"] {
            let told = with(another).is(409).detail();
            assert!(told.contains("has ended already, as `"), "{told}");
        }
    }
}

#[test]
fn a_failure_that_is_told_again_raises_no_second_alert() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let token = token(&gate.run(&["claim", "--json"]).succeeds().json());
    for error in ["tests are red", "something else"] {
        gate.run(&["job", "fail", "1", "--token", &token, "--error", error])
            .succeeds();
    }
    gate.run(&["job", "requeue", "1"]).succeeds();
    gate.run(&["job", "fail", "1", "--token", &token])
        .succeeds();
    assert_eq!(status(&gate, 1), "queued");
    assert_eq!(
        value(&gate, "SELECT count(*) || max(why) FROM serial_gate_alert").unwrap(),
        "1tests are red"
    );
    gate.run(&["claim"]).succeeds();
    gate.run(&["job", "fail", "1", "--token", &token]).exits(1);
}

/// One step of the random test. `token` is the how-manieth token that was ever given.
#[derive(Debug, Clone)]
enum Step {
    Claim,
    Finish {
        token: usize,
    },
    Fail {
        token: usize,
    },
    Heartbeat {
        token: usize,
    },
    PutBack {
        token: usize,
    },
    Requeue,
    TimePasses,
    /// Another program writes the status.
    Sql {
        status: &'static str,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let token = || 0..6_usize;
    prop_oneof![
        4 => Just(Step::Claim),
        2 => token().prop_map(|token| Step::Finish { token }),
        2 => token().prop_map(|token| Step::Fail { token }),
        1 => token().prop_map(|token| Step::Heartbeat { token }),
        1 => token().prop_map(|token| Step::PutBack { token }),
        2 => Just(Step::Requeue),
        1 => Just(Step::TimePasses),
        1 => prop_oneof![Just("queued"), Just("running"), Just("done")].prop_map(|status| Step::Sql { status }),
    ]
}

/// A job as it should be: its status, and what its last token is good for.
#[derive(Debug, Default)]
struct Model {
    status: &'static str,
    /// The last token that was given, unless it was taken away.
    token: Option<usize>,
    /// What that claim ended as.
    outcome: Option<&'static str>,
    has_lease: bool,
}

impl Model {
    /// Whether a holder may end, keep or put back the job by this token.
    fn is_held_by(&self, token: usize) -> bool {
        self.token == Some(token) && self.outcome.is_none() && self.status == "running"
    }

    fn end(&mut self, token: usize, status: &'static str) -> bool {
        if self.is_held_by(token) {
            (self.status, self.outcome, self.has_lease) = (status, Some(status), false);
            return true;
        }
        self.token == Some(token) && self.outcome == Some(status)
    }

    fn let_go(&mut self) {
        (self.status, self.token, self.has_lease) = ("queued", None, false);
    }
}

#[test]
fn any_order_of_steps_leaves_the_job_with_its_holder_only() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let config = Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    };
    let steps = prop::collection::vec(step(), 1..25);
    TestRunner::new(config)
        .run(&steps, |steps| {
            check_steps(&gate, &steps);
            Ok(())
        })
        .unwrap();
}

fn check_steps(gate: &Gate, steps: &[Step]) {
    let program = gate.program();
    let reset = "UPDATE jobs SET status = 'queued', gate_token = NULL, gate_outcome = NULL, \
        gate_lease_until = NULL,
        gate_fence = NULL";
    program.run(reset);
    program.run("DELETE FROM serial_gate_alert");
    let mut queue = gate.queue();
    let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut model = Model {
        status: "queued",
        ..Model::default()
    };
    let mut given: BTreeMap<usize, Claimed> = BTreeMap::new();
    let mut failures = 0_i64;
    for (number, step) in steps.iter().enumerate() {
        now += SignedDuration::from_millis(10);
        let shown = |token: &usize| {
            given
                .get(token)
                .map_or("none", |claimed| claimed.token.as_str())
                .to_owned()
        };
        let finished = queue.finished_stages().unwrap();
        match step {
            Step::Claim => {
                if model.status == "running" && model.has_lease {
                    let until: String = program.one("SELECT gate_lease_until FROM jobs");
                    if until <= sql_time(now) {
                        model.let_go();
                    }
                }
                let claimed = queue.claim(now, "w", LEASE).unwrap();
                assert_eq!(
                    claimed.is_some(),
                    model.status == "queued",
                    "{number}: {steps:?}"
                );
                if let Some(claimed) = claimed {
                    let last = given.values().map(|earlier| earlier.fence).max();
                    assert!(Some(claimed.fence) > last, "{number}: {steps:?}");
                    let token = given.len();
                    model = Model {
                        status: "running",
                        token: Some(token),
                        outcome: None,
                        has_lease: true,
                    };
                    given.insert(token, claimed);
                }
            }
            Step::Finish { token } => {
                let token_text = shown(token);
                let ended = queue.end_job(
                    actor(now),
                    Claim {
                        job: 1,
                        token: &token_text,
                    },
                    Ending::Done,
                );
                assert_eq!(
                    ended.is_ok(),
                    model.end(*token, "done"),
                    "{number}: {steps:?} {ended:?}"
                );
            }
            Step::Fail { token } => {
                failures += i64::from(model.is_held_by(*token));
                let token_text = shown(token);
                let failed = Ending::Failed {
                    error: None,
                    retry: None,
                };
                let ended = queue.end_job(
                    actor(now),
                    Claim {
                        job: 1,
                        token: &token_text,
                    },
                    failed,
                );
                assert_eq!(
                    ended.is_ok(),
                    model.end(*token, "failed"),
                    "{number}: {steps:?} {ended:?}"
                );
            }
            Step::Heartbeat { token } => {
                let token_text = shown(token);
                let kept = queue.store().heartbeat(
                    actor(now),
                    Claim {
                        job: 1,
                        token: &token_text,
                    },
                    LEASE,
                );
                assert_eq!(
                    kept.is_ok(),
                    model.is_held_by(*token),
                    "{number}: {steps:?} {kept:?}"
                );
                model.has_lease |= kept.is_ok();
            }
            Step::PutBack { token } => {
                let token_text = shown(token);
                let back = queue.release(
                    actor(now),
                    Claim {
                        job: 1,
                        token: &token_text,
                    },
                    None,
                );
                assert_eq!(
                    back.is_ok(),
                    model.is_held_by(*token),
                    "{number}: {steps:?} {back:?}"
                );
                if back.is_ok() {
                    model.let_go();
                }
            }
            Step::Requeue => {
                let again = queue.store_mut().requeue(actor(now), 1, None, &finished);
                let may = ["running", "failed", "cancelled"].contains(&model.status);
                assert_eq!(again.is_ok(), may, "{number}: {steps:?} {again:?}");
                if may {
                    (model.status, model.has_lease) = ("queued", false);
                    // The worker that ended it may not know yet.
                    model.token = model.token.filter(|_| model.outcome.is_some());
                }
            }
            // A server has its own clock for leases.
            Step::TimePasses => {
                now += SignedDuration::from_secs(61);
                program.run("UPDATE jobs SET gate_lease_until = '2000-01-01 00:00:00' WHERE gate_lease_until IS NOT NULL");
            }
            Step::Sql { status } => {
                program.run(format!("UPDATE jobs SET status = '{status}'"));
                model.status = status;
            }
        }
        let kept: String = program.one("SELECT status FROM jobs");
        assert_eq!(kept, model.status, "{number}: {steps:?}");
        let alerts = "SELECT count(*) FROM serial_gate_alert WHERE kind = 'job_failed'";
        let alerts: i64 = program.one(alerts);
        assert_eq!(alerts, failures, "{number}: {steps:?}");
    }
}
