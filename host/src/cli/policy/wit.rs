//! `policy wit`: prints the contract.

use clap::Args;

use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::verb::Verb;

/// The contract of a policy.
pub const CONTRACT: &str = include_str!("../../../wit/serial-gate.wit");

/// That of the guard.
pub const OF_GUARD: &str = include_str!("../../../wit/guard.wit");

/// That of the JSON face.
pub const OF_JSON_FACE: &str = include_str!("../../../wit/json-face.wit");

/// Print the contract that a policy fulfils, in WIT: it is the manual for authors
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate policy wit | less")]
pub struct Wit {
    /// Print the contract of the guard instead
    #[arg(long)]
    guard: bool,
}

impl Verb for Wit {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let text = match self.guard {
            true => OF_GUARD,
            false => CONTRACT,
        };
        let mut report = shared.report();
        report.json(&serde_json::json!({ "wit": text }));
        report.line(text.trim_end());
        Ok(report)
    }
}
