//! A worker beside programs that write its repo without a pause.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use postgres::GenericClient;
use serial_gate::policy::Runtime;
use serial_gate::queue::Claimant;
use serial_gate::store::Durability;
use serial_gate_bench::{Report, Times, duration};

use crate::place::Place;

const WRITERS: usize = 8;
const RUNS: usize = 5;

/// How long each writer's transaction is open.
const OPEN: Duration = Duration::from_millis(10);

const LEASE: Duration = Duration::from_secs(30 * 60);

/// The times of the claims of each run.
pub fn measure(server: &str, runtime: &Runtime, time: Duration) -> Vec<Times> {
    let run = |number: usize| {
        eprintln!("{WRITERS} writers of one repo, run {}", number + 1);
        let place = Place::new(server);
        place.prepare();
        run(&place, runtime, time * 3)
    };
    (0..RUNS).map(run).collect()
}

fn run(place: &Place, runtime: &Runtime, time: Duration) -> Times {
    let ends = AtomicBool::new(false);
    let writer = || {
        let mut plain = place.plain(Durability::Full);
        while !ends.load(Ordering::Relaxed) {
            let mut change = plain.transaction().unwrap();
            add(&mut change);
            thread::sleep(OPEN);
            change.commit().unwrap();
        }
    };
    thread::scope(|scope| {
        let mut plain = place.plain(Durability::Full);
        add(&mut plain);
        for _ in 0..WRITERS {
            scope.spawn(writer);
        }
        let mut queue = place.queue(runtime, Durability::Full);
        let analyst = Claimant {
            worker: "bench",
            agents: &["analyst".to_owned()],
        };
        let (begun, mut times) = (Instant::now(), Vec::new());
        let mut is_first = true;
        while begun.elapsed() < time {
            let one = Instant::now();
            let claimed = queue.claim(Timestamp::now(), analyst, LEASE).unwrap();
            let took = one.elapsed();
            let Some(task) = claimed.and_then(|job| job.task_id) else {
                continue;
            };
            // The first one makes the functions.
            if !std::mem::take(&mut is_first) {
                times.push(took);
            }
            let done = "UPDATE tasks SET stage = 'done' WHERE id = $1";
            plain.execute(done, &[&task]).unwrap();
        }
        ends.store(true, Ordering::Relaxed);
        Times::of("claim", times)
    })
}

/// Adds a task with its job.
fn add(client: &mut impl GenericClient) {
    let task = "INSERT INTO tasks (repo, stage) VALUES ('repo', 'analysis') RETURNING id";
    let task: i64 = client.query_one(task, &[]).unwrap().get(0);
    let job = "INSERT INTO jobs (task_id, repo, agent) VALUES ($1, 'repo', 'analyst')";
    client.execute(job, &[&task]).unwrap();
}

pub fn write(report: &mut Report, runs: &[Times]) -> io::Result<()> {
    report.paragraph("## Beside writers of one repo")?;
    report.paragraph(&format!(
        "A worker's claims in a repo that {WRITERS} programs write without a pause, each in \
         transactions of {} ms; `synchronous_commit = on`. A claim waits for the transactions that \
         are open when it begins.",
        OPEN.as_millis()
    ))?;
    let line = |(at, times): (usize, &Times)| {
        let longest = times.longest();
        vec![
            (at + 1).to_string(),
            times.count().to_string(),
            duration(times.p50()),
            duration(times.p99()),
            duration(longest),
        ]
    };
    let rows: Vec<Vec<String>> = runs.iter().enumerate().map(line).collect();
    report.table(&["run", "claims", "p50", "p99", "longest"], &rows)
}
