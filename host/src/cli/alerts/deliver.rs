//! `alerts deliver`: sends what is due.

use std::sync::atomic::AtomicBool;

use clap::Args;
use jiff::Timestamp;
use serial_gate::alerts::{self, Failure};
use serial_gate::store::sql_time;

use super::{alerts as count, settings};
use crate::cli::options::Shared;
use crate::cli::output::Output;
use crate::cli::{Error, Outcome};

/// Send what is due, once or for as long as this runs
#[derive(Args)]
#[command(
    after_help = "The exit code is 1 if a channel took no alert. Each alert is sent at least once: a receiver recognises\na repeat by its key.\n\nExample:\n  serial-gate alerts deliver --watch"
)]
pub struct Deliver {
    /// Go on, and send each alert when it is there
    #[arg(long)]
    watch: bool,
}

impl Deliver {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let settings = settings(shared)?;
        if settings.channels.is_empty() {
            return Err(alerts::Error::NoChannel.into());
        }
        let mut queue = shared.queue_whatever_its_rules()?;
        if self.watch {
            // A signal ends this. What is under way then is sent by the next one, after its lease.
            let never = AtomicBool::new(false);
            alerts::run(queue, &settings, &Timestamp::now, &never)?;
            return Ok(Outcome::Done);
        }
        queue.look_at_heads(Timestamp::now(), settings.waiting)?;
        let round = alerts::deliver(&shared.db, &settings, &Timestamp::now)?;
        let outcome = if round.failures.is_empty() {
            Outcome::Done
        } else {
            Outcome::Failed
        };
        if output.json {
            let failure = |(channel, failure): &(&str, Failure)| serde_json::json!({ "channel": channel, "error": failure.to_string() });
            output.json_line(&serde_json::json!({
                "sent": round.sent,
                "failures": round.failures.iter().map(failure).collect::<Vec<_>>(),
                "next": round.next.map(sql_time),
            }))?;
            return Ok(outcome);
        }
        output.line(format!("{} sent", count(round.sent)))?;
        if let Some(next) = round.next {
            output.line(format!("  the next try is at {} UTC", sql_time(next)))?;
        }
        Ok(outcome)
    }
}
