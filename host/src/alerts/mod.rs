//! Alerts: people are told what happened, by Telegram or by a webhook.
//!
//! Owns the words, the channels and the patience with them. What there is to tell is written by
//! `store` in the transaction of what it tells of, so nothing here can slow a claim or a freeze, or
//! undo one. Callers rely on this: an alert is sent *at least* once. Under normal operation that is
//! once, however many senders there are; a sender that dies between the channel's answer and its
//! own note makes it twice, and the alert's key tells. A channel that is dead holds no other one
//! up. No secret, and no address that may hold one, is in any error, log line or `Debug` output.

mod channel;
mod error;
mod http;
mod line;
mod moved;
mod remedy;
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

/// The sender's clock. Sending takes time, so one point in time would not do.
pub type Clock<'a> = &'a (dyn Fn() -> Timestamp + Sync);

/// Whom to tell, and how patiently.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to send alerts, each named once.
    pub channels: Vec<Channel>,
    /// How often an alert is tried before it has failed; 12, which takes about two hours.
    pub tries: u32,
    /// How long a channel may take to answer; 10 s, half of it for the connection.
    pub timeout: Duration,
    /// How old the first job of a repo's waiting line may become before that is an alert; 24 h.
    /// None means any age.
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
