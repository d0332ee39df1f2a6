//! The channels: what they have in common.

use std::time::Duration;

use jiff::Timestamp;
use ureq::Agent;

use super::http::post;
use super::{Error, Failure, Telegram, Webhook};
use crate::store::Alert;

/// Where alerts are sent to.
#[derive(Debug, Clone)]
pub enum Channel {
    /// A chat.
    Telegram(Telegram),
    /// A program of the operator's.
    Webhook(Webhook),
}

/// What came of a try.
pub(super) struct Sent {
    /// Whether it was taken.
    pub result: Result<(), Failure>,
    /// Where the chat is by now, if that was found out in this try.
    pub moved_to: Option<String>,
}

impl Channel {
    /// Its name, in the database too.
    pub fn name(&self) -> &'static str {
        match self {
            Channel::Telegram(_) => "telegram",
            Channel::Webhook(_) => "webhook",
        }
    }

    /// Checks what can be checked before an alert is there.
    ///
    /// # Errors
    ///
    /// When its address is not an address.
    pub fn check(&self) -> Result<(), Error> {
        let url = match self {
            Channel::Telegram(telegram) => telegram.address(),
            Channel::Webhook(webhook) => webhook.url.clone(),
        };
        let is_address = url.reveal().parse::<ureq::http::Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
        });
        if is_address {
            return Ok(());
        }
        Err(Error::Address {
            channel: self.name(),
        })
    }

    /// The chat that it is told to write to, if it writes to one.
    pub(super) fn chat(&self) -> Option<&str> {
        match self {
            Channel::Telegram(telegram) => Some(&telegram.chat),
            Channel::Webhook(_) => None,
        }
    }

    /// How many requests one try may take.
    pub(super) fn requests(&self) -> u32 {
        match self {
            Channel::Telegram(_) => Telegram::REQUESTS,
            Channel::Webhook(_) => 1,
        }
    }

    /// Sends an alert: one try. `moved_to` is where its chat is by now, if that is another.
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
                result: match post(webhook.request(alert, now)) {
                    Ok(answer) if answer.is_success() => Ok(()),
                    Ok(answer) => Err(Webhook::failure(&answer)),
                    Err(failure) => Err(failure),
                },
                moved_to: None,
            },
        }
    }
}
