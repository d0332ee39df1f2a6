//! A claim that waits until there is a job.
//!
//! Owns the loop, which also compares the claim index from time to time. Leaves the waiting to
//! `waiters`: this is a line of one. Callers rely on this: a change by any program is noticed soon,
//! and an idle queue costs next to nothing.

use std::time::Duration;

use jiff::Timestamp;

use super::waiters::{Round, Waiter, Waiters};
use super::{Claimant, Error, Queue};
use crate::error::with_causes;
use crate::store::Claimed;

/// The only worker in its line.
struct Alone<'a> {
    claimant: Claimant<'a>,
    cancelled: &'a dyn Fn() -> bool,
}

impl Waiter for Alone<'_> {
    fn claimant(&self) -> Claimant<'_> {
        self.claimant
    }

    fn is_due(&self) -> bool {
        (self.cancelled)()
    }

    fn has_gone(&self) -> bool {
        false
    }
}

impl Queue {
    /// As [`Queue::claim`], and waits for a job until it is cancelled.
    pub fn wait_for_job(
        &mut self,
        clock: &dyn Fn() -> Timestamp,
        claimant: Claimant<'_>,
        lease: Duration,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Claimed>, Error> {
        let mut line = Waiters::default();
        line.add(Alone {
            claimant,
            cancelled,
        });
        let round = Round {
            clock,
            lease,
            most: 1,
            time: Duration::MAX,
        };
        loop {
            if let Some((_, claimed)) = line.serve(self, &round).pop() {
                return claimed.map(Some);
            }
            if !line.dismiss(false).is_empty() {
                return Ok(None);
            }
            match self.reconcile(clock()) {
                Ok(false) => line.wait(self, cancelled),
                Ok(true) => line.forget(),
                Err(error) => {
                    tracing::warn!("the claim index was not compared: {}", with_causes(&error));
                    line.wait(self, cancelled);
                }
            }
        }
    }
}
