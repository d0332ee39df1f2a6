//! Keeps the claim of a job while its work runs.
//!
//! Owns the heartbeats, on their own connection. Leaves the end of the work to `job`. Callers rely
//! on this: as soon as the claim is lost, or may be lost, the work is cancelled, so that two
//! workers do not do the same job for long.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Shutdown;
use crate::error::with_causes;
use crate::store::{self, Actor, Claim, Database, Store};

/// How often to look whether the job was taken from its worker.
const POLL: Duration = Duration::from_secs(1);

pub(super) struct Heartbeat<'a> {
    store: Store,
    shutdown: &'a Shutdown,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    claim: Claim<'a>,
    worker: &'a str,
    lease: Duration,
    /// When the lease was last renewed.
    renewed: Instant,
    tried: Instant,
    polled: Instant,
    lost: bool,
}

impl<'a> Heartbeat<'a> {
    /// For a job that was claimed just now.
    pub(super) fn begin(
        database: &Database,
        shutdown: &'a Shutdown,
        clock: &'a (dyn Fn() -> Timestamp + Sync),
        claim: Claim<'a>,
        worker: &'a str,
        lease: Duration,
    ) -> Result<Heartbeat<'a>, store::Error> {
        let now = Instant::now();
        Ok(Heartbeat {
            store: Store::open(database)?,
            shutdown,
            clock,
            claim,
            worker,
            lease,
            renewed: now,
            tried: now,
            polled: now,
            lost: false,
        })
    }

    /// Whether the claim was lost.
    pub(super) fn has_lost_claim(&self) -> bool {
        self.lost
    }

    /// Whether the work has to end. Called again and again, it also sends the heartbeats, and looks
    /// whether the job still belongs to this worker.
    pub(super) fn cancelled(&mut self) -> bool {
        if self.lost {
            return true;
        }
        // Three times a lease, so that the next can make up for a failure.
        if self.tried.elapsed() >= self.lease / 3 {
            self.tried = Instant::now();
            self.beat();
        } else if self.polled.elapsed() >= POLL {
            self.polled = Instant::now();
            self.poll();
        }
        self.lost || self.shutdown.cancelled()
    }

    /// Looks whether the job was requeued or ended. An error is left to the next heartbeat.
    fn poll(&mut self) {
        let Claim { job, .. } = self.claim;
        match self.store.check_claim(self.claim) {
            Err(error) if error.is_about_the_claim() => {
                tracing::warn!("job {job} is given up: {error}");
                self.lost = true;
            }
            Err(error) => tracing::debug!("cannot look at job {job}: {}", with_causes(&error)),
            Ok(()) => {}
        }
    }

    fn beat(&mut self) {
        let job = self.claim.job;
        let actor = Actor {
            now: (self.clock)(),
            who: self.worker,
            why: "",
        };
        match self.store.heartbeat(actor, self.claim, self.lease) {
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
