//! A claim that waits until there is a job.
//!
//! Owns how often it looks. Callers rely on this: a change is seen soon, by whatever program it was
//! made, and a queue on which nothing happens costs next to nothing.

use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Claimant, Error, Queue};
use crate::error::with_causes;
use crate::store::Claimed;

/// How often a change is looked for: a look costs some microseconds.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is claimed without a change: a lease may have run out, or a clause.
const CLAIM_ANYWAY: Duration = Duration::from_secs(1);

impl Queue {
    /// As [`Queue::claim`], and waits for a job until it is over. Meanwhile it compares the
    /// candidates, at a low rate.
    ///
    /// # Errors
    ///
    /// As [`Queue::claim`].
    pub fn wait_for_job(
        &mut self,
        clock: &dyn Fn() -> Timestamp,
        claimant: Claimant<'_>,
        lease: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Option<Claimed>, Error> {
        loop {
            // Read before the claim, so that a change after it is not missed.
            let seen = self.store.data_version()?;
            let claimed = self.claim(clock(), claimant, lease)?;
            if claimed.is_some() || is_over() {
                return Ok(claimed);
            }
            match self.reconcile(clock()) {
                Ok(false) => {}
                Ok(true) => continue,
                Err(error) => {
                    tracing::warn!("the candidates were not compared: {}", with_causes(&error))
                }
            }
            let looked = Instant::now();
            while !self.is_changing()
                && self.store.data_version()? == seen
                && looked.elapsed() < CLAIM_ANYWAY
                && !is_over()
            {
                thread::sleep(LOOK);
            }
            if self.is_changing() {
                thread::sleep(LOOK);
            }
        }
    }
}
