//! `policy shadow`: a policy that decides beside the active one, and nothing goes by it.

use clap::{Args, Subcommand};
use serial_gate::life::Place;

use super::proposal::{Allow, File, Reason};
use super::swap::propose;
use crate::cli::options::Shared;
use crate::cli::output::{Output, Tone, toned};
use crate::cli::text::{count, shown, verdict};
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
    #[command(flatten)]
    start: Option<Start>,
}

#[derive(Args)]
struct Start {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    reason: Reason,
    #[command(flatten)]
    allow: Allow,
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
        match (self.verb, self.start) {
            (Some(Verb::Status), _) => status(shared, output),
            (Some(Verb::Stop(reason)), _) => stop(reason, shared, output),
            (None, Some(start)) => propose(
                &start.file,
                &start.allow,
                start.reason,
                Place::Shadow,
                shared,
                output,
            ),
            (None, None) => status(shared, output),
        }
    }
}

fn stop(reason: Reason, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
    let mut store = shared.store()?;
    let stopped = reason.act(|act| store.stop_shadow(act))?;
    let stopped = stopped.ok_or(serial_gate::life::Error::NoShadow)?;
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
        .ok_or(serial_gate::life::Error::NoShadow)?;
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
    if record.disagreements.is_empty() {
        output.line("it never disagreed with the active policy")?;
        return Ok(Outcome::Done);
    }
    let rows = record.disagreements.iter().map(|found| {
        vec![
            found.job.to_string(),
            verdict(found.active.as_ref()),
            verdict(found.shadow.as_ref()),
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
