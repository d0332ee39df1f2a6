//! `policy shadow`: runs a second policy at claims, without effect.

use clap::{Args, Subcommand};
use serial_gate::rollout::{self, Place};

use super::proposal::{Allow, File, NewRepos, Reason};
use super::source::{Sha256, Source};
use super::swap::propose;
use crate::cli::Error;
use crate::cli::options::{Shared, Who};
use crate::cli::output::{Report, Tone, toned};
use crate::cli::text::{count, plain_verdict, shown};
use crate::cli::verb::Verb;

/// Run a second policy at each claim, without effect, and count where the two differ
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
A claim asks both policies about the same state, at most once a second in each process.

Examples:
  serial-gate policy shadow my-policy.wasm --reason 'before monday'
  serial-gate policy shadow status
  serial-gate policy promote --reason 'no surprise in a week'
  serial-gate policy shadow stop --reason 'it would hold too much'")]
pub struct Shadow {
    #[command(subcommand)]
    verb: Option<Step>,
    /// The policy: a component, a rule file `RULE.sql`, `built-in`, `builtin:NAME`, or an address,
    /// `https://…` or `oci://…`
    #[arg(value_name = "POLICY", requires = "reason", value_parser = Source::parser())]
    source: Option<Source>,
    /// The component's SHA-256; `https://` needs it
    #[arg(long, value_name = "HEX", requires = "source", value_parser = Sha256::parse)]
    sha256: Option<Sha256>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", requires = "source")]
    #[arg(value_parser = crate::cli::options::reason)]
    reason: Option<String>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    allow: Allow,
    #[command(flatten)]
    repos: NewRepos,
}

#[derive(Subcommand)]
enum Step {
    /// Show how often the two policies were asked, and where they differed
    Status,
    /// Stop asking the shadow
    Stop(Reason),
}

impl Verb for Shadow {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        match (self.verb, self.source, self.reason) {
            (Some(Step::Stop(reason)), ..) => stop(&reason, shared),
            (None, Some(source), Some(reason)) => {
                let reason = Reason {
                    reason,
                    who: self.who,
                };
                let sha256 = self.sha256;
                let file = File { source, sha256 };
                let (allow, repos) = (&self.allow, &self.repos);
                propose(&file, allow, repos, &reason, Place::Shadow, shared)
            }
            _ => status(shared),
        }
    }
}

fn stop(reason: &Reason, shared: &Shared) -> Result<Report, Error> {
    let stopped = shared.store()?.stop_shadow(reason.actor())?;
    let stopped = stopped.ok_or(rollout::Error::NoShadow)?;
    let mut report = shared.report();
    report.json(&serde_json::json!({ "generation": stopped }));
    report.line(format!("generation {stopped} is no longer the shadow"));
    Ok(report)
}

fn status(shared: &Shared) -> Result<Report, Error> {
    let mut store = shared.store()?;
    let record = store.shadow_record()?.ok_or(rollout::Error::NoShadow)?;
    let mut report = shared.report();
    report.json(&record);
    let generation = store.generation(record.generation)?;
    report.line(format!(
        "generation {} (`{}` {}) was asked {}, for {}",
        generation.id,
        shown(&generation.name),
        shown(&generation.version),
        count(record.looks, "time"),
        count(record.decisions, "decision"),
    ));
    if record.failures > 0 {
        report.line(toned(
            Tone::Held,
            format!(
                "it failed {}, the last time: {}",
                count(record.failures, "time"),
                shown(&record.last_failure)
            ),
        ));
    }
    if record.looks == 0 {
        report.line("no claim has been made since");
        return Ok(report);
    }
    if record.disagreements.is_empty() {
        report.line("it never disagreed with the active policy");
        return Ok(report);
    }
    let rows = record.disagreements.iter().map(|found| {
        vec![
            found.job.to_string(),
            plain_verdict(found.active.as_ref()),
            plain_verdict(found.shadow.as_ref()),
            found.times.to_string(),
            found.last_at.clone(),
        ]
    });
    report.table(&["job", "active", "shadow", "times", "last (utc)"], rows);
    Ok(report)
}
