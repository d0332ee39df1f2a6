//! What a claim costs, compared with other ways to claim, from an empty queue to a million held
//! jobs.
//!
//! `cargo bench --bench claim` takes about half an hour and 8 GB of disk, with `-- --quick` some
//! seconds. It writes `bench/results/claim.md` and the chart `claim.svg`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a bench fails by panicking, and says how far it is"
)]

mod cell;
mod chart;
mod contestants;
mod options;
mod sizes;
mod tables;

use std::io;

use clap::Parser;
use serial_gate::policy::Runtime;
use serial_gate_bench::Report;

use cell::Cell;
use options::Options;
use sizes::{Effort, measure};

fn main() -> io::Result<()> {
    let options = Options::parse();
    let effort = Effort {
        rounds: options.rounds() as usize,
        patience: options.patience(),
    };
    let runtime = Runtime::new().unwrap();
    let mut sizes = Vec::new();
    for repos in options.repos() {
        for held in options.held() {
            let cell = Cell {
                held: *held,
                repos: *repos,
                finished: options.finished(),
                free: u64::from(options.rounds()) + 1,
            };
            eprintln!("{held} held jobs, {repos} repos");
            let folder = match &options.dir {
                Some(dir) => tempfile::tempdir_in(dir)?,
                None => tempfile::tempdir()?,
            };
            sizes.push(measure(cell, folder.path(), &runtime, effort));
        }
    }
    let mut report = Report::new(
        "claim",
        "What a claim costs",
        "WAL, `synchronous=NORMAL`: a commit is synced when the log is checkpointed, every 4,000 \
         pages by ours and every 1,000 by the others",
    )?;
    tables::write(&mut report, &sizes, options.finished())?;
    report.write_file("svg", &chart::draw(&sizes))?;
    report.write()
}
