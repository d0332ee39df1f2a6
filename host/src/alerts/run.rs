//! Sending: once, or until cancelled.
//!
//! Owns the threads: one per channel, each with its own connection to the database, so that none
//! waits for another. Callers rely on this: once it has started, [`run`] ends only when it is
//! cancelled, at the latest when a channel's timeout is over. Errors are logged, and tried again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use super::line::Line;
use super::watch::watch;
use super::{Channel, Clock, Error, Round, Settings};
use crate::error::with_causes;
use crate::queue::{Changes, Queue, pause};
use crate::store::{Database, Store};

/// How often to look for a new alert, and for the cancellation.
const LOOK: Duration = Duration::from_millis(250);

/// How often to look without a change: the clock may have been set back.
pub(super) const LOOK_ANYWAY: Duration = Duration::from_secs(60);

/// The pause after an error of this process.
const AFTER_AN_ERROR: Duration = Duration::from_secs(2);

/// Sends what is due, to all channels in parallel, and returns when to come back. If one channel
/// cannot be used, the others still get what is due for them.
pub fn deliver(
    database: impl Into<Database>,
    settings: &Settings,
    clock: Clock<'_>,
) -> Result<Round, Error> {
    let database = &database.into();
    if settings.channels.is_empty() {
        return Err(Error::NoChannel);
    }
    let once = |channel| Line::open(database, channel, settings)?.send_due(clock, &|| false);
    for_each_channel(settings, once, |rounds| {
        let mut sum = Round::default();
        for round in rounds {
            sum = sum.and(round?);
        }
        Ok(sum)
    })
}

/// Sends what is due, and raises an alert for a job that waits too long, until `stop` is set.
/// Without a channel, such alerts are only stored.
pub fn run(
    mut queue: Queue,
    settings: &Settings,
    clock: Clock<'_>,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let database = &queue.store().database().clone();
    settings.channels.iter().try_for_each(Channel::check)?;
    let cancelled = || stop.load(Ordering::Relaxed);
    let keep_sending = |channel| {
        while !cancelled() {
            if let Err(error) = send_until(database, channel, settings, clock, &cancelled) {
                let name = channel.name();
                tracing::warn!("alerts are not sent to `{name}`: {}", with_causes(&error));
                pause(AFTER_AN_ERROR, &cancelled);
            }
        }
        Ok(())
    };
    for_each_channel(settings, keep_sending, |ended| {
        watch(&mut queue, settings.waiting, clock, &cancelled);
        ended.collect()
    })
}

/// Runs `work` for each channel in its own thread, and passes the results to `finish`.
fn for_each_channel<'a, T: Send, R>(
    settings: &'a Settings,
    work: impl Fn(&'a Channel) -> Result<T, Error> + Sync,
    finish: impl FnOnce(&mut dyn Iterator<Item = Result<T, Error>>) -> Result<R, Error>,
) -> Result<R, Error> {
    type Worker<'s, T> = (&'static str, ScopedJoinHandle<'s, Result<T, Error>>);
    let work = &work;
    thread::scope(|scope| {
        let start = |channel: &'a Channel| {
            let name = channel.name();
            let thread = thread::Builder::new().name(format!("alerts-{name}"));
            match thread.spawn_scoped(scope, move || work(channel)) {
                Ok(worker) => Ok((name, worker)),
                Err(cause) => Err(Error::Thread {
                    channel: name,
                    cause,
                }),
            }
        };
        let workers: Vec<Result<Worker<'_, T>, Error>> =
            settings.channels.iter().map(start).collect();
        finish(&mut workers.into_iter().map(|worker| {
            let (channel, worker) = worker?;
            worker.join().unwrap_or(Err(Error::SenderEnded(channel)))
        }))
    })
}

/// Sends to one channel.
fn send_until(
    database: &Database,
    channel: &Channel,
    settings: &Settings,
    clock: Clock<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), Error> {
    // A second connection, so that the sender's own writes are noticed too.
    let mut noticing = Store::open(database)?;
    let mut line = Line::open(database, channel, settings)?;
    let mut changes = Changes::new(LOOK_ANYWAY);
    while !cancelled() {
        // Read before the sending, so that a change after it is not missed.
        changes.look(Some(noticing.data_version()?));
        let next = line.send_due(clock, cancelled)?.next;
        changes.wait(LOOK, cancelled, &mut || {
            let is_due = next.is_some_and(|next| next <= clock());
            noticing.data_version().ok().filter(|_| !is_due)
        });
    }
    Ok(())
}
