//! What a worker says while it has nothing to do.
//!
//! Owns when: at the start, and again every minute in which no job has come. Leaves the words about
//! the queue to `queue`. It never stops a worker: what cannot be found out is not said.

use jiff::{SignedDuration, Timestamp};

use crate::error::with_causes;
use crate::queue::Queue;

/// How often a worker that waits says so.
const EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Since when a worker has waited.
pub(super) struct Idle<'a> {
    agent: &'a str,
    /// Whether it is for this part of the worker to say.
    speaks: bool,
    /// When it said so last, or had a job; none before the first look.
    since: Option<Timestamp>,
}

impl<'a> Idle<'a> {
    /// Nothing was said yet.
    pub fn new(agent: &'a str, speaks: bool) -> Idle<'a> {
        Idle {
            agent,
            speaks,
            since: None,
        }
    }

    /// Whether it is time to say what is waited for.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let waited = |since: Timestamp| now.duration_since(since);
        // A clock that was put back begins anew.
        let is_due = |since| waited(since) >= EVERY || waited(since).is_negative();
        self.speaks && self.since.is_none_or(is_due)
    }

    /// There was a job.
    pub fn begin(&mut self, now: Timestamp) {
        self.since = Some(now);
    }

    /// Says what is waited for.
    pub fn say(&mut self, queue: &mut Queue, now: Timestamp) {
        self.since = Some(now);
        match queue.waiting_words(self.agent) {
            Ok(words) if words.is_unknown => tracing::warn!("{}", words.text),
            Ok(words) => tracing::info!("{}", words.text),
            Err(error) => {
                tracing::warn!("what is waited for cannot be said: {}", with_causes(&error))
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_the_start_and_after_every_minute_without_a_job() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut idle = Idle::new("analyst", true);
        assert!(idle.is_due(at(1_000)), "at the start");
        idle.begin(at(1_000));
        assert!(!idle.is_due(at(1_059)), "a job came less than a minute ago");
        assert!(idle.is_due(at(1_060)), "a minute without a job");
        assert!(idle.is_due(at(900)), "the clock was put back");
    }

    #[test]
    fn one_part_of_a_worker_speaks_for_all() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(!Idle::new("analyst", false).is_due(at(1_000)));
    }
}
