//! The claims that take part, and the time of one claim by one worker.
//!
//! The ungated claim is one prepared statement, which takes the first job of all and writes what a
//! claim writes. *Claim* is the gate's statement, as the store sends it. *Worker* is
//! `Queue::claim`, which also asks whether the policy has changed and looks for leases that ran
//! out.

use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use postgres::{Client, Statement};
use serial_gate::clause::{Agents, Rendered, Table};
use serial_gate::policy::{Runtime, digest};
use serial_gate::queue::Queue;
use serial_gate::store::{Durability, HeadClaim, Lease, Shaped, Store};
use serial_gate_bench::{Contest, Report, Times, duration, ratio};

use crate::place::{Cell, Place};

pub const UNGATED: &str = "ungated";
pub const CLAIM: &str = "claim";
pub const WORKER: &str = "worker";

const LEASE: Duration = Duration::from_secs(30 * 60);

/// The claim without a gate.
pub struct Ungated {
    client: Client,
    claim: Statement,
}

impl Ungated {
    pub fn new(place: &Place, durability: Durability) -> Ungated {
        let mut client = place.plain(durability);
        let claim = client
            .prepare(
                "UPDATE jobs SET status = 'running', gate_worker = 'bench', gate_claimed_at = $1,
                    gate_lease_until = $1, gate_lease = 1800, gate_token = $2,
                    gate_fence = coalesce(gate_fence, 0) + 1,
                    gate_attempt = coalesce(gate_attempt, 0) + 1
                 WHERE id = (SELECT id FROM jobs WHERE status = 'queued' ORDER BY id LIMIT 1
                    FOR UPDATE SKIP LOCKED)
                 RETURNING id, task_id, repo, agent, gate_fence, gate_attempt",
            )
            .unwrap();
        Ungated { client, claim }
    }

    pub fn claim(&mut self) -> Option<i64> {
        let values: [&(dyn postgres::types::ToSql + Sync); 2] =
            [&"2030-01-01 00:00:00", &"sgc_0123456789abcdef0123456789"];
        let row = self.client.query_opt(&self.claim, &values).unwrap();
        row.map(|row| row.get(0))
    }
}

/// The gate's claim, as the store sends it.
pub struct Gated {
    store: Store,
    clause: Rendered,
    digest: String,
    gated: Agents,
    reads: Vec<Table>,
}

impl Gated {
    pub fn new(place: &Place, runtime: &Runtime, durability: Durability) -> Gated {
        let clause = place
            .queue(runtime, durability)
            .clause(Timestamp::now())
            .unwrap();
        let shape = clause.shape.as_ref().unwrap();
        Gated {
            store: Store::open(place.database(durability)).unwrap(),
            clause: clause.rendered.clone(),
            // The worker's own: a second clause would cost both of them.
            digest: digest(clause.rendered.as_str().as_bytes()),
            gated: shape.gated.clone(),
            reads: shape.reads.clone(),
        }
    }

    pub fn claim(&mut self) -> Option<i64> {
        let shaped = Shaped {
            clause: &self.clause,
            digest: &self.digest,
            gated: &self.gated,
            reads: &self.reads,
        };
        let lease = Lease {
            agents: &[],
            worker: "bench",
            generation: None,
            now: Timestamp::now(),
            lease: LEASE,
        };
        match self.store.claim_head(shaped, lease).unwrap() {
            HeadClaim::Claimed(job) => Some(job.id),
            _ => None,
        }
    }
}

/// A worker's claim.
pub fn claim(queue: &mut Queue) -> Option<i64> {
    let claimed = queue.claim(Timestamp::now(), "bench", LEASE).unwrap();
    claimed.map(|job| job.id)
}

/// What is measured at one size.
pub struct Measure<'a> {
    pub gated: &'a Place,
    pub ungated: &'a Place,
    pub runtime: &'a Runtime,
    pub durability: Durability,
}

impl Measure<'_> {
    /// One claim each, in turns.
    pub fn take_turns(&self, rounds: usize) -> Vec<Times> {
        let mut ungated = Ungated::new(self.ungated, self.durability);
        let mut gated = Gated::new(self.gated, self.runtime, self.durability);
        let mut queue = self.gated.queue(self.runtime, self.durability);
        let mut contest = Contest::new();
        contest.enter(UNGATED, || found(|| ungated.claim()));
        contest.enter(CLAIM, || found(|| gated.claim()));
        contest.enter(WORKER, || found(|| claim(&mut queue)));
        contest.run(rounds, Duration::from_secs(60))
    }
}

/// A claim that has to get a job.
fn found(claim: impl FnOnce() -> Option<i64>) -> Duration {
    let begun = Instant::now();
    let job = claim();
    let took = begun.elapsed();
    assert!(job.is_some(), "no job");
    took
}

/// A table for each way to commit.
pub fn write(
    report: &mut Report,
    off: &[(Cell, Vec<Times>)],
    on: &[(Cell, Vec<Times>)],
) -> io::Result<()> {
    report.paragraph("## One worker")?;
    report.paragraph(
        "*Ungated* is one prepared `UPDATE` with `FOR UPDATE SKIP LOCKED`, which takes the first \
         job of all. *Claim* is the gate's own statement, as the store sends it; it finds its job \
         behind all the held ones. *Worker* is `Queue::claim`, which also asks whether the policy \
         has changed, and looks for leases that ran out: a few reads before the claim. Cells are \
         p50 / p99.",
    )?;
    for (commit, rows) in [("off", off), ("on", on)] {
        report.paragraph(&format!("`synchronous_commit = {commit}`:"))?;
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|(cell, times)| line(*cell, times, rows))
            .collect();
        report.table(
            &[
                "repos",
                "held",
                UNGATED,
                CLAIM,
                WORKER,
                "claim ÷ none held",
                "claim ÷ ungated",
                "worker ÷ none held",
                "worker ÷ ungated",
            ],
            &cells,
        )?;
    }
    Ok(())
}

fn line(cell: Cell, times: &[Times], rows: &[(Cell, Vec<Times>)]) -> Vec<String> {
    let none = rows.iter().find(|(other, _)| other.repos == cell.repos);
    let none = none.map_or(times, |(_, times)| times);
    let mut line = vec![cell.repos.to_string(), cell.held.to_string()];
    for times in times {
        line.push(format!(
            "{} / {}",
            duration(times.p50()),
            duration(times.p99())
        ));
    }
    for at in [1, 2] {
        line.push(ratio(times[at].p50(), none[at].p50()));
        line.push(ratio(times[at].p50(), times[0].p50()));
    }
    line
}
