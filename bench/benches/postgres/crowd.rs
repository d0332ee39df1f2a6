//! Many workers at once: how many claims there are in a second.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serial_gate::policy::Runtime;
use serial_gate::store::Durability;
use serial_gate_bench::Report;

use crate::claims::{CLAIM, Gated, UNGATED, Ungated, WORKER, claim};
use crate::place::Place;

/// How often each takes its turn.
const RUNS: usize = 5;

const WORKERS: [usize; 2] = [8, 32];

/// The claims in a second of each contestant, in the order of the runs.
pub struct Crowd {
    workers: usize,
    runs: [Vec<f64>; 3],
}

pub fn measure(gated: &Place, ungated: &Place, runtime: &Runtime, time: Duration) -> Vec<Crowd> {
    let durability = Durability::Full;
    let of_workers = |workers: usize| {
        let mut runs = [Vec::new(), Vec::new(), Vec::new()];
        for run in 0..RUNS {
            eprintln!("{workers} workers, run {}", run + 1);
            runs[0].push(per_second(workers, time, || {
                let mut ungated = Ungated::new(ungated, durability);
                move || ungated.claim()
            }));
            runs[1].push(per_second(workers, time, || {
                let mut gated = Gated::new(gated, runtime, durability);
                move || gated.claim()
            }));
            runs[2].push(per_second(workers, time, || {
                let mut queue = gated.queue(runtime, durability);
                move || claim(&mut queue)
            }));
        }
        Crowd { workers, runs }
    };
    WORKERS.map(of_workers).into()
}

/// How many jobs all workers together get in a second.
fn per_second<C: FnMut() -> Option<i64>>(
    workers: usize,
    time: Duration,
    worker: impl Fn() -> C + Sync,
) -> f64 {
    let ready = std::sync::Barrier::new(workers);
    let work = || {
        let mut claim = worker();
        // The first claim fills the connection's caches.
        let _ = claim();
        ready.wait();
        let begun = Instant::now();
        let mut got = 0;
        while begun.elapsed() < time {
            got += u32::from(claim().is_some());
        }
        f64::from(got) / begun.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    })
}

fn median(runs: &[f64]) -> f64 {
    let mut runs = runs.to_vec();
    runs.sort_unstable_by(f64::total_cmp);
    runs[runs.len() / 2]
}

pub fn write(report: &mut Report, crowds: &[Crowd]) -> io::Result<()> {
    report.paragraph("## Many workers")?;
    report.paragraph(
        "Claims in a second of all workers together, without a pause, at the last size above; \
         `synchronous_commit = on`. The contestants take turns; each cell is the median of five \
         runs, and all of them.",
    )?;
    let cells = |crowd: &Crowd| {
        let medians = crowd.runs.each_ref().map(|runs| median(runs));
        let mut line = vec![crowd.workers.to_string()];
        for (runs, median) in crowd.runs.iter().zip(medians) {
            let all: Vec<String> = runs.iter().map(|run| format!("{run:.0}")).collect();
            line.push(format!("{median:.0} ({})", all.join(", ")));
        }
        line.push(format!("{:.2}", medians[1] / medians[0]));
        line.push(format!("{:.2}", medians[2] / medians[0]));
        line
    };
    let rows: Vec<Vec<String>> = crowds.iter().map(cells).collect();
    report.table(
        &[
            "workers",
            UNGATED,
            CLAIM,
            WORKER,
            "claim ÷ ungated",
            "worker ÷ ungated",
        ],
        &rows,
    )
}
