//! A worker's claim.
//!
//! Owns the order of its steps: the clause, its comparison with `decide`, leases that ran out, the
//! state for the log and the shadow, and then the search for the first job that may be claimed.
//! Leaves the transaction to the store. Callers rely on this: the clause lets the job through,
//! however it was found, and where the heads are known it is the first such job. A claim that finds
//! nothing compares some heads with the clause, because some writes of other programs fire no
//! trigger.

use std::time::Duration;

use jiff::Timestamp;

use super::{Error, Queue};
use crate::error::with_causes;
use crate::gate::{CurrentClause, Purpose, Source};
use crate::policy;
use crate::store::{self, Actor, Claim, Claimed, HeadClaim, Lease, Scanned, Shaped};

/// Who claims, and of what.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    /// The worker's name.
    pub worker: &'a str,
    /// The agents whose jobs it does; without any, those of all.
    pub agents: &'a [String],
}

impl<'a> From<&'a str> for Claimant<'a> {
    /// A worker that does the jobs of all agents.
    fn from(worker: &'a str) -> Claimant<'a> {
        Claimant {
            worker,
            agents: &[],
        }
    }
}

impl Queue {
    /// Gives the first claimable job to a worker; none when every queued job is held. Jobs whose
    /// lease ran out are put back first.
    pub fn claim<'a>(
        &mut self,
        now: Timestamp,
        claimant: impl Into<Claimant<'a>>,
        lease: Duration,
    ) -> Result<Option<Claimed>, Error> {
        let Claimant { worker, agents } = claimant.into();
        let (observer, gate, store) = self.parts();
        let clause = gate.clause(store, Purpose::Claim, now)?;
        let clause = observer.sample(gate, store, now, clause)?;
        gate.persist_clause(store)?;
        store.requeue_expired(now, lease, &gate.finished_stages())?;
        // A claim is the generation's only by its own clause, under its own settings.
        let is_its_own = clause.source != Source::FreezeOnly && !gate.is_overridden();
        let lease = Lease {
            worker,
            agents,
            generation: gate.generation_id().filter(|_| is_its_own),
            now,
            lease,
        };
        let seen = observer.look(gate, store, now, &clause);
        let mut claimed = self.take(&clause, lease)?;
        if claimed.is_none() && self.has_found_more(now) {
            claimed = self.take(&clause, lease)?;
        }
        if let Some(seen) = seen {
            let (observer, gate, store) = self.parts();
            observer.write_down(gate, store, now, seen, claimed.as_ref());
        }
        Ok(claimed)
    }

    /// Gives a claimed job back, to its old place in the queue. `error` says why, if something went
    /// wrong.
    pub fn release(
        &mut self,
        actor: Actor<'_>,
        claim: Claim<'_>,
        error: Option<&str>,
    ) -> Result<(), Error> {
        let finished = self.finished_stages()?;
        Ok(self.store.put_back(actor, claim, error, &finished)?)
    }

    /// Gives back a job whose branch could not be cut: it may be claimed again after a delay.
    pub fn defer(
        &mut self,
        actor: Actor<'_>,
        claim: Claim<'_>,
        delay: Duration,
        error: &str,
    ) -> Result<(), Error> {
        let finished = self.finished_stages()?;
        Ok(self.store.put_off(actor, claim, delay, error, &finished)?)
    }

    /// Makes what claims need in the database: see [`prepare_claims`](crate::store::Store::prepare_claims).
    pub fn prepare_claims(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.store.database().location.file().is_some() {
            return Ok(());
        }
        let clause = self.clause(now)?;
        let gated = clause.clause.gated();
        let scanned = clause.scanned(&gated);
        Ok(self.store.prepare_claims(clause.shaped(), scanned)?)
    }

    /// The first claimable job: by the heads where the clause has a shape and they are known, else
    /// by a scan of the queued jobs. Where that takes too long, gated jobs are held and the others
    /// go on.
    fn take(&mut self, clause: &CurrentClause, lease: Lease<'_>) -> Result<Option<Claimed>, Error> {
        if let Some(shaped) = clause.shaped() {
            match self.store.claim_head(shaped, lease)? {
                HeadClaim::Claimed(job) => return Ok(Some(job)),
                HeadClaim::Nothing => return Ok(None),
                HeadClaim::NotReady => {}
            }
        }
        let gated = clause.clause.gated();
        match self.store.claim(clause.scanned(&gated), lease) {
            Err(store::Error::Budget { budget_ms }) => {
                tracing::warn!(
                    "no job that may be claimed was found within {budget_ms} ms: gated jobs are \
                     held, the others go on"
                );
                self.take_ungated(clause, lease)
            }
            claimed => Ok(claimed?),
        }
    }

    /// Compares some heads where nothing was found, and says whether it is worth another look.
    /// An error here does not fail the claim.
    fn has_found_more(&mut self, now: Timestamp) -> bool {
        let compared = self.reconcile_if_queued(now);
        compared.unwrap_or_else(|error| {
            tracing::warn!("the heads were not compared: {}", with_causes(&error));
            false
        })
    }

    /// The first job of an agent that the clause never holds. A second clause, over agents only,
    /// finds it; it always has a shape.
    fn take_ungated(
        &mut self,
        clause: &CurrentClause,
        lease: Lease<'_>,
    ) -> Result<Option<Claimed>, Error> {
        let gated = clause.clause.gated();
        let others = gated.others(self.store.dialect());
        let digest = policy::digest(others.as_str().as_bytes());
        let shaped = Shaped {
            clause: &others,
            digest: &digest,
            gated: &gated,
            reads: &[],
        };
        match self.store.claim_head(shaped, lease)? {
            HeadClaim::Claimed(job) => Ok(Some(job)),
            HeadClaim::Nothing => Ok(None),
            HeadClaim::NotReady => {
                let scanned = Scanned {
                    clause: &others,
                    digest: &digest,
                    gated: &gated,
                    reads_own_repo_only: true,
                };
                Ok(self.store.claim(scanned, lease)?)
            }
        }
    }
}
