//! `claim`: gives jobs to a worker.
//!
//! Owns the printing: each job is printed as soon as it is claimed, and if that fails, the claim is
//! undone. Leaves the waiting to `queue`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;
use serial_gate::observe::LogOptions;
use serial_gate::queue::{Claimant, Options, Queue};
use serial_gate::store::{Actor, Claimed};

use super::options::{Shared, duration};
use super::output::{Report, Tone, toned};
use super::text::{command, gate, shown, shown_or_dash};
use super::verb::Verb;
use super::{Error, Outcome};

/// Claim the next job that the gate lets through
#[derive(Args)]
#[command(after_help = "\
Prints a token with each job, which `job finish`, `job fail` and `job heartbeat`
ask for, and with `--json` a fence, a number that grows with every claim of the
job. When a lease expires, the next claim requeues the job at its old place, and
its old token is refused.

Examples:
  serial-gate claim --worker builder-1
  serial-gate claim --max 10 --json
  serial-gate claim --wait 60s")]
pub struct Claim {
    /// Who claims [default: the process, as `pid-123`]
    #[arg(long, env = "SERIAL_GATE_WORKER")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    worker: Option<String>,
    /// Claim only jobs of these agents: `analyst,developer`, or the option repeated; no name may
    /// have a comma [default: of any agent]
    #[arg(long = "agent", value_name = "NAME", value_delimiter = ',')]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    agents: Vec<String>,
    /// Claim up to this many jobs
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = crate::cli::options::at_least(1u32))]
    max: u32,
    /// Wait this long for a first job: seconds, or a time such as `90s` or `10m`
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration)]
    wait: Duration,
    /// Log the policy's decisions at each claim, one JSON object per line
    #[arg(long, value_name = "FILE.jsonl", env = "SERIAL_GATE_DECISION_LOG")]
    decision_log: Option<PathBuf>,
    /// Log the whole state as well, for `policy replay`
    #[arg(long, requires = "decision_log")]
    log_snapshots: bool,
    /// Start a new log file after this many MiB; four full ones are kept
    #[arg(long, value_name = "MIB", default_value_t = 16)]
    #[arg(value_parser = crate::cli::options::at_least(1u32))]
    log_mib: u32,
}

impl Verb for Claim {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
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
            claims_once: self.wait.is_zero(),
            log,
            ..Options::default()
        };
        let mut queue = shared.queue_with(options)?;
        let claimant = Claimant {
            worker: &worker,
            agents: &self.agents,
        };
        let mut claimed = 0;
        let begun = Instant::now();
        let is_over = || begun.elapsed() >= self.wait;
        let mut next = match queue.claim(Timestamp::now(), claimant, shared.lease) {
            Err(error) if error.is_busy() && !is_over() => None,
            claimed => claimed?,
        };
        if next.is_none() && !is_over() {
            for agent in &self.agents {
                tracing::warn!("{}", queue.waiting_words(agent)?.text);
            }
            next = queue.wait_for_job(&Timestamp::now, claimant, shared.lease, &is_over)?;
        }
        while let Some(job) = next {
            hand_over(&mut queue, &job, shared)?;
            claimed += 1;
            next = if claimed < self.max {
                queue.claim(Timestamp::now(), claimant, shared.lease)?
            } else {
                None
            };
        }
        let mut report = shared.report();
        if claimed > 0 {
            return Ok(report);
        }
        let mut unknown = Vec::new();
        for agent in &self.agents {
            unknown.extend(queue.unknown_agent(agent)?);
        }
        for unknown in &unknown {
            report.line(format!("nothing to claim: {}", shown(unknown)));
        }
        if unknown.is_empty() {
            report.line(format!(
                "nothing to claim: `{} queue` shows what waits, and why",
                gate(shared)
            ));
        }
        Ok(report.ended(Outcome::Held))
    }
}

/// Prints a job. If that fails, no worker knows of the claim, so the job goes back.
fn hand_over(queue: &mut Queue, job: &Claimed, shared: &Shared) -> Result<(), Error> {
    let Err(cause) = report(job, shared).print() else {
        return Ok(());
    };
    let actor = Actor {
        now: Timestamp::now(),
        who: &job.worker,
        why: "",
    };
    let (id, gate) = (job.id, gate(shared));
    Err(
        match queue.release(actor, job.claim(), Some("its claim could not be printed")) {
            Ok(()) => Error::because(
                format!("cannot print job {id}, so it was put back at its place"),
                cause,
            ),
            Err(cause) => Error::because(
                format!(
                    "cannot print job {id}, and cannot put it back: it comes back when its lease \
                     expires, or with `{gate} job requeue {id}`"
                ),
                cause,
            ),
        },
    )
}

fn report(job: &Claimed, shared: &Shared) -> Report {
    let mut report = shared.report();
    report.json(job);
    let id = job.id.to_string();
    let work_item = job.work_item_id.as_deref().map(shown);
    report.line(format!(
        "{} {id} of task {} in `{}` for `{}`{}",
        toned(Tone::Free, "claimed job"),
        job.task_id
            .map_or_else(|| "-".into(), |task| task.to_string()),
        shown_or_dash(job.repo.as_deref()),
        shown_or_dash(job.agent.as_deref()),
        work_item.map_or_else(String::new, |work_item| format!(": {work_item}")),
    ));
    report.line(format!(
        "  attempt {}, lease until {} UTC",
        job.attempt, job.lease_until
    ));
    if let Some(command) = command(shared, &["job", "finish", &id, "--token", &job.token]) {
        report.line(format!("  when it is done: {command}"));
    }
    report
}
