//! The command line of the serial gate: run one verb, say how it went.

mod cli;
mod http;

use std::process::ExitCode;

fn main() -> ExitCode {
    let log = cli::Log::start();
    let (last, outcome) = cli::run(&log);
    log.end(last);
    outcome.into()
}
