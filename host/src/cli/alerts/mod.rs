//! `alerts`: lists the alerts.
//!
//! Owns the list. Leaves sending to the library, and the channels to `config`.

mod config;
mod deliver;
mod remedy;
mod retry;
mod test;

use clap::Args;
use jiff::Timestamp;
use serial_gate::alerts::{self, text};
use serial_gate::store::{AlertRow, Delivery, DeliveryState, ListedAs};

pub use config::settings;

use super::Error;
use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::text::{command, gate, shown};
use super::verb::{Verb, verbs};

/// List the alerts and their deliveries, send what is due, or test the channels
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
An alert is written in the same transaction as the event, even without a channel. It
expires after a day if no channel is configured. The newest 10,000 are kept.

Example:
  serial-gate alerts"
)]
pub struct Alerts {
    #[command(subcommand)]
    verb: Option<Verbs>,
    /// Show the newest N alerts
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

verbs! {
    enum Verbs {
        Deliver(deliver::Deliver),
        Retry(retry::Retry),
        Test(test::Test),
    }
}

impl Verb for Alerts {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        match self.verb {
            Some(verb) => verb.run(shared),
            None => list(self.limit, shared),
        }
    }
}

fn list(limit: u32, shared: &Shared) -> Result<Report, Error> {
    let listed = shared.store()?.alerts(Timestamp::now(), limit)?;
    let mut report = shared.report();
    // A channel that is not complete is an error of the verbs that send.
    let is_configured = settings(shared).map_or(true, |settings| !settings.channels.is_empty());
    // Another process, with its own configuration, may send.
    let has_channel = is_configured || listed.iter().any(|row| !row.deliveries.is_empty());
    if listed.is_empty() {
        report.line("there are no alerts");
    }
    for row in listed {
        let mut document = serde_json::json!(row);
        if let Some(document) = document.as_object_mut() {
            document.insert("text".into(), text(&row.alert).into());
        }
        report.json(&document);
        let at = toned(Tone::Quiet, &row.alert.at);
        report.line(format!(
            "{}  {at}  {}",
            row.alert.id,
            shown(&text(&row.alert))
        ));
        report.line(format!("   {}", state(&row, has_channel, shared)));
        if row.state == ListedAs::Failed {
            let again = command(shared, &["alerts", "retry", &row.alert.id.to_string()]);
            report.line(format!(
                "   send it again with: {}",
                again.unwrap_or_default()
            ));
        }
    }
    if !has_channel {
        report.note(&config::with_remedy(alerts::Error::NoChannel, shared).to_string());
    }
    Ok(report)
}

fn state(row: &AlertRow, has_channel: bool, shared: &Shared) -> String {
    match row.state {
        ListedAs::Expired => toned(Tone::Quiet, "expired: there was no channel"),
        _ if row.deliveries.is_empty() && !has_channel => {
            toned(Tone::Held, "pending: there is no channel yet")
        }
        _ if row.deliveries.is_empty() => {
            let gate = gate(shared);
            toned(
                Tone::Held,
                format!("pending: `{gate} alerts deliver` sends it"),
            )
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

/// The names of the channels.
const CHANNELS: [&str; 2] = ["telegram", "webhook"];
