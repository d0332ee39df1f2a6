//! `work`: a worker that runs a command for each job.

use std::ffi::OsString;
use std::num::NonZeroU32;
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

use super::options::{Shared, duration};
use super::output::Output;
use super::text::count;
use super::{Error, Outcome};

/// Claim jobs of an agent and run a command for each
#[derive(Args)]
#[command(
    after_help = "The command finds its job in its environment, in SERIAL_GATE_JOB, _TASK, _WORK_ITEM, _REPO, _AGENT, _ATTEMPT, _TOKEN and _FENCE, and as JSON on its standard input. If it exits with 0 the job is done, and otherwise it has failed. With the token it may end its own task: `serial-gate task done $SERIAL_GATE_TASK`.\n\n\
    Where the configuration file has a `[[project]]` for the repo, the task's branch is cut first, from the tip of its base as it is then, and is in SERIAL_GATE_REMOTE, _BRANCH, _BASE and _BASE_COMMIT.\n\n\
    At SIGTERM it takes no more jobs and ends when its commands have. At the second one it ends them and puts their jobs back. It exits with 0 however its jobs have ended; the last line, or `--json`, counts them.\n\nExamples:\n  serial-gate work --agent analyst -- ./analyse.sh\n  \
    serial-gate work --agent developer --parallel 4 --timeout 2h -- ./develop.sh --fast"
)]
pub struct Work {
    /// The agent whose jobs are done
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    agent: String,
    /// The worker's name [default: the process, as `pid-123`]
    #[arg(
        long,
        value_name = "NAME",
        env = "SERIAL_GATE_WORKER",
        hide_env_values = true
    )]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    worker: Option<String>,
    /// How many jobs at a time
    #[arg(long, value_name = "N", default_value = "1")]
    parallel: NonZeroU32,
    /// End after so many jobs [default: never]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// How long the command may take, such as `2h` [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// How many times to try to cut a branch before its job fails
    #[arg(long, value_name = "N", default_value = "12")]
    tries: NonZeroU32,
    /// How long the first failed cut delays the second; each later one takes twice as long
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    retry_after: Duration,
    /// The program to run, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Work {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut command = self.command.into_iter();
        let setup = Setup {
            name: self
                .worker
                .unwrap_or_else(|| format!("pid-{}", std::process::id())),
            agent: self.agent,
            command: (command.next().unwrap_or_default(), command.collect()),
            environment: shared.handed_on.clone(),
            parallel: self.parallel.get(),
            max: self.max,
            lease: shared.lease,
            timeout: self.timeout,
            projects: shared.projects.clone(),
            tries: self.tries.get(),
            retry_after: self.retry_after,
        };
        let shutdown = Arc::new(Shutdown::default());
        shared.runtime.start()?;
        listen(&shutdown, shared.runtime.clone()).map_err(Error::Signals)?;
        let options = Options {
            runtime: shared.runtime.clone(),
            trust: shared.trust.clone(),
            pace: Some(Pace::default()),
            ..Options::default()
        };
        // Rules that the policy refuses are said now, and not in the log of each claim.
        drop(shared.queue_with(options.clone())?);
        let rule = || Rule::Active(shared.overrides.clone());
        let open = || Ok(Queue::open(&shared.db, rule(), options.clone())?);
        shared.log_configuration();
        let summary = worker::work(&open, &setup, &shutdown, &Timestamp::now)?;
        print(summary, output)
    }
}

/// Tells the worker of signals, for as long as the process lives.
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
            // No claim comes after this that would need another policy.
            policies.stop_compiling();
        }
    };
    let thread = thread::Builder::new().name("signals".into());
    thread.spawn(move || runtime.block_on(hear)).map(drop)
}

fn print(summary: Summary, output: &mut Output) -> Result<Outcome, Error> {
    if output.json {
        output.json_line(&summary)?;
    } else {
        let done = count(usize::try_from(summary.done).unwrap_or(usize::MAX), "job");
        let Summary {
            failed,
            put_off,
            given_up,
            ..
        } = summary;
        let put_off = match put_off {
            0 => String::new(),
            number => format!("{number} put off, "),
        };
        output.line(format!(
            "{done} done, {failed} failed, {put_off}{given_up} given up"
        ))?;
    }
    Ok(Outcome::Done)
}
