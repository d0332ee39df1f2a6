//! A test of the channels: each is sent a message now, past the outbox.
//!
//! Owns what is sent then, and what is said of each channel. Callers rely on this: a channel that
//! fails keeps no other from being tested, nothing is written down but where a chat has moved to,
//! and no secret is in what is said.

use super::http::agent;
use super::moved::send;
use super::remedy::remedy;
use super::{Channel, Clock, Error, Settings};
use crate::store::{Alert, AlertKind, Database, Store, sql_time};

/// What came of the test of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// The channel.
    pub channel: &'static str,
    /// Why it has not taken the message, and what to do about that.
    pub problem: Option<Problem>,
}

/// A channel that takes no alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What went wrong.
    pub error: String,
    /// What to do about it, unless the error says so itself.
    pub remedy: Option<&'static str>,
}

/// Sends a test to each channel, or to one of them, in the name of the person who tests.
///
/// # Errors
///
/// When no channel is configured, or not this one, or the database cannot be used.
pub fn test(
    database: impl Into<Database>,
    settings: &Settings,
    only: Option<&str>,
    clock: Clock<'_>,
    who: &str,
) -> Result<Vec<Tested>, Error> {
    if settings.channels.is_empty() {
        return Err(Error::NoChannel);
    }
    let is_meant = |channel: &&Channel| only.is_none_or(|only| channel.name() == only);
    let channels: Vec<&Channel> = settings.channels.iter().filter(is_meant).collect();
    if let (Some(only), true) = (only, channels.is_empty()) {
        return Err(Error::NotConfigured {
            channel: only.into(),
        });
    }
    let mut store = Store::open(database)?;
    let agent = agent(settings.timeout);
    let test = |channel: &Channel| {
        if let Err(error) = channel.check() {
            return Some(Problem {
                error: error.to_string(),
                remedy: None,
            });
        }
        let now = clock();
        let alert = Alert {
            id: 0,
            // Another one each time: a receiver drops what it has had.
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
        let sent = send(&mut store, channel, (&agent, settings.timeout), now, &alert);
        sent.err().map(|failure| Problem {
            error: failure.to_string(),
            remedy: Some(remedy(channel, &failure)),
        })
    };
    let problems = channels.iter().copied().map(test);
    let names = channels.iter().map(|channel| channel.name());
    let tested = names.zip(problems);
    Ok(tested
        .map(|(channel, problem)| Tested { channel, problem })
        .collect())
}
