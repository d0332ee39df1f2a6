//! A test of the channels: each gets a message now, without the outbox.
//!
//! Owns the message. Leaves to the caller what to do about a failure. Callers rely on this: every
//! channel is tested, even after another one failed, and nothing is stored except a chat's move.

use super::http::agent;
use super::moved::send;
use super::{Channel, Clock, Error, Failure, Settings};
use crate::store::{Alert, AlertKind, Database, Store, sql_time};

/// The result of a channel's test.
#[derive(Debug)]
pub struct Tested<'a> {
    /// The channel.
    pub channel: &'a Channel,
    /// Whether it accepted the message.
    pub result: Result<(), Problem>,
}

/// Why a channel did not accept the message.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No request was made.
    #[error(transparent)]
    Unusable(#[from] Error),
    /// The request failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Sends a test message to each channel, or to one of them, in the name of `who`.
pub fn test<'a>(
    database: impl Into<Database>,
    settings: &'a Settings,
    only: Option<&str>,
    clock: Clock<'_>,
    who: &str,
) -> Result<Vec<Tested<'a>>, Error> {
    if settings.channels.is_empty() {
        return Err(Error::NoChannel);
    }
    let is_meant = |channel: &&Channel| only.is_none_or(|only| channel.name() == only);
    let channels: Vec<&Channel> = settings.channels.iter().filter(is_meant).collect();
    if let (Some(only), true) = (only, channels.is_empty()) {
        return Err(Error::NotConfigured(only.into()));
    }
    let mut store = Store::open(database)?;
    let agent = agent(settings.timeout);
    let mut test = |channel: &Channel| -> Result<(), Problem> {
        channel.check()?;
        let now = clock();
        let alert = Alert {
            id: 0,
            // A new key each time: a receiver drops a key that it knows.
            key: format!("test-{}", now.as_nanosecond()),
            at: sql_time(now),
            kind: AlertKind::Test,
            repo: None,
            work_item_id: None,
            subject: None,
            who: who.into(),
            why: String::new(),
            note: None,
        };
        send(&mut store, channel, (&agent, settings.timeout), now, &alert)?;
        Ok(())
    };
    let mut tested = Vec::new();
    for channel in channels {
        let result = test(channel);
        tested.push(Tested { channel, result });
    }
    Ok(tested)
}
