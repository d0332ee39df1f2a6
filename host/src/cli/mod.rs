//! The verbs of `serial-gate`: one file each, arguments and execution together.
//!
//! Owns the list of verbs and the exit codes, which are part of the interface: 0 done, 1 failed, 2 usage, 3 nothing to claim,
//! or held. Callers rely on this: a result that cannot be written is a failure, in every verb.

mod adoption;
mod advice;
mod agreement;
mod alerts;
mod audit;
mod claim;
mod clause;
mod compile_policy;
mod config_file;
mod conform;
mod demo;
mod deploy_verdict;
mod doctor;
mod empty_variables;
mod error;
mod error_remedy;
mod explain;
mod explain_help;
mod freeze;
mod init;
mod job;
mod log;
mod options;
mod output;
mod plain_text;
mod policy;
mod private;
mod queue;
mod queue_work;
mod remedy;
mod repo;
mod serve;
mod similar;
mod task;
mod task_end;
mod text;
mod token;
mod unfreeze;
mod work;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use compile_policy::compiler;
pub use error::Error;
pub use log::Log;
use log::Style;
use options::{Global, Shared};
use output::Output;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 nothing to claim or held.
Settings come from flags, then the environment, then the configuration file, then the queue's policy.";

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
    CompilePolicy(compile_policy::CompilePolicy),
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
    /// The command line cannot be understood.
    Usage,
    /// There was nothing to claim, or the job is held.
    Held,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
            Outcome::Held => 3,
        })
    }
}

/// Reads the command line and runs one verb. What is to be said on the standard error is returned with the outcome.
pub fn run(log: &Log) -> (Vec<u8>, Outcome) {
    let closed = private::close();
    empty_variables::leave_out_the_temporary_folder();
    let command = empty_variables::left_out(Line::command());
    let line = command
        .try_get_matches()
        .and_then(|given| Line::from_arg_matches(&given));
    let ended = match line {
        Ok(line) => {
            log.listen(&style(&line));
            if let Err(cause) = closed {
                tracing::warn!(
                    "other programs of this user can read this process's environment: {cause}"
                );
            }
            run_verb(line, log)
        }
        Err(told) if told.use_stderr() => {
            let text = told.render().ansi().to_string();
            return (output::for_stderr(&text), Outcome::Usage);
        }
        Err(help) => print_help(&help),
    };
    match ended {
        Ok(outcome) => (Vec::new(), outcome),
        Err(error) => {
            let mut text = output::error_text(&error);
            if let Some(remedy) = error.remedy() {
                text.push_str(&format!("  {remedy}\n"));
            }
            (output::for_stderr(&text), Outcome::Failed)
        }
    }
}

/// Help that was asked for, and the version, are results.
fn print_help(help: &clap::Error) -> Result<Outcome, Error> {
    let text = help.render().ansi().to_string();
    Output::new(false).line(text.trim_end_matches('\n'))?;
    Ok(Outcome::Done)
}

fn run_verb(line: Line, log: &Log) -> Result<Outcome, Error> {
    // Its process gets no setting, and is to read no file.
    if let Verb::CompilePolicy(verb) = line.verb {
        return verb.run();
    }
    let shared = Shared::read(line.global, matches!(line.verb, Verb::Init(_)))?;
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
        Verb::CompilePolicy(verb) => verb.run(),
        Verb::Conform(verb) => verb.run(&shared, &mut output),
        Verb::Policy(verb) => verb.run(&shared, &mut output),
        Verb::Serve(verb) => verb.run(&shared, log),
        Verb::Token(verb) => verb.run(&shared, &mut output),
    }
}

/// How a verb's log looks: warnings, unless `SERIAL_GATE_LOG` asks for more or less; lines of JSON where a verb runs for long
/// and is to print JSON.
fn style(line: &Line) -> Style {
    let runs_for_long = matches!(line.verb, Verb::Work(_) | Verb::Serve(_));
    // `queue` prints the notes itself, `doctor` what it finds, and `conform` runs settings that are wrong on purpose.
    let level = if matches!(
        line.verb,
        Verb::Queue(_) | Verb::Conform(_) | Verb::Policy(_)
    ) {
        "error,serial_gate::cli::options=warn"
    } else if matches!(line.verb, Verb::Doctor(_)) {
        "off"
    } else if runs_for_long {
        // They print nothing else while they run.
        "info"
    } else {
        "warn"
    };
    // What runs for long has a log that is collected; what does not, has a person who reads it.
    let json = line.global.json && runs_for_long;
    Style { level, json }
}
