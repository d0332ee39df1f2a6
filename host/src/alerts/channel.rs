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
    /// When its address is none.
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

    /// Sends an alert: one try.
    pub(super) fn send(
        &self,
        agent: &Agent,
        timeout: Duration,
        now: Timestamp,
        alert: &Alert,
    ) -> Result<(), Failure> {
        let request = match self {
            Channel::Telegram(telegram) => telegram.request(alert),
            Channel::Webhook(webhook) => webhook.request(alert, now),
        };
        let answer = post(agent, timeout, now, request)?;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        Err(match self {
            Channel::Telegram(telegram) => telegram.failure(answer),
            Channel::Webhook(_) => Webhook::failure(&answer),
        })
    }
}
