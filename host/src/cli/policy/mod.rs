//! `policy`: the verbs of a policy's life, one file each.

mod check;

use clap::Subcommand;

use crate::cli::options::Shared;
use crate::cli::output::Output;
use crate::cli::{Error, Outcome};

/// Look into a policy before it is used
#[derive(Subcommand)]
#[command(after_help = "Example:\n  serial-gate policy check my-policy.wasm")]
pub enum Policy {
    Check(check::Check),
}

impl Policy {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        match self {
            Policy::Check(verb) => verb.run(shared, output),
        }
    }
}
