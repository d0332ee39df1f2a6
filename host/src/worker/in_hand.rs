//! A claimed job, which a worker may put back.
//!
//! Owns how a job is put back. Leaves to `job` when. Callers rely on this: it never fails; if the
//! database refuses, the job comes back when its lease expires.

use std::thread;

use jiff::Timestamp;

use super::{Outcome, PAUSE};
use crate::error::with_causes;
use crate::queue::Queue;
use crate::store::{Actor, Claim};

pub(super) struct InHand<'a> {
    pub queue: &'a mut Queue,
    pub claim: Claim<'a>,
    pub worker: &'a str,
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
}

impl<'a> InHand<'a> {
    pub fn actor(&self) -> Actor<'a> {
        Actor {
            now: (self.clock)(),
            who: self.worker,
            why: "",
        }
    }

    /// Stores the last lines of its command. Without them it ends all the same.
    pub fn keep_output(&mut self, text: &str) {
        let (actor, claim) = (self.actor(), self.claim);
        if let Err(error) = self.queue.store_mut().keep_output(actor, claim, text) {
            tracing::warn!(
                "the output of job {} is not kept: {}",
                claim.job,
                with_causes(&error)
            );
        }
    }

    pub fn release(&mut self, why: &str) -> Outcome {
        let (actor, job) = (self.actor(), self.claim.job);
        match self.queue.release(actor, self.claim, Some(why)) {
            Ok(()) => tracing::warn!("job {job} is put back: {why}"),
            Err(error) => tracing::error!(
                "job {job} comes back when its lease expires: {}",
                with_causes(&error)
            ),
        }
        Outcome::GivenUp
    }

    /// For a machine that cannot run the job now: the pause keeps it from claiming at once.
    pub fn release_and_pause(&mut self, cause: String) -> Outcome {
        let why = format!("its worker could not run its command: {cause}");
        let outcome = self.release(&why);
        thread::sleep(PAUSE);
        outcome
    }
}
