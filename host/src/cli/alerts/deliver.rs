//! `alerts deliver`: sends what is due.

use std::sync::atomic::AtomicBool;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use serial_gate::alerts::{self, Failure};
use serial_gate::store::sql_time;

use super::config::with_remedy;
use super::settings;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::text::count;
use crate::cli::verb::Verb;
use crate::cli::{Error, Outcome};

/// Send the alerts that are due, once or until interrupted
#[derive(Args)]
#[command(after_help = "\
Exits with 1 if a channel did not accept an alert. An alert can arrive twice: a receiver
recognises the repeat by its key.

Example:
  serial-gate alerts deliver --watch")]
pub struct Deliver {
    /// Keep running, and send each alert as soon as it is written
    #[arg(long)]
    watch: bool,
}

impl Verb for Deliver {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let settings = settings(shared)?;
        if settings.channels.is_empty() {
            return Err(with_remedy(alerts::Error::NoChannel, shared));
        }
        let mut queue = shared.queue_with_any_rules()?;
        let mut report = shared.report();
        if self.watch {
            // A signal ends the process. An alert that is being sent is sent again after its lease.
            let never = AtomicBool::new(false);
            alerts::run(queue, &settings, &Timestamp::now, &never)?;
            return Ok(report);
        }
        queue.look_at_heads(Timestamp::now(), settings.waiting)?;
        queue.store().remind_of_freezes(Timestamp::now())?;
        let round = alerts::deliver(&shared.db, &settings, &Timestamp::now)?;
        let failure = |(channel, failure): &(&str, Failure)| {
            let error = failure.to_string();
            json!({ "channel": channel, "error": error })
        };
        report.json(&json!({
            "sent": round.sent,
            "failures": round.failures.iter().map(failure).collect::<Vec<_>>(),
            "next": round.next.map(sql_time),
        }));
        report.line(format!("{} sent", count(round.sent, "alert")));
        if let Some(next) = round.next {
            report.line(format!("  the next try is at {} UTC", sql_time(next)));
        }
        Ok(match round.failures.as_slice() {
            [] => report,
            _ => report.ended(Outcome::Failed),
        })
    }
}
