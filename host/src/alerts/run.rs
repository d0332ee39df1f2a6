//! Sending: once, or until it is cancelled.
//!
//! Owns the threads: one a channel, each with its own connection to the database, so that none
//! waits for another. Callers rely on this: [`run`] ends only when it is told to, and within the
//! time that a channel may take to answer; what it cannot do is said in the log, and tried again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use super::line::Line;
use super::watch::watch;
use super::{Channel, Clock, Error, Round, Settings};
use crate::error::with_causes;
use crate::queue::{Changes, Queue, pause};
use crate::store::{Database, Store};

/// How soon a new alert is seen, and that it is time to stop.
const LOOK: Duration = Duration::from_millis(250);

/// When the outbox and the queue are looked at without a change: the clock may have been put back.
pub(super) const LOOK_ANYWAY: Duration = Duration::from_secs(60);

/// When something that failed in this process is tried again.
const AFTER_AN_ERROR: Duration = Duration::from_secs(2);

/// Sends what is due, to each channel at once, and says when to come back.
///
/// # Errors
///
/// When no channel is configured, an address is wrong, or the outbox cannot be used. The other
/// channels have been sent what was due for them.
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

/// Sends what is due whenever there is something, and looks at the waiting lines of the queue,
/// until `stop` is set. Without a channel, it only writes down what has been waiting for long.
///
/// # Errors
///
/// When an address is wrong, or a thread cannot be started.
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

/// Runs something for each channel in a separate thread, and goes on with what they return.
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
            worker.join().unwrap_or(Err(Error::SenderEnded { channel }))
        }))
    })
}

/// Sends to one channel. To look whether there is a new alert takes no transaction.
fn send_until(
    database: &Database,
    channel: &Channel,
    settings: &Settings,
    clock: Clock<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), Error> {
    // Its own connection notices what the sender itself writes, too.
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
