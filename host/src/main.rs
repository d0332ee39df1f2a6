//! The command line of the serial gate: parse, run one verb, say how it went.

mod cli;
mod http;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let line = cli::Line::parse();
    cli::log(&line);
    match cli::run(line) {
        Ok(outcome) => outcome.into(),
        // Whoever read the output has seen enough.
        Err(error) if error.is_closed_pipe() => cli::Outcome::Done.into(),
        Err(error) => {
            cli::print_error(&error);
            cli::Outcome::Failed.into()
        }
    }
}
