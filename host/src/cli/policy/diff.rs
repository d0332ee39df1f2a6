//! `policy diff`: what another policy would change right now.

use clap::Args;
use jiff::Timestamp;
use serial_gate::life;
use serial_gate::model::verdict_to_json;

use super::proposal::{Allow, File};
use crate::cli::options::Shared;
use crate::cli::output::Output;
use crate::cli::text::{count, plain_verdict, shown_or_dash, verdict};
use crate::cli::{Error, Outcome};

/// List the queued jobs whose verdict another policy, or other settings, would change right now
#[derive(Args)]
#[command(
    after_help = "Nothing is changed.\n\nExamples:\n  serial-gate policy diff my-policy.wasm\n  serial-gate policy diff built-in --repos alpha"
)]
pub struct Diff {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    allow: Allow,
}

impl Diff {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue_as_stored()?;
        let proposal = self.file.proposal(shared, &self.allow, Some(&mut queue))?;
        let changed = life::compare(&mut queue, &proposal, Timestamp::now())?;
        if output.json {
            for changed in changed {
                output.json_line(&serde_json::json!({
                    "job": changed.job.id,
                    "before": changed.before.as_ref().map(verdict_to_json),
                    "after": changed.after.as_ref().map(verdict_to_json),
                }))?;
            }
            return Ok(Outcome::Done);
        }
        output.line(match changed.len() {
            0 => "no queued job's verdict would change".into(),
            number => format!(
                "the verdict of {} would change",
                count(number, "queued job")
            ),
        })?;
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
            output.table(&["job", "repo", "agent", "now", "then"], rows)?;
        }
        Ok(Outcome::Done)
    }
}
