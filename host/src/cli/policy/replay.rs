//! `policy replay`: lists what another policy would have decided about recorded states.

use std::path::PathBuf;

use clap::Args;
use serial_gate::model::verdict_to_json;
use serial_gate::policy::Allowance;
use serial_gate::rollout;

use super::proposal::{Allow, File};
use super::source::Origin;
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::text::{count, plain_verdict, verdict};
use crate::cli::verb::Verb;

/// How many differing decisions are listed.
const LISTED: usize = 100;

/// Run a policy over a decision log, and list the decisions that would differ
#[derive(Args)]
#[command(after_help = "\
`serial-gate claim --decision-log FILE --log-snapshots` writes the log. Each state is
decided at its time and under its settings, unless this command overrides them.
Nothing is changed.

Example:
  serial-gate policy replay my-policy.wasm --from decisions.jsonl")]
pub struct Replay {
    #[command(flatten)]
    file: File,
    /// The decision log
    #[arg(long, value_name = "LOG.jsonl")]
    from: PathBuf,
    #[command(flatten)]
    allow: Allow,
}

impl Verb for Replay {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let fetched = self.file.read_trusted(shared)?;
        let allowance = self.allow.over(Allowance::default());
        let overrides = &shared.overrides;
        let replayed = rollout::replay(
            &fetched.component,
            allowance,
            overrides,
            &self.from,
            &shared.runtime,
        )?;
        let mut report = shared.report();
        Origin::add(fetched.origin.as_ref(), &mut report);
        for found in &replayed.differing {
            report.json(&serde_json::json!({
                "time": found.time,
                "job": found.job,
                "recorded": found.recorded.as_ref().map(verdict_to_json),
                "now": found.now.as_ref().map(verdict_to_json),
            }));
        }
        report.json(&serde_json::json!({
            "states": replayed.states, "decisions": replayed.decisions,
            "differing": replayed.differing.len(), "without_state": replayed.without_state,
        }));
        report.line(format!(
            "{} over {}, {} would differ",
            count(replayed.decisions, "decision"),
            count(replayed.states, "recorded state"),
            replayed.differing.len()
        ));
        if replayed.without_state > 0 {
            report.line(format!(
                "{} without a state: record with `--log-snapshots`",
                count(replayed.without_state, "line")
            ));
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
            report.table(&["at (utc)", "job", "recorded", "then"], rows);
        }
        if replayed.differing.len() > LISTED {
            report.line("the rest is in `--json`");
        }
        Ok(report)
    }
}
