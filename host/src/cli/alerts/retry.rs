//! `alerts retry`: failed alerts are sent again.

use clap::Args;
use clap::builder::PossibleValuesParser;
use serial_gate::store::Retried;

use super::{CHANNELS, alerts as count};
use crate::cli::options::{Shared, Why};
use crate::cli::output::Output;
use crate::cli::text::command;
use crate::cli::{Error, Outcome};

/// Send alerts again that have failed, once their channel is mended
#[derive(Args)]
#[command(
    after_help = "Each has all its tries again and is due at once, and its channel is not left alone any longer.\n\nExample:\n  serial-gate alerts retry --channel telegram --reason 'the bot is in the chat again'"
)]
pub struct Retry {
    /// The alerts, by their numbers [default: all that have failed]
    #[arg(value_name = "ID", value_parser = id)]
    ids: Vec<i64>,
    /// All that have failed, which is meant anyway where no number is given
    #[arg(long, conflicts_with = "ids")]
    failed: bool,
    /// Only to this channel [default: each that has not taken them]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(CHANNELS))]
    channel: Option<String>,
    #[command(flatten)]
    why: Why,
}

impl Retry {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let (ids, channel) = (self.ids, self.channel.as_deref());
        let mut store = shared.store()?;
        let retried = self.why.act(|act| store.retry_alerts(act, &ids, channel))?;
        let is_retried = |id: &&i64| retried.iter().any(|one| one.alert == **id);
        let left: Vec<&i64> = ids.iter().filter(|id| !is_retried(id)).collect();
        if output.json {
            output.json_line(&serde_json::json!({ "retried": retried, "not_failed": left }))?;
            return Ok(Outcome::Done);
        }
        let with = channel.map_or_else(String::new, |channel| format!(" with `{channel}`"));
        for id in left {
            output.line(format!(
                "alert {id} has not failed{with}, and is left as it is"
            ))?;
        }
        if retried.is_empty() {
            if ids.is_empty() {
                output.line(format!(
                    "no alert has failed{with}: there is nothing to send again"
                ))?;
            }
            return Ok(Outcome::Done);
        }
        output.line(format!("{} to be sent again", count(alerts(&retried))))?;
        let deliver = command(shared, &["alerts", "deliver"]).unwrap_or_default();
        output.line(format!(
            "  a service that runs sends them now, and so does: {deliver}"
        ))?;
        Ok(Outcome::Done)
    }
}

/// How many alerts these are, each once.
fn alerts(retried: &[Retried]) -> usize {
    let mut alerts: Vec<i64> = retried.iter().map(|one| one.alert).collect();
    alerts.sort_unstable();
    alerts.dedup();
    alerts.len()
}

fn id(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| "write its number, which `serial-gate alerts` shows".into())
}
