//! `policy replay`: what another policy would have said about recorded states.

use std::path::PathBuf;

use clap::Args;
use serial_gate::life;
use serial_gate::model::verdict_to_json;
use serial_gate::queue::Allowance;

use super::proposal::{Allow, File};
use crate::cli::options::Shared;
use crate::cli::output::Output;
use crate::cli::text::{count, plain_verdict, verdict};
use crate::cli::{Error, Outcome, compile_policy};

/// How many differing decisions are listed.
const LISTED: usize = 100;

/// Run a policy over a decision log, and list the decisions that it would make otherwise
#[derive(Args)]
#[command(
    after_help = "The log is written by `serial-gate claim --decision-log FILE --log-snapshots`. Each state is decided\nat its time and under its settings, unless this command is told otherwise. Nothing is changed.\n\nExample:\n  serial-gate policy replay my-policy.wasm --from decisions.jsonl"
)]
pub struct Replay {
    #[command(flatten)]
    file: File,
    /// The decision log
    #[arg(long, value_name = "LOG.jsonl")]
    from: PathBuf,
    #[command(flatten)]
    allow: Allow,
}

impl Replay {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let component = self.file.read_trusted(shared)?;
        let allowance = self.allow.over(Allowance::default());
        let runtime = compile_policy::runtime()?;
        let overrides = &shared.overrides;
        let replayed = life::replay(&component, allowance, overrides, &self.from, &runtime)?;
        if output.json {
            for found in &replayed.differing {
                output.json_line(&serde_json::json!({
                    "time": found.time,
                    "job": found.job,
                    "recorded": found.recorded.as_ref().map(verdict_to_json),
                    "now": found.now.as_ref().map(verdict_to_json),
                }))?;
            }
            output.json_line(&serde_json::json!({
                "states": replayed.states, "decisions": replayed.decisions,
                "differing": replayed.differing.len(), "without_state": replayed.without_state,
            }))?;
            return Ok(Outcome::Done);
        }
        output.line(format!(
            "{} over {}, {} would be another",
            count(replayed.decisions, "decision"),
            count(replayed.states, "recorded state"),
            replayed.differing.len()
        ))?;
        if replayed.without_state > 0 {
            output.line(format!(
                "{} without a state: record with `--log-snapshots`",
                count(replayed.without_state, "line")
            ))?;
        }
        let rows: Vec<Vec<String>> = replayed
            .differing
            .iter()
            .take(LISTED)
            .map(|found| {
                vec![
                    found.time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
                    found.job.to_string(),
                    plain_verdict(found.recorded.as_ref()),
                    verdict(found.now.as_ref()),
                ]
            })
            .collect();
        if !rows.is_empty() {
            output.table(&["at (utc)", "job", "recorded", "then"], rows)?;
        }
        if replayed.differing.len() > LISTED {
            output.line("the rest is in `--json`")?;
        }
        Ok(Outcome::Done)
    }
}
