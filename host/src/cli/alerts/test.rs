//! `alerts test`: sends a message to each channel, and reports whether it was taken.

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serial_gate::alerts;

use super::{CHANNELS, settings};
use crate::cli::options::{Shared, Who};
use crate::cli::output::{Report, Tone, toned};
use crate::cli::text::shown;
use crate::cli::verb::Verb;
use crate::cli::{Error, Outcome};

/// Send a test message to each channel now, and report whether it was taken
#[derive(Args)]
#[command(after_help = "\
It is not an alert: it is not listed, and not tried again. A webhook gets the kind
`test`. The exit code is 1 if a channel did not take it.

Example:
  serial-gate alerts test --channel telegram")]
pub struct Test {
    /// Only this channel [default: each that is configured]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(CHANNELS))]
    channel: Option<String>,
    #[command(flatten)]
    who: Who,
}

impl Verb for Test {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let settings = settings(shared)?;
        let (only, who) = (self.channel.as_deref(), &self.who.who);
        let tested = alerts::test(&shared.db, &settings, only, &Timestamp::now, who)?;
        let mut report = shared.report();
        for alerts::Tested { channel, problem } in tested {
            report.json(&serde_json::json!({
                "channel": channel,
                "sent": problem.is_none(),
                "error": problem.as_ref().map(|problem| &problem.error),
                "remedy": problem.as_ref().and_then(|problem| problem.remedy),
            }));
            let Some(problem) = problem else {
                report.line(toned(Tone::Free, format!("{channel}: the test was sent")));
                continue;
            };
            report.outcome = Outcome::Failed;
            let error = shown(&problem.error);
            let line = format!("{channel}: the test was not sent: {error}");
            report.line(toned(Tone::Held, line));
            if let Some(remedy) = problem.remedy {
                report.line(format!("  {remedy}"));
            }
        }
        Ok(report)
    }
}
