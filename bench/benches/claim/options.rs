//! The command line: which sizes are measured, how often, and where the databases are.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Compare a claim with a bare write, an ungated claim and the reference's way
#[derive(Parser)]
pub struct Options {
    /// Small sizes, for CI: some seconds
    #[arg(long)]
    quick: bool,
    /// Queued jobs that the gate holds [default: 0,1000,100000,1000000]
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    held: Vec<u64>,
    /// Repos that they are spread over [default: 1,1000]
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    repos: Vec<u64>,
    /// Finished tasks [default: 10000000]
    #[arg(long, value_name = "N")]
    finished: Option<u64>,
    /// How often each is measured [default: 5000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// A slow contestant sits out the rest after this many seconds [default: 20]
    #[arg(long, value_name = "SECONDS")]
    patience: Option<u64>,
    /// The folder for the databases [default: a temporary folder]
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// What cargo tells every bench
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub fn held(&self) -> &[u64] {
        match (self.held.as_slice(), self.quick) {
            ([], true) => &[0, 100, 1_000],
            ([], false) => &[0, 1_000, 100_000, 1_000_000],
            (given, _) => given,
        }
    }

    pub fn repos(&self) -> &[u64] {
        match (self.repos.as_slice(), self.quick) {
            ([], true) => &[1, 10],
            ([], false) => &[1, 1_000],
            (given, _) => given,
        }
    }

    pub fn finished(&self) -> u64 {
        let default = if self.quick { 1_000 } else { 10_000_000 };
        self.finished.unwrap_or(default)
    }

    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 20 } else { 5_000 })
    }

    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience.unwrap_or(if self.quick { 1 } else { 20 }))
    }
}
