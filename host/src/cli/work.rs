//! `work`: a worker that runs a command for each job.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;
use serial_gate::gate::Rule;
use serial_gate::observe::Pace;
use serial_gate::policy::Runtime;
use serial_gate::queue::{Options, Queue};
use serial_gate::worker::{self, Setup, Shutdown, Summary};
use tokio::signal::unix::{SignalKind, signal};

use super::Error;
use super::job_lines::JobLines;
use super::log::Level;
use super::options::{Shared, duration};
use super::output::Report;
use super::pipeline::attempts;
use super::projects;
use super::text::count;
use super::verb::Verb;

/// Claim jobs of one or more agents and run a command for each
#[derive(Args)]
#[command(after_help = "\
The command finds its job in its environment, in SERIAL_GATE_JOB, _TASK, _WORK_ITEM,
_REPO, _AGENT, _ATTEMPT, _TOKEN and _FENCE, and as JSON on its standard input. Exit
code 0 means that the job is done, 10 that it is done and its task goes back to the
pipeline's stage before, any other that it failed. The command may also end its job
itself, with `serial-gate job finish $SERIAL_GATE_JOB`, perhaps with `--stage`. Without
a pipeline, nothing advances the task: queue its next job, or run
`serial-gate task done $SERIAL_GATE_TASK`, which the command itself may do.

If the configuration file has a `[[project]]` for the repo, the task's branch is cut
first, from the current tip of its base, and is in SERIAL_GATE_REMOTE, _BRANCH, _BASE
and _BASE_COMMIT.

Each line that the command prints comes out with its job before it, as `[12 A-1] text`,
or with `--json` as a document. Its last 50 lines are kept with the job (8 KiB) and
shown by `job show`, over HTTP and on the page to everybody who may read there.

At SIGTERM the worker takes no more jobs, and exits when its commands have ended. A
second SIGTERM ends the commands and requeues their jobs. The exit code is 0 even if
jobs failed; the last line, or `--json`, counts them.

Examples:
  serial-gate work --agent analyst -- ./analyse.sh
  serial-gate work --agent analyst,developer -- ./agent.sh
  serial-gate work --agent developer --parallel 4 --timeout 2h -- ./develop.sh --fast")]
pub struct Work {
    /// Its agents: `analyst,developer`, or the option repeated; no name may have a comma
    #[arg(
        long = "agent",
        value_name = "NAME",
        value_delimiter = ',',
        required = true
    )]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    agents: Vec<String>,
    /// The worker's name [default: the process, as `pid-123`]
    #[arg(long, value_name = "NAME", env = "SERIAL_GATE_WORKER")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    worker: Option<String>,
    /// How many jobs to run at a time
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = crate::cli::options::at_least(NonZeroU32::MIN))]
    parallel: NonZeroU32,
    /// Exit after this many jobs [default: never]
    #[arg(long, value_name = "N", value_parser = crate::cli::options::at_least(1u64))]
    max: Option<u64>,
    /// How long the command may take, such as `2h` [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Attempts to cut the branch before the job fails
    #[arg(long, value_name = "N", default_value = "12")]
    tries: NonZeroU32,
    /// After how many failed attempts a job has failed [default: the pipeline's, or 1]
    #[arg(long, value_name = "N", value_parser = attempts())]
    attempts: Option<u32>,
    /// How long to wait after the first failed attempt; each later wait is twice as long
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    retry_after: Duration,
    /// Do not keep the last lines of the command's output with the job
    #[arg(long)]
    discard_output: bool,
    /// The program to run, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Verb for Work {
    fn log(&self) -> Level {
        Level::Progress
    }

    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut command = self.command.into_iter();
        let program = command.next().unwrap_or_default();
        if !exists(&program) {
            // Refused now, before the first claim.
            let cause = ErrorKind::NotFound.into();
            return Err(worker::Error::Command { program, cause }.into());
        }
        let setup = Setup {
            name: self
                .worker
                .unwrap_or_else(|| format!("pid-{}", std::process::id())),
            agents: self.agents,
            command: (program, command.collect()),
            environment: shared.handed_on.clone(),
            parallel: self.parallel.get(),
            max: self.max,
            lease: shared.lease,
            timeout: self.timeout,
            projects: shared.projects.clone(),
            tries: self.tries.get(),
            retry_after: self.retry_after,
            attempts: self.attempts,
            prints_json: shared.json,
            keeps_output: !self.discard_output,
        };
        let shutdown = Arc::new(Shutdown::default());
        shared.runtime.start()?;
        listen(&shutdown, shared.runtime.clone()).map_err(|cause| {
            let text = "this process cannot receive signals, so nothing could stop it";
            Error::because(text, cause)
        })?;
        let options = Options {
            runtime: shared.runtime.clone(),
            trust: shared.trust.clone(),
            pace: Some(Pace::default()),
            ..Options::default()
        };
        // Rules that the policy refuses are an error now, before the first claim.
        let mut queue = shared.queue_with(options.clone())?;
        projects::warn(&mut queue)?;
        drop(queue);
        let rule = || Rule::Active(shared.overrides.clone());
        let open = || Ok(Queue::open(&shared.db, rule(), options.clone())?);
        shared.log_configuration();
        let lines = JobLines::start()
            .map_err(|cause| Error::because("cannot start a thread for the output", cause))?;
        let print = |stream, text| lines.put(stream, text);
        let worked = worker::work(&open, &setup, &shutdown, &Timestamp::now, &print);
        lines.end();
        let summary = worked?;
        let mut report = shared.report();
        report.json(&summary);
        report.line(in_words(&summary));
        Ok(report)
    }
}

/// Whether a program can be found: by its path, or by its name in a folder of `PATH`.
fn exists(program: &OsStr) -> bool {
    let path = Path::new(program);
    if path.components().nth(1).is_some() || path.is_absolute() {
        return path.exists();
    }
    std::env::var_os("PATH").is_none_or(|folders| {
        std::env::split_paths(&folders).any(|folder| folder.join(path).is_file())
    })
}

/// Passes signals on to the worker until the process ends.
fn listen(shutdown: &Arc<Shutdown>, policies: Runtime) -> std::io::Result<()> {
    let shutdown = Arc::clone(shutdown);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let guard = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    drop(guard);
    let hear = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            shutdown.request();
            // No further claim needs another policy.
            policies.stop_compiling();
        }
    };
    let thread = thread::Builder::new().name("signals".into());
    thread.spawn(move || runtime.block_on(hear)).map(drop)
}

fn in_words(summary: &Summary) -> String {
    let done = count(usize::try_from(summary.done).unwrap_or(usize::MAX), "job");
    let Summary {
        failed, given_up, ..
    } = summary;
    let put_off = match summary.put_off {
        0 => String::new(),
        number => format!("{number} put off, "),
    };
    format!("{done} done, {failed} failed, {put_off}{given_up} given up")
}
