//! `policy shadow`: a policy that decides beside the active one, and nothing goes by it.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serial_gate::rollout::Place;

use super::proposal::{Allow, File, NewRepos, Reason};
use super::swap::propose;
use crate::cli::options::{Shared, Who};
use crate::cli::output::{Output, Tone, toned};
use crate::cli::text::{count, plain_verdict, shown};
use crate::cli::{Error, Outcome};

/// Let a policy decide beside the active one, and count where they differ
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Every claim asks both about the same state, at most once a second in each process.\n\nExamples:\n  serial-gate policy shadow my-policy.wasm --reason 'before monday'\n  serial-gate policy shadow status\n  \
    serial-gate policy promote --reason 'no surprise in a week'\n  serial-gate policy shadow stop --reason 'it would hold too much'"
)]
pub struct Shadow {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The policy's component, or `built-in`
    #[arg(value_name = "FILE.wasm", requires = "reason")]
    file: Option<PathBuf>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", requires = "file")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    allow: Allow,
    #[command(flatten)]
    repos: NewRepos,
}

#[derive(Subcommand)]
enum Verb {
    /// Show how often the two were asked, and where they differed
    Status,
    /// End the shadow's time
    Stop(Reason),
}

impl Shadow {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        match (self.verb, self.file, self.reason) {
            (Some(Verb::Stop(reason)), ..) => stop(reason, shared, output),
            (None, Some(file), Some(reason)) => {
                let reason = Reason {
                    reason,
                    who: self.who,
                };
                let file = File { file };
                let (allow, repos) = (&self.allow, &self.repos);
                propose(&file, allow, repos, reason, Place::Shadow, shared, output)
            }
            _ => status(shared, output),
        }
    }
}

fn stop(reason: Reason, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
    let mut store = shared.store()?;
    let stopped = reason.act(|act| store.stop_shadow(act))?;
    let stopped = stopped.ok_or(serial_gate::rollout::Error::NoShadow)?;
    if output.json {
        output.json_line(&serde_json::json!({ "generation": stopped }))?;
    } else {
        output.line(format!("generation {stopped} is no longer the shadow"))?;
    }
    Ok(Outcome::Done)
}

fn status(shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
    let mut store = shared.store()?;
    let record = store
        .shadow_record()?
        .ok_or(serial_gate::rollout::Error::NoShadow)?;
    if output.json {
        output.json_line(&record)?;
        return Ok(Outcome::Done);
    }
    let generation = store.generation(record.generation)?;
    output.line(format!(
        "generation {} (`{}` {}) was asked {}, for {}",
        generation.id,
        shown(&generation.name),
        shown(&generation.version),
        count(record.looks, "time"),
        count(record.decisions, "decision"),
    ))?;
    if record.failures > 0 {
        output.line(toned(
            Tone::Held,
            format!(
                "it failed {}, the last time: {}",
                count(record.failures, "time"),
                shown(&record.last_failure)
            ),
        ))?;
    }
    if record.looks == 0 {
        output.line("no claim has been made since")?;
        return Ok(Outcome::Done);
    }
    if record.disagreements.is_empty() {
        output.line("it never disagreed with the active policy")?;
        return Ok(Outcome::Done);
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
    output.table(
        &["job", "active", "shadow", "times", "last (utc)"],
        rows.collect(),
    )?;
    Ok(Outcome::Done)
}
