//! What is told of the past: of the queue, of a repo, of a task.

mod activity;
mod lanes;
mod measured;
mod timeline;

use jiff::{SignedDuration, Timestamp};
use serial_gate::store::sql_time;

use crate::support::Gate;
use crate::support::engine::literal;

/// The present in these tests: at half past twelve.
fn now() -> Timestamp {
    "2026-03-04T12:30:00Z".parse().unwrap()
}

/// So many minutes before the present.
fn before(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

/// A job's row, by minutes before the present.
#[derive(Debug, Clone, Copy)]
struct Job<'a> {
    repo: &'a str,
    status: &'a str,
    created: i64,
    claimed: Option<i64>,
    ended: Option<i64>,
    /// None where the columns tell of no attempt.
    worker: Option<&'a str>,
    /// The end of a running job's lease.
    lease: Option<i64>,
}

const DONE: Job<'static> = Job {
    repo: "alpha",
    status: "done",
    created: 100,
    claimed: Some(90),
    ended: Some(60),
    worker: Some("w"),
    lease: None,
};

/// Adds rows of jobs, whose ids count from 1.
fn add_jobs(gate: &Gate, jobs: &[Job<'_>]) {
    let text = |text: Option<&str>| text.map_or("NULL".into(), literal);
    let time = |minutes: Option<i64>| text(minutes.map(|it| sql_time(before(it))).as_deref());
    let rows: Vec<String> = jobs
        .iter()
        .map(|job| {
            format!(
                "(1, {}, 'analyst', {}, {}, {}, {}, {}, {}, 1)",
                literal(job.repo),
                literal(job.status),
                time(Some(job.created)),
                time(job.claimed),
                time(job.ended),
                text(job.worker),
                time(job.lease),
            )
        })
        .collect();
    if !rows.is_empty() {
        gate.program().run(format!(
            "INSERT INTO jobs (task_id, repo, agent, status, created_at, gate_claimed_at,
                gate_ended_at, gate_worker, gate_lease_until, gate_attempt) VALUES {}",
            rows.join(", ")
        ));
    }
}

/// Adds the row of an earlier attempt.
fn add_attempt(gate: &Gate, job: i64, claimed: i64, ended: i64, outcome: &str) {
    gate.program().run(format!(
        "INSERT INTO serial_gate_attempt (job, repo, attempt, worker, claimed_at, ended_at, outcome)
         VALUES ({job}, (SELECT repo FROM jobs WHERE id = {job}), 1, 'w', '{}', '{}', '{outcome}')",
        sql_time(before(claimed)),
        sql_time(before(ended))
    ));
}
