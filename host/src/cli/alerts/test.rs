//! `alerts test`: sends a message to each channel, and says what came of it.

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serial_gate::alerts;

use super::{CHANNELS, settings};
use crate::cli::options::{Shared, Who};
use crate::cli::output::{Output, Tone, toned};
use crate::cli::text::shown;
use crate::cli::{Error, Outcome};

/// Send a test message to each channel now, and say whether it was taken
#[derive(Args)]
#[command(
    after_help = "It is no alert: it is not in the list, and not tried again. A webhook gets the kind `test`.\nThe exit code is 1 if a channel did not take it.\n\nExample:\n  serial-gate alerts test --channel telegram"
)]
pub struct Test {
    /// Only this channel [default: each that is configured]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(CHANNELS))]
    channel: Option<String>,
    #[command(flatten)]
    who: Who,
}

impl Test {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let settings = settings(shared)?;
        let (only, who) = (self.channel.as_deref(), self.who.name());
        let tested = alerts::test(&shared.db, &settings, only, &Timestamp::now, &who)?;
        let mut outcome = Outcome::Done;
        for alerts::Tested { channel, problem } in tested {
            if problem.is_some() {
                outcome = Outcome::Failed;
            }
            if output.json {
                output.json_line(&serde_json::json!({
                    "channel": channel,
                    "sent": problem.is_none(),
                    "error": problem.as_ref().map(|problem| &problem.error),
                    "remedy": problem.as_ref().and_then(|problem| problem.remedy),
                }))?;
                continue;
            }
            let Some(problem) = problem else {
                output.line(toned(Tone::Free, format!("{channel}: the test was sent")))?;
                continue;
            };
            let error = shown(&problem.error);
            output.line(toned(
                Tone::Held,
                format!("{channel}: the test was not sent: {error}"),
            ))?;
            if let Some(remedy) = problem.remedy {
                output.line(format!("  {remedy}"))?;
            }
        }
        Ok(outcome)
    }
}
