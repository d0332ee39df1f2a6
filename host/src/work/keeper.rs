//! Keeps the claim of a job while it is worked on.
//!
//! Owns the heartbeats, on a separate connection. Callers rely on this: as soon as the claim is lost, or may be, the work
//! is told to end, so that no two workers are at one job for longer than that takes.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Told;
use crate::queue::with_causes;
use crate::store::{self, Act, Claim, Database, Store};

/// How soon it is seen that somebody else has taken the job from its worker.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Keeper<'a> {
    store: Store,
    told: &'a Told,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    claim: Claim<'a>,
    worker: &'a str,
    lease: Duration,
    /// When the lease was renewed last.
    renewed: Instant,
    tried: Instant,
    looked: Instant,
    lost: bool,
}

impl<'a> Keeper<'a> {
    /// For a job that was claimed just now.
    pub(super) fn of(
        database: &Database,
        told: &'a Told,
        clock: &'a (dyn Fn() -> Timestamp + Sync),
        claim: Claim<'a>,
        worker: &'a str,
        lease: Duration,
    ) -> Result<Keeper<'a>, store::Error> {
        let now = Instant::now();
        Ok(Keeper {
            store: Store::open(database)?,
            told,
            clock,
            claim,
            worker,
            lease,
            renewed: now,
            tried: now,
            looked: now,
            lost: false,
        })
    }

    /// Whether the claim was lost.
    pub(super) fn has_lost(&self) -> bool {
        self.lost
    }

    /// Sends a heartbeat when it is time, and looks whether the job is still this worker's; false when the work is to end.
    pub(super) fn goes_on(&mut self) -> bool {
        if self.lost {
            return false;
        }
        // Three times a lease, so that one that fails can be made up for.
        if self.tried.elapsed() >= self.lease / 3 {
            self.tried = Instant::now();
            self.beat();
        } else if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.look();
        }
        !self.lost && !self.told.is_to_stop()
    }

    /// Somebody may have put the job back, or ended it. What cannot be read is left to the next heartbeat.
    fn look(&mut self) {
        let Claim { job, .. } = self.claim;
        match self.store.check_claim(self.claim) {
            Err(error) if error.is_about_the_claim() => {
                tracing::warn!("job {job} is given up: {error}");
                self.lost = true;
            }
            Err(error) => tracing::debug!("job {job} was not looked at: {}", with_causes(&error)),
            Ok(()) => {}
        }
    }

    fn beat(&mut self) {
        let job = self.claim.job;
        let act = Act {
            now: (self.clock)(),
            who: self.worker,
            why: "",
        };
        match self.store.heartbeat(act, self.claim, self.lease) {
            Ok(_) => self.renewed = self.tried,
            Err(error) if error.is_about_the_claim() => {
                tracing::warn!("job {job} is given up: {error}");
                self.lost = true;
            }
            Err(error) => {
                tracing::warn!("no heartbeat for job {job}: {}", with_causes(&error));
                self.lost = self.renewed.elapsed() >= self.lease;
            }
        }
    }
}
