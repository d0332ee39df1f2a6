//! Failures of a policy, counted against its generation.
//!
//! Owns when one failure is too many. Leaves to its callers what counts as one, and to the store
//! the way back to the generation before.

use std::time::Duration;

use jiff::Timestamp;

use super::{Error, Gate, Purpose};
use crate::error::with_causes;
use crate::policy::Allowance;
use crate::store::{Actor, Generation, Store};

/// Who rolls a failing generation back.
pub(crate) const THE_HOST: &str = "serial-gate";

/// What is needed to count a failure.
#[derive(Clone)]
pub(crate) struct Failing {
    pub generation: Generation,
    pub allowance: Allowance,
}

impl Failing {
    /// The time since which failures add up.
    pub fn since(&self, now: Timestamp) -> Timestamp {
        let minutes = u64::from(self.allowance.failures_within_minutes);
        let within = Duration::from_secs(60 * minutes);
        now.checked_sub(within).unwrap_or(Timestamp::MIN)
    }

    /// Logs that it was rolled back, if it was.
    pub fn say_rolled_back(&self, back: Option<i64>) {
        if let Some(good) = back {
            tracing::error!(
                "generation {} failed too often, generation {good} is active again",
                self.generation.id
            );
        }
    }
}

impl Gate {
    /// Counts a failure of a policy in a claim. Returns the generation that is active again, if
    /// this was one failure too many.
    pub(super) fn count_failure(
        &mut self,
        store: &mut Store,
        purpose: Purpose,
        failing: Option<Failing>,
        now: Timestamp,
        error: &Error,
    ) -> Option<i64> {
        let failing = failing?;
        let (generation, most) = (&failing.generation, failing.allowance.failures);
        if purpose == Purpose::Look || !error.is_a_failure_of_the_policy() || most == 0 {
            return None;
        }
        let actor = Actor {
            now,
            who: THE_HOST,
            why: &with_causes(error),
        };
        let back = store
            .failed_in_use(generation, most, failing.since(now), actor)
            .unwrap_or_else(|error| {
                tracing::warn!(
                    "a failure of generation {} is not counted: {error}",
                    generation.id
                );
                None
            });
        failing.say_rolled_back(back);
        if back.is_some() {
            self.look_again();
        }
        back
    }
}
