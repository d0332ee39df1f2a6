//! What a claim costs on PostgreSQL, compared with an ungated one, from an empty queue to a million
//! held jobs, and beside other workers and writers.
//!
//! `SERIAL_GATE_BENCH_PG` names the server, as libpq does: `host=/tmp port=5432 user=me
//! dbname=postgres`. `cargo bench --bench postgres` takes about twenty minutes and 3 GB of its disk,
//! with `-- --quick` a minute. It writes `bench/results/postgres.md`. Each figure is compared with
//! others of the same run: a commit's wait for the disk changes from minute to minute.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a bench fails by panicking, and says how far it is"
)]

mod claims;
mod crowd;
mod place;
mod steady;

use std::env;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serial_gate::policy::Runtime;
use serial_gate::store::Durability;
use serial_gate_bench::Report;

use place::Cell;

/// Compare a claim on PostgreSQL with an ungated one
#[derive(Parser)]
struct Options {
    /// Small sizes: about a minute
    #[arg(long)]
    quick: bool,
    /// Queued jobs that the gate holds [default: 0,100000,1000000]
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    held: Vec<u64>,
    /// Repos that they are spread over [default: 1,1000]
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    repos: Vec<u64>,
    /// Finished tasks [default: 2000000]
    #[arg(long, value_name = "N")]
    finished: Option<u64>,
    /// How often each claim is measured [default: 2000]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// What cargo tells every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    let server = env::var("SERIAL_GATE_BENCH_PG").unwrap_or_default();
    if server.is_empty() {
        eprintln!("`SERIAL_GATE_BENCH_PG` names no server: nothing is measured");
        return Ok(ExitCode::SUCCESS);
    }
    let size = options.size();
    let runtime = Runtime::new().unwrap();
    let mut report = Report::new(
        "postgres",
        "What a claim costs on PostgreSQL",
        &place::about(&server),
    )?;
    let (mut off, mut on, mut crowd) = (Vec::new(), Vec::new(), Vec::new());
    for (at, cell) in size.cells.iter().enumerate() {
        eprintln!("{} held jobs, {} repos", cell.held, cell.repos);
        let [gated, ungated] = cell.build(&server);
        for (durability, rows) in [(Durability::Normal, &mut off), (Durability::Full, &mut on)] {
            let measure = claims::Measure {
                gated: &gated,
                ungated: &ungated,
                runtime: &runtime,
                durability,
            };
            rows.push((*cell, measure.take_turns(size.rounds)));
        }
        if at + 1 == size.cells.len() {
            crowd = crowd::measure(&gated, &ungated, &runtime, size.run);
        }
    }
    let steady = steady::measure(&server, &runtime, size.run);
    claims::write(&mut report, &off, &on)?;
    crowd::write(&mut report, &crowd)?;
    steady::write(&mut report, &steady)?;
    report.write()?;
    Ok(ExitCode::SUCCESS)
}

/// What is measured.
struct Size {
    cells: Vec<Cell>,
    rounds: usize,
    /// How long a run of many workers or writers takes.
    run: Duration,
}

impl Options {
    fn size(&self) -> Size {
        let (held, repos): (&[u64], &[u64]) = match self.quick {
            true => (&[0, 1_000], &[1, 10]),
            false => (&[0, 100_000, 1_000_000], &[1, 1_000]),
        };
        let given = |given: &[u64], else_: &[u64]| match given.is_empty() {
            true => else_.to_vec(),
            false => given.to_vec(),
        };
        let (held, repos) = (given(&self.held, held), given(&self.repos, repos));
        let finished = self
            .finished
            .unwrap_or(if self.quick { 1_000 } else { 2_000_000 });
        let free = if self.quick { 20_000 } else { 120_000 };
        let of_repos = |repos: u64| {
            held.iter().map(move |held| Cell {
                held: *held,
                repos,
                finished,
                free,
            })
        };
        Size {
            cells: repos.iter().copied().flat_map(of_repos).collect(),
            rounds: self.rounds.unwrap_or(if self.quick { 50 } else { 2_000 }),
            run: Duration::from_millis(if self.quick { 300 } else { 2_000 }),
        }
    }
}
