//! `alerts retry`: sends failed alerts again.

use std::collections::BTreeSet;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::CHANNELS;
use crate::cli::Error;
use crate::cli::options::{Shared, Why};
use crate::cli::output::Report;
use crate::cli::text::{command, count};
use crate::cli::verb::Verb;

/// Send failed alerts again after their channel was repaired
#[derive(Args)]
#[command(after_help = "\
Each alert is due at once and gets all its tries again. Its channel is no longer paused.

Example:
  serial-gate alerts retry --channel telegram --reason 'the bot is in the chat again'")]
pub struct Retry {
    /// The alerts to send again [default: all failed alerts]
    #[arg(value_name = "ID", value_parser = id)]
    ids: Vec<i64>,
    /// All failed alerts (the default)
    #[arg(long, conflicts_with = "ids")]
    failed: bool,
    /// Only to this channel [default: each channel that did not accept them]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(CHANNELS))]
    channel: Option<String>,
    #[command(flatten)]
    why: Why,
}

impl Verb for Retry {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let (ids, channel) = (self.ids, self.channel.as_deref());
        let retried = shared
            .store()?
            .retry_alerts(self.why.actor(), &ids, channel)?;
        let alerts: BTreeSet<i64> = retried.iter().map(|one| one.alert).collect();
        let left: Vec<&i64> = ids.iter().filter(|id| !alerts.contains(id)).collect();
        let mut report = shared.report();
        report.json(&json!({ "retried": retried, "not_failed": left }));
        let with = channel.map_or_else(String::new, |channel| format!(" with `{channel}`"));
        for id in left {
            report.line(format!(
                "alert {id} has not failed{with}, and is left as it is"
            ));
        }
        if !alerts.is_empty() {
            report.line(format!("{} to be sent again", count(alerts.len(), "alert")));
            let deliver = command(shared, &["alerts", "deliver"]).unwrap_or_default();
            report.line(format!(
                "  a running service sends them now; without one: {deliver}"
            ));
        } else if ids.is_empty() {
            report.line(format!(
                "no alert has failed{with}: there is nothing to send again"
            ));
        }
        Ok(report)
    }
}

fn id(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| "write its number, which `serial-gate alerts` shows".into())
}
