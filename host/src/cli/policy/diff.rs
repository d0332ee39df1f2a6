//! `policy diff`: lists what another policy would change right now.

use clap::Args;
use jiff::Timestamp;
use serial_gate::model::verdict_to_json;
use serial_gate::rollout;

use super::proposal::{Allow, File};
use super::source::Origin;
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::text::{count, plain_verdict, shown_or_dash, verdict};
use crate::cli::verb::Verb;

/// List the queued jobs whose verdict another policy, or other settings, would change right now
#[derive(Args)]
#[command(after_help = "\
Nothing is changed.

Examples:
  serial-gate policy diff my-policy.wasm
  serial-gate policy diff built-in --repos alpha")]
pub struct Diff {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    allow: Allow,
}

impl Verb for Diff {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue_as_stored()?;
        let (proposal, origin) = self.file.proposal(shared, &self.allow, Some(&mut queue))?;
        let rollout::Compared { changed, notes } =
            rollout::compare(&mut queue, &proposal, Timestamp::now())?;
        let mut report = shared.report();
        Origin::add(origin.as_ref(), &mut report);
        for changed in &changed {
            report.json(&serde_json::json!({
                "job": changed.job.id,
                "before": changed.before.as_ref().map(verdict_to_json),
                "after": changed.after.as_ref().map(verdict_to_json),
            }));
        }
        report.line(match changed.len() {
            0 => "no queued job's verdict would change".into(),
            number => format!(
                "the verdict of {} would change",
                count(number, "queued job")
            ),
        });
        let rows: Vec<Vec<String>> = changed
            .iter()
            .map(|changed| {
                vec![
                    changed.job.id.to_string(),
                    shown_or_dash(changed.job.repo.as_deref()),
                    shown_or_dash(changed.job.agent.as_deref()),
                    plain_verdict(changed.before.as_ref()),
                    verdict(changed.after.as_ref()),
                ]
            })
            .collect();
        if !rows.is_empty() {
            report.table(&["job", "repo", "agent", "now", "then"], rows);
        }
        for note in &notes {
            report.note(note);
        }
        Ok(report)
    }
}
