//! The verbs of `serial-gate`: one file each, arguments and execution together.
//!
//! Owns the list of verbs and the exit codes, which are part of the interface: 0 success, 1 error,
//! 2 wrong usage, 3 nothing to claim or the job is held. Callers rely on this: a result that cannot
//! be written is an error, in every verb.

mod adoption;
mod advice;
mod agreement;
mod alerts;
mod audit;
mod claim;
mod clause;
mod compile_policy;
mod conform;
mod demo;
mod deploy_verdict;
mod doctor;
mod error;
mod error_remedy;
mod explain;
mod explain_help;
mod freeze;
mod freeze_remedy;
mod freezes;
mod init;
mod init_words;
mod job;
mod job_lines;
mod lists;
mod log;
mod options;
mod output;
mod pipeline;
mod plain_text;
mod policy;
mod private;
mod projects;
mod queue;
mod queue_work;
mod repo;
mod serve;
mod show;
mod similar;
mod task;
mod task_end;
mod text;
mod times_ahead;
mod token;
mod unfreeze;
mod usage;
mod variables;
mod verb;
mod work;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

pub use error::Error;
pub use log::Log;
use options::{Global, Shared};
use output::Report;
use verb::{Verb, verbs};

const EXIT_CODES: &str = "\
Exit codes: 0 success, 1 error, 2 wrong usage, 3 nothing to claim or the job is held.
A flag overrides an environment variable, which overrides the configuration file,
which overrides the settings that the database stores.";

/// Holds a task's first job until every earlier task of its repo is done, and holds a repo after a
/// bad deploy until an operator clears it.
#[derive(Parser)]
#[command(name = "serial-gate", version = env!("SERIAL_GATE_VERSION"), after_help = EXIT_CODES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Args {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verbs,
}

verbs! {
    enum Verbs {
        Demo(demo::Demo),
        Init(init::Init),
        #[command(subcommand)]
        Task(task::Task),
        #[command(subcommand)]
        Job(job::Job),
        #[command(subcommand)]
        Pipeline(pipeline::Pipeline),
        Claim(claim::Claim),
        Work(work::Work),
        Freeze(freeze::Freeze),
        Unfreeze(unfreeze::Unfreeze),
        Freezes(freezes::Freezes),
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
        Policy(policy::Policy),
        Serve(serve::Serve),
        #[command(subcommand)]
        Token(token::Token),
    }
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

/// Reads the command line, runs one verb and prints its report. Returns the error text for the
/// standard error, and the outcome.
pub fn run(log: &Log) -> (Vec<u8>, Outcome) {
    let closed = private::close();
    variables::ignore_an_empty_temporary_folder();
    let args = variables::applied(Args::command())
        .try_get_matches()
        .and_then(|given| Args::from_arg_matches(&given));
    let mut gate = "serial-gate".to_owned();
    let report = match args {
        Ok(args) => {
            log.listen(args.verb.log(), args.global.json);
            if let Err(cause) = closed {
                tracing::warn!(
                    "other programs of this user can read this process's environment: {cause}"
                );
            }
            run_verb(args, log, &mut gate)
        }
        Err(error) if error.use_stderr() => {
            let text = usage::text(error);
            return (output::for_stderr(&text), Outcome::Usage);
        }
        Err(help) => Ok(asked_help(&help)),
    };
    match report.and_then(|report| Ok(report.print()?)) {
        Ok(outcome) => (Vec::new(), outcome),
        Err(error) => {
            let text = output::error_text(&error, &gate);
            (output::for_stderr(&text), Outcome::Failed)
        }
    }
}

/// `--help` and `--version` are results, on the standard output.
fn asked_help(help: &clap::Error) -> Report {
    let mut report = Report::new(false);
    report.line(help.render().ansi().to_string().trim_end_matches('\n'));
    report
}

/// Runs the verb, and says how a command on its database begins.
fn run_verb(args: Args, log: &Log, gate: &mut String) -> Result<Report, Error> {
    match args.verb {
        // The compiler must read no configuration file.
        Verbs::CompilePolicy(verb) => verb.compile(),
        verb => {
            let makes_database = matches!(verb, Verbs::Init(_));
            let shared = Shared::read(args.global, makes_database, log)?;
            *gate = text::gate(&shared);
            verb.run(&shared)
        }
    }
}
