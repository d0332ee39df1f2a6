//! The verbs of `serial-gate`: one file each, arguments and execution together.
//!
//! Owns the list of verbs, the exit codes and the way an error is shown. The exit code is part of
//! the interface: 0 done, 1 failed, 2 usage (clap's), 3 nothing to claim, or held.

mod alerts;
mod audit;
mod claim;
mod clause;
mod conform;
mod demo;
mod deploy_verdict;
mod doctor;
mod error;
mod explain;
mod freeze;
mod init;
mod job;
mod options;
mod output;
mod policy;
mod queue;
mod repo;
mod serve;
mod task;
mod text;
mod token;
mod unfreeze;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::Error;
use options::{Global, Shared};
use output::Output;
use tracing_subscriber::EnvFilter;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 nothing to claim or held.
Settings come from flags, then the environment, then `serial-gate.toml`, then the queue's policy.";

/// Holds a task's first job until every earlier task of its repo is done, and holds a repo after a
/// bad deploy until an operator clears it.
#[derive(Parser)]
#[command(name = "serial-gate", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Line {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Demo(demo::Demo),
    Init(init::Init),
    #[command(subcommand)]
    Task(task::Task),
    #[command(subcommand)]
    Job(job::Job),
    Claim(claim::Claim),
    Work(work::Work),
    Freeze(freeze::Freeze),
    Unfreeze(unfreeze::Unfreeze),
    DeployVerdict(deploy_verdict::DeployVerdict),
    Repo(repo::Repo),
    Queue(queue::Queue),
    Explain(explain::Explain),
    Clause(clause::Clause),
    Audit(audit::Audit),
    Alerts(alerts::Alerts),
    Doctor(doctor::Doctor),
    Conform(conform::Conform),
    #[command(subcommand)]
    Policy(policy::Policy),
    Serve(serve::Serve),
    #[command(subcommand)]
    Token(token::Token),
}

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// It could not.
    Failed,
    /// There was nothing to claim, or the job is held.
    Held,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Held => 3,
        })
    }
}

/// Runs one verb.
pub fn run(line: Line) -> Result<Outcome, Error> {
    let shared = Shared::read(line.global)?;
    let mut output = Output::new(shared.json);
    match line.verb {
        Verb::Demo(verb) => verb.run(&mut output),
        Verb::Init(verb) => verb.run(&shared, &mut output),
        Verb::Task(verb) => verb.run(&shared, &mut output),
        Verb::Job(verb) => verb.run(&shared, &mut output),
        Verb::Claim(verb) => verb.run(&shared, &mut output),
        Verb::Work(verb) => verb.run(&shared, &mut output),
        Verb::Freeze(verb) => verb.run(&shared, &mut output),
        Verb::Unfreeze(verb) => verb.run(&shared, &mut output),
        Verb::DeployVerdict(verb) => verb.run(&shared, &mut output),
        Verb::Repo(verb) => verb.run(&shared, &mut output),
        Verb::Queue(verb) => verb.run(&shared, &mut output),
        Verb::Explain(verb) => verb.run(&shared, &mut output),
        Verb::Clause(verb) => verb.run(&shared, &mut output),
        Verb::Audit(verb) => verb.run(&shared, &mut output),
        Verb::Alerts(verb) => verb.run(&shared, &mut output),
        Verb::Doctor(verb) => verb.run(&shared, &mut output),
        Verb::Conform(verb) => verb.run(&shared, &mut output),
        Verb::Policy(verb) => verb.run(&shared, &mut output),
        Verb::Serve(verb) => verb.run(&shared, &mut output),
        Verb::Token(verb) => verb.run(&shared, &mut output),
    }
}

/// Sends the library's log to the standard error: warnings, or what `SERIAL_GATE_LOG` asks for; a line of JSON each where
/// a verb runs for long and is to print JSON.
pub fn log(line: &Line) {
    let runs_for_long = matches!(line.verb, Verb::Work(_) | Verb::Serve(_));
    // `queue` prints the notes itself, `doctor` what it finds, and `conform` runs settings that are wrong on purpose.
    let default = if matches!(
        line.verb,
        Verb::Queue(_) | Verb::Conform(_) | Verb::Policy(_)
    ) {
        "error"
    } else if matches!(line.verb, Verb::Doctor(_)) {
        "off"
    } else if runs_for_long {
        // They print nothing else while they run.
        "info"
    } else {
        "warn"
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("SERIAL_GATE_LOG").unwrap_or_else(|_| EnvFilter::new(default)),
        )
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    // What runs for long has a log that is collected; what does not, has a person who reads it.
    if line.global.json && runs_for_long {
        log.json().flatten_event(true).init();
    } else {
        log.without_time().init();
    }
}

/// Prints an error and its causes.
pub fn print_error(error: &Error) {
    output::print_error(error);
}
