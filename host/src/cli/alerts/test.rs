//! `alerts test`: sends a message to each channel, and reports whether it was accepted.

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serial_gate::alerts::{self, Problem};

use super::config::with_remedy;
use super::{CHANNELS, remedy, settings};
use crate::cli::options::{Shared, Who};
use crate::cli::output::{Report, Tone, toned};
use crate::cli::text::shown;
use crate::cli::verb::Verb;
use crate::cli::{Error, Outcome};

/// Send a test message to each channel now, and report whether it was accepted
#[derive(Args)]
#[command(after_help = "\
The message is not listed as an alert and is not tried again. A webhook receives the
kind `test`. Exits with 1 if a channel did not accept the message.

Example:
  serial-gate alerts test --channel telegram")]
pub struct Test {
    /// Test only this channel [default: all configured channels]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(CHANNELS))]
    channel: Option<String>,
    #[command(flatten)]
    who: Who,
}

impl Verb for Test {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let settings = settings(shared)?;
        let (only, who) = (self.channel.as_deref(), &self.who.who);
        let tested = alerts::test(&shared.db, &settings, only, &Timestamp::now, who)
            .map_err(|error| with_remedy(error, shared))?;
        let mut report = shared.report();
        for alerts::Tested { channel, result } in tested {
            let name = channel.name();
            let error = result.as_ref().err().map(Problem::to_string);
            let remedy = match &result {
                Err(Problem::Failed(failure)) => Some(remedy::of(channel, failure)),
                // The error about an address names its own remedy.
                Err(Problem::Unusable(_)) | Ok(()) => None,
            };
            report.json(&serde_json::json!({
                "channel": name,
                "sent": error.is_none(),
                "error": error,
                "remedy": remedy,
            }));
            let Some(error) = error else {
                report.line(toned(Tone::Free, format!("{name}: the test was sent")));
                continue;
            };
            report.outcome = Outcome::Failed;
            let line = format!("{name}: the test was not sent: {}", shown(&error));
            report.line(toned(Tone::Held, line));
            if let Some(remedy) = remedy {
                report.line(format!("  {remedy}"));
            }
        }
        Ok(report)
    }
}
