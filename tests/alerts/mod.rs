//! Alerts: what is stored, what is sent, and what the verbs show.
//!
//! `endpoint` is a real server on this machine that answers as a test tells it to. Time is passed
//! in, so that no test waits for a try to be due.

mod configuration;
mod delivery;
mod deploys;
mod heads;
mod late_tasks;
mod moves;
mod outbox;
mod retries;
mod secrets;
mod senders;
mod trials;
mod verbs;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serial_gate::alerts::{Channel, Secret, Settings, Telegram, Webhook};
use serial_gate::store::from_sql_time;

use crate::support::Gate;

pub const TOKEN: &str = "123456:the-token";
pub const SECRET: &str = "a shared secret";

pub fn telegram(url: &str) -> Channel {
    Channel::Telegram(Telegram {
        url: url.into(),
        token: Secret::new(TOKEN),
        chat: "-100".into(),
    })
}

pub fn webhook(url: &str) -> Channel {
    Channel::Webhook(Webhook {
        url: Secret::new(format!("{url}/hook")),
        secret: Secret::new(SECRET),
    })
}

pub fn settings(channels: impl Into<Vec<Channel>>) -> Settings {
    Settings {
        channels: channels.into(),
        timeout: Duration::from_secs(5),
        ..Settings::default()
    }
}

/// So many seconds after the first alert, however long a test has taken until now.
pub fn after(gate: &Gate, seconds: i64) -> Timestamp {
    let at: String = gate.program().one("SELECT min(at) FROM serial_gate_alert");
    from_sql_time(&at).unwrap() + SignedDuration::from_secs(seconds)
}

pub fn frozen() -> Gate {
    let gate = Gate::new();
    freeze(&gate);
    gate
}

pub fn freeze(gate: &Gate) {
    gate.run(&[
        "freeze",
        "alpha",
        "--new",
        "--reason",
        "errors at 7 %",
        "--who",
        "ops",
    ])
    .succeeds();
}

pub const HOUR: Duration = Duration::from_secs(60 * 60);

/// The deliveries of a channel by alert: state, tries, what went wrong last.
pub fn deliveries(gate: &Gate, channel: &str) -> Vec<(String, u32, Option<String>)> {
    let rows = gate.program().rows(format!(
        "SELECT state, attempts, error FROM serial_gate_delivery
         WHERE channel = '{channel}' ORDER BY alert"
    ));
    let text = |column: &Option<String>| column.clone().unwrap();
    rows.into_iter()
        .map(|row| {
            (
                text(&row[0]),
                text(&row[1]).parse().unwrap(),
                row[2].clone(),
            )
        })
        .collect()
}
