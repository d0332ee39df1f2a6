//! The channels: what Telegram and a webhook have in common.
//!
//! Owns a channel's name, the check of its address, and one try to send. Leaves the requests to
//! `telegram` and `webhook`.

use std::time::Duration;

use jiff::Timestamp;
use ureq::Agent;

use super::http::post;
use super::{Error, Failure, Telegram, Webhook};
use crate::store::Alert;

/// Where alerts are sent.
#[derive(Debug, Clone)]
pub enum Channel {
    /// A chat.
    Telegram(Telegram),
    /// The operator's own program.
    Webhook(Webhook),
}

/// The result of a try.
pub(super) struct Sent {
    pub result: Result<(), Failure>,
    /// The chat's new id, if this try found that it has moved.
    pub moved_to: Option<String>,
}

impl Channel {
    /// Its name, also in the database.
    pub fn name(&self) -> &'static str {
        match self {
            Channel::Telegram(_) => "telegram",
            Channel::Webhook(_) => "webhook",
        }
    }

    /// Checks the address without a request.
    pub fn check(&self) -> Result<(), Error> {
        let url = match self {
            Channel::Telegram(telegram) => telegram.address(),
            Channel::Webhook(webhook) => webhook.url.clone(),
        };
        let is_address = url.reveal().parse::<ureq::http::Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
        });
        if is_address {
            Ok(())
        } else {
            Err(Error::Address(self.name()))
        }
    }

    /// The configured chat, if this is Telegram.
    pub(super) fn chat(&self) -> Option<&str> {
        match self {
            Channel::Telegram(telegram) => Some(&telegram.chat),
            Channel::Webhook(_) => None,
        }
    }

    /// The most requests that one try makes.
    pub(super) fn requests(&self) -> u32 {
        match self {
            Channel::Telegram(_) => Telegram::REQUESTS,
            Channel::Webhook(_) => 1,
        }
    }

    /// Sends an alert: one try. `moved_to` is the chat's new id, if it is known to have moved.
    pub(super) fn send(
        &self,
        agent: &Agent,
        timeout: Duration,
        now: Timestamp,
        alert: &Alert,
        moved_to: Option<&str>,
    ) -> Sent {
        let post = |request| post(agent, timeout, now, request);
        match self {
            Channel::Telegram(telegram) => {
                telegram.send(alert, moved_to.unwrap_or(&telegram.chat), &post)
            }
            Channel::Webhook(webhook) => Sent {
                result: post(webhook.request(alert, now)).and_then(Webhook::taken),
                moved_to: None,
            },
        }
    }
}
