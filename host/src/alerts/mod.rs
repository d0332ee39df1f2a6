//! Alerts: messages to people about what happened, by Telegram or by a webhook.
//!
//! Owns the texts, the channels, and the retries. Leaves the outbox to `store`: an alert is written
//! in the same transaction as its event, so sending can neither slow nor undo a claim or a freeze.
//!
//! Callers rely on this:
//!
//! - An alert is sent *at least* once. Only a sender that dies between the channel's answer and its
//!   own note causes a repeat; a receiver recognises it by the alert's key.
//! - A dead channel delays no other channel.
//! - No error, log line or `Debug` output holds a secret, or an address that may hold one.

mod channel;
mod error;
mod http;
mod line;
mod moved;
mod run;
mod secret;
mod telegram;
mod text;
mod trial;
mod watch;
mod webhook;

pub use channel::Channel;
pub use error::{Error, Failure};
pub use line::{LONGEST_WAIT, Round};
pub use run::{deliver, run};
pub use secret::{
    KEY_PASSWORD, SECRET_VARIABLES, Secret, TELEGRAM_TOKEN, WEBHOOK_SECRET, WEBHOOK_URL,
};
pub use telegram::Telegram;
pub use text::text;
pub use trial::{Problem, Tested, test};
pub use webhook::{Webhook, signature};

use std::time::Duration;

use jiff::Timestamp;

/// The sender's clock. A function and not a time, because sending takes a while.
pub type Clock<'a> = &'a (dyn Fn() -> Timestamp + Sync);

/// Where alerts are sent, and how patiently.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The channels, each kind once.
    pub channels: Vec<Channel>,
    /// Tries before an alert fails. The default of 12 takes about two hours.
    pub tries: u32,
    /// How long a channel may take to answer, half of it for the connection.
    pub timeout: Duration,
    /// A repo's first waiting job raises an alert when it gets older than this. `None`: never.
    pub waiting: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            channels: Vec::new(),
            tries: 12,
            timeout: Duration::from_secs(10),
            waiting: Some(Duration::from_secs(24 * 60 * 60)),
        }
    }
}
