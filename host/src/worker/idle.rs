//! The log line of a worker that waits for a job.
//!
//! Owns when to log it: at the start, and after every minute without a job. Leaves its text to
//! `queue`. Callers rely on this: it never stops a worker.

use jiff::{SignedDuration, Timestamp};

use crate::error::with_causes;
use crate::queue::Queue;

const EVERY: SignedDuration = SignedDuration::from_secs(60);

pub(super) struct Idle<'a> {
    agents: &'a [String],
    /// Whether this part of the worker logs the line.
    speaks: bool,
    /// The time of the last line or the last job.
    since: Option<Timestamp>,
}

impl<'a> Idle<'a> {
    pub fn new(agents: &'a [String], speaks: bool) -> Idle<'a> {
        Idle {
            agents,
            speaks,
            since: None,
        }
    }

    /// Whether it is time for the line.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let waited = |since: Timestamp| now.duration_since(since);
        // The clock may have been set back.
        let is_due = |since| waited(since) >= EVERY || waited(since).is_negative();
        self.speaks && self.since.is_none_or(is_due)
    }

    /// A job came: the minute begins again.
    pub fn begin(&mut self, now: Timestamp) {
        self.since = Some(now);
    }

    /// Logs what the worker waits for.
    pub fn say(&mut self, queue: &mut Queue, now: Timestamp) {
        self.since = Some(now);
        for agent in self.agents {
            match queue.waiting_words(agent) {
                Ok(words) if words.is_unknown => tracing::warn!("{}", words.text),
                Ok(words) => tracing::info!("{}", words.text),
                Err(error) => {
                    tracing::warn!(
                        "waiting for jobs; cannot read the queue: {}",
                        with_causes(&error)
                    )
                }
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
        let agents = ["analyst".to_owned()];
        let mut idle = Idle::new(&agents, true);
        assert!(idle.is_due(at(1_000)), "at the start");
        idle.begin(at(1_000));
        assert!(!idle.is_due(at(1_059)), "a job came less than a minute ago");
        assert!(idle.is_due(at(1_060)), "a minute without a job");
        assert!(idle.is_due(at(900)), "the clock was put back");
    }

    #[test]
    fn one_part_of_a_worker_speaks_for_all() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(!Idle::new(&["analyst".to_owned()], false).is_due(at(1_000)));
    }
}
