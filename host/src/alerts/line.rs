//! The line of one channel: its due alerts are sent one after the other.
//!
//! Owns what follows a failure: the alert is tried again after a growing delay, and the channel is
//! left alone for a while, or for as long as it asks. Callers rely on this: no transaction is open
//! during a request.

use std::time::Duration;

use jiff::Timestamp;
use ureq::Agent;

use super::http::agent;
use super::moved::send;
use super::{Channel, Clock, Error, Failure, Settings};
use crate::backoff::backoff;
use crate::store::{Database, Due, Store, Taken, lease_end};

/// The shortest time that a channel is left alone after a failure.
const FIRST: Duration = Duration::from_secs(5);

/// The longest delay of an alert, and the longest pause of a channel, whatever the channel asks.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The result of sending what is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// How many alerts were sent.
    pub sent: usize,
    /// The failed tries: the channel and the reason.
    pub failures: Vec<(&'static str, Failure)>,
    /// When the next try is due. `None`: not before there is a new alert.
    pub next: Option<Timestamp>,
}

impl Round {
    pub(super) fn and(mut self, other: Round) -> Round {
        self.sent += other.sent;
        self.failures.extend(other.failures);
        self.next = self.next.into_iter().chain(other.next).min();
        self
    }
}

pub(super) struct Line<'a> {
    store: Store,
    channel: &'a Channel,
    agent: Agent,
    tries: u32,
    timeout: Duration,
}

impl Line<'_> {
    pub(super) fn open<'a>(
        database: &Database,
        channel: &'a Channel,
        settings: &Settings,
    ) -> Result<Line<'a>, Error> {
        channel.check()?;
        Ok(Line {
            store: Store::open(database)?,
            channel,
            agent: agent(settings.timeout),
            tries: settings.tries.max(1),
            timeout: settings.timeout,
        })
    }

    /// Sends what is due, until nothing is left, the channel is paused, or `stop` returns true.
    pub(super) fn send_due(
        &mut self,
        clock: Clock<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Round, Error> {
        let name = self.channel.name();
        // Longer than all requests of a try may take, with room for a busy machine.
        let lease = self.timeout.saturating_mul(self.channel.requests()) + Duration::from_secs(30);
        let mut round = Round::default();
        while !stop() {
            let due = match self
                .store
                .take_delivery(clock(), name, lease, LONGEST_WAIT)?
            {
                Taken::Due(due) => due,
                Taken::Nothing(then) => {
                    round.next = then;
                    break;
                }
            };
            if due.attempt > self.tries {
                let failure = self.give_up(&due)?;
                round.failures.push((name, failure));
                continue;
            }
            let (now, alert) = (clock(), &due.alert);
            let with = (&self.agent, self.timeout);
            match send(&mut self.store, self.channel, with, now, alert) {
                Ok(()) => {
                    self.store.delivered(clock(), &due)?;
                    round.sent += 1;
                }
                Err(failure) => {
                    self.put_back(clock(), &due, &failure)?;
                    round.failures.push((name, failure));
                }
            }
        }
        Ok(round)
    }

    /// For an alert whose tries are used up, because each sender died, or because the limit was
    /// lowered.
    fn give_up(&mut self, due: &Due) -> Result<Failure, Error> {
        let failure = due
            .error
            .clone()
            .map_or(Failure::Abandoned, Failure::Before);
        let (alert, channel) = (due.alert.id, self.channel.name());
        tracing::error!("alert {alert} has failed and is no longer sent to `{channel}`: {failure}");
        self.store.given_up(due, &failure.to_string())?;
        Ok(failure)
    }

    fn put_back(&mut self, now: Timestamp, due: &Due, failure: &Failure) -> Result<(), Error> {
        let wish = match failure {
            Failure::Answered { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let wish = wish.min(LONGEST_WAIT);
        let held_until = lease_end(now, wish.max(FIRST));
        let again = (due.attempt < self.tries)
            .then(|| lease_end(now, wish.max(backoff(FIRST, &due.alert.key, due.attempt))));
        let (alert, channel) = (due.alert.id, self.channel.name());
        match again {
            Some(_) => tracing::warn!(
                "alert {alert} was not sent to `{channel}` and is tried again: {failure}"
            ),
            None => tracing::error!("alert {alert} was not sent to `{channel}`: {failure}"),
        }
        Ok(self
            .store
            .not_delivered(due, &failure.to_string(), again, held_until)?)
    }
}
