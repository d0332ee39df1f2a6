//! `claim`: gives jobs to a worker.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;
use serial_gate::observe::LogOptions;
use serial_gate::queue::{Claimant, Options, Queue};
use serial_gate::store::{Act, Claimed};

use super::options::{Shared, duration};
use super::output::{Output, Tone, toned};
use super::text::{command, shown, shown_or_dash};
use super::{Error, Outcome};

/// Claim the next job that the gate lets through
#[derive(Args)]
#[command(
    after_help = "Prints a token with each job, which `job finish`, `job fail` and `job heartbeat` ask for, and with\n`--json` a fence, a number that grows with every claim of the job. A job whose lease ran out goes back to its old place in the queue, and its token is no longer good.\n\nExamples:\n  serial-gate claim --worker builder-1\n  \
    serial-gate claim --max 10 --json\n  serial-gate claim --wait 60"
)]
pub struct Claim {
    /// Who claims [default: the process, as `pid-123`]
    #[arg(long, env = "SERIAL_GATE_WORKER", hide_env_values = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    worker: Option<String>,
    /// Claim jobs of this agent only [default: of any]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    agent: Option<String>,
    /// Claim up to this many jobs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    max: u32,
    /// Wait up to this many seconds for a first job
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = duration)]
    wait: Duration,
    /// Write down what the policy said at each claim, one JSON object a line
    #[arg(
        long,
        value_name = "FILE.jsonl",
        env = "SERIAL_GATE_DECISION_LOG",
        hide_env_values = true
    )]
    decision_log: Option<PathBuf>,
    /// Write the whole state down as well, for `policy replay`
    #[arg(long, requires = "decision_log")]
    log_snapshots: bool,
    /// Start a new log file after so many MiB; four full ones are kept
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    log_mib: u32,
}

impl Claim {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let worker = self
            .worker
            .unwrap_or_else(|| format!("pid-{}", std::process::id()));
        let log = self.decision_log.map(|path| LogOptions {
            path,
            max_bytes: u64::from(self.log_mib) << 20,
            kept: 4,
            snapshots: self.log_snapshots,
        });
        let options = Options {
            log,
            ..Options::default()
        };
        let mut queue = shared.queue_with(options)?;
        let claimant = Claimant {
            worker: &worker,
            agent: self.agent.as_deref(),
        };
        let mut claimed = 0;
        let begun = Instant::now();
        let is_over = || begun.elapsed() >= self.wait;
        let mut next = queue.claim(Timestamp::now(), claimant, shared.lease)?;
        if next.is_none() && !is_over() {
            if let Some(agent) = &self.agent {
                tracing::warn!("{}", queue.waiting_words(agent)?.text);
            }
            next = queue.wait_for_job(&Timestamp::now, claimant, shared.lease, &is_over)?;
        }
        while let Some(job) = next {
            if let Err(cause) = print(&job, shared, output) {
                // Nobody has heard of the job, so nobody will do it.
                return Err(put_back(&mut queue, &job, cause));
            }
            claimed += 1;
            next = if claimed < self.max {
                queue.claim(Timestamp::now(), claimant, shared.lease)?
            } else {
                None
            };
        }
        if claimed > 0 {
            return Ok(Outcome::Done);
        }
        if !output.json {
            let unknown = match &self.agent {
                Some(agent) => queue.unknown_agent(agent)?,
                None => None,
            };
            output.line(match unknown {
                Some(unknown) => format!("nothing to claim: {}", shown(&unknown)),
                None => "nothing to claim: `serial-gate queue` shows what waits, and why".into(),
            })?;
        }
        Ok(Outcome::Held)
    }
}

fn put_back(queue: &mut Queue, job: &Claimed, cause: io::Error) -> Error {
    let act = Act {
        now: Timestamp::now(),
        who: &job.worker,
        why: "",
    };
    match queue.release(act, job.claim(), Some("its claim could not be printed")) {
        Ok(()) => Error::Unheard { job: job.id, cause },
        Err(cause) => Error::Stranded { job: job.id, cause },
    }
}

fn print(job: &Claimed, shared: &Shared, output: &mut Output) -> io::Result<()> {
    if output.json {
        return output.json_line(job);
    }
    let id = job.id.to_string();
    let work_item = job.work_item_id.as_deref().map(shown);
    output.line(format!(
        "{} {id} of task {} in `{}` for `{}`{}",
        toned(Tone::Free, "claimed job"),
        job.task_id
            .map_or_else(|| "-".into(), |task| task.to_string()),
        shown_or_dash(job.repo.as_deref()),
        shown_or_dash(job.agent.as_deref()),
        work_item.map_or_else(String::new, |work_item| format!(": {work_item}")),
    ))?;
    output.line(format!(
        "  attempt {}, lease until {} UTC",
        job.attempt, job.lease_until
    ))?;
    if let Some(command) = command(shared, &["job", "finish", &id, "--token", &job.token]) {
        output.line(format!("  when it is done: {command}"))?;
    }
    Ok(())
}
