//! `alerts`: what people were told, or are to be told.

mod config;
mod deliver;
mod retry;
mod test;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serial_gate::alerts::text;
use serial_gate::store::{AlertRow, Delivery, DeliveryState, ListedAs};

pub use config::{ConfigError, settings};

use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::text::{command, count, shown};
use super::{Error, Outcome};

/// List the alerts and whether each channel has sent them, send what is due, or test the channels
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "An alert is written with what it tells of, whether or not there is a channel. One that no channel\nwas there for within a day has expired. The newest 10,000 are kept.\n\nExample:\n  serial-gate alerts"
)]
pub struct Alerts {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

#[derive(Subcommand)]
enum Verb {
    Deliver(deliver::Deliver),
    Retry(retry::Retry),
    Test(test::Test),
}

impl Alerts {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        match self.verb {
            Some(Verb::Deliver(verb)) => return verb.run(shared, output),
            Some(Verb::Retry(verb)) => return verb.run(shared, output),
            Some(Verb::Test(verb)) => return verb.run(shared, output),
            None => {}
        }
        let alerts = shared.store()?.alerts(Timestamp::now(), self.limit)?;
        if output.json {
            for alert in alerts {
                let mut line = serde_json::json!(alert);
                if let Some(line) = line.as_object_mut() {
                    line.insert("text".into(), text(&alert.alert).into());
                }
                output.json_line(&line)?;
            }
            return Ok(Outcome::Done);
        }
        if alerts.is_empty() {
            output.line("there are no alerts")?;
            return Ok(Outcome::Done);
        }
        for row in alerts {
            output.line(format!(
                "{}  {}  {}",
                row.alert.id,
                toned(Tone::Quiet, &row.alert.at),
                shown(&text(&row.alert))
            ))?;
            output.line(format!("   {}", standing(&row)))?;
            if row.state == ListedAs::Failed {
                let again = command(shared, &["alerts", "retry", &row.alert.id.to_string()]);
                let again = again.unwrap_or_default();
                output.line(format!("   send it again with: {again}"))?;
            }
        }
        Ok(Outcome::Done)
    }
}

fn standing(row: &AlertRow) -> String {
    match row.state {
        ListedAs::Expired => toned(Tone::Quiet, "expired: no channel was there for it"),
        _ if row.deliveries.is_empty() => {
            toned(Tone::Held, "pending: `serial-gate alerts deliver` sends it")
        }
        _ => {
            let parts: Vec<String> = row.deliveries.iter().map(delivery).collect();
            parts.join("\n   ")
        }
    }
}

fn delivery(delivery: &Delivery) -> String {
    let name = shown(&delivery.channel);
    let because = delivery.error.as_deref().map_or_else(String::new, shown);
    let tries = || match delivery.attempts {
        1 => "1 try".to_owned(),
        tries => format!("{tries} tries"),
    };
    match delivery.state {
        DeliveryState::Sent => toned(Tone::Free, format!("{name} sent")),
        DeliveryState::Failed => toned(
            Tone::Held,
            format!("{name} failed after {}: {because}", tries()),
        ),
        DeliveryState::Pending if delivery.error.is_none() => {
            toned(Tone::Held, format!("{name} pending"))
        }
        DeliveryState::Pending => toned(
            Tone::Held,
            format!(
                "{name} pending after {}, next at {} UTC: {because}",
                tries(),
                delivery.due_at.as_deref().unwrap_or("-")
            ),
        ),
    }
}

/// The channels that there can be.
const CHANNELS: [&str; 2] = ["telegram", "webhook"];

/// A number of alerts.
fn alerts(number: usize) -> String {
    count(number, "alert")
}
