//! Whether the heads that claims use are what the clause says.
//!
//! Owns how often heads are compared and how many at a time, and the full comparison for an
//! operator. Leaves the comparison and the repair of a repo to the store. Callers rely on this: a
//! comparison in the background takes a bounded time, and the next one continues where it ended.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Error, Queue};
use crate::clause::Obstacle;
use crate::error::with_causes;
use crate::gate::CurrentClause;
use crate::recent::is_recent;
use crate::store::{Change, Compared, Difference, Place};

/// How often a host compares all repos, while it waits or finds nothing.
const EVERY: Duration = Duration::from_secs(10);

/// How soon it goes on where there were more than it had time for.
const MORE: Duration = Duration::from_secs(1);

/// How many it compares at a time: some milliseconds' worth.
const SOME: usize = 100;

/// For how long it goes on with more of them.
const FOR: Duration = Duration::from_millis(20);

/// What was compared last, and when.
#[derive(Default)]
pub(super) struct Reconciling {
    compared: Option<Timestamp>,
    next: Option<Place>,
}

/// What a whole comparison found.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// Why there are no heads for the clause, and each claim looks at every held job.
    pub obstacle: Option<Obstacle>,
    /// Why claims by the clause are not flat, for this reason or another.
    pub cost: Option<Obstacle>,
    /// The triggers, and the row of the clause's version, that were not there.
    pub restored: Vec<Change>,
    /// How many repos were compared.
    pub repos: usize,
    /// Those that differed.
    pub differences: Vec<Difference>,
    /// How often heads were found to be wrong since the clause came into use, this time included.
    pub ever: i64,
}

impl Diagnosis {
    /// Whether all was as it should be.
    pub fn is_sound(&self) -> bool {
        self.restored.is_empty() && self.differences.is_empty()
    }
}

impl Queue {
    /// Compares all heads with the clause, and repairs the differences.
    pub fn diagnose(&mut self, now: Timestamp) -> Result<Diagnosis, Error> {
        let restored = self.store.restore_triggers()?;
        let clause = self.clause(now)?;
        let cost = clause.clause.flat().err();
        let mut whole = Compared::default();
        let Some(shaped) = clause.shaped() else {
            return Ok(Diagnosis {
                obstacle: clause.shape.as_ref().err().cloned(),
                cost,
                restored,
                repos: 0,
                differences: Vec::new(),
                ever: 0,
            });
        };
        loop {
            let some = self.store.compare_heads(shaped, whole.next.take(), SOME)?;
            whole.repos += some.repos;
            whole.differences.extend(some.differences);
            whole.next = some.next;
            if whole.next.is_none() {
                return Ok(Diagnosis {
                    obstacle: None,
                    cost,
                    restored,
                    repos: whole.repos,
                    differences: whole.differences,
                    ever: self.store.differences(shaped)?,
                });
            }
        }
    }

    /// Compares some heads with the clause, if it is time to; the next call continues from there.
    /// Differences are repaired, counted and logged. A running host calls it whenever it is idle.
    /// Returns whether something was repaired: another job may be claimable then.
    pub fn reconcile(&mut self, now: Timestamp) -> Result<bool, Error> {
        if self.has_just_compared(now) {
            return Ok(false);
        }
        let is_first = self.reconciling.compared.replace(now).is_none();
        let restored = self.store.restore_triggers()?;
        if !restored.is_empty() {
            tracing::error!(
                "triggers or rows of the gate were missing, and are made anew: {restored:?}"
            );
        }
        let mut changed = !restored.is_empty();
        let clause = self.clause(now)?;
        if let Some(shaped) = clause.shaped() {
            // A process that claims once goes on where the last one ended.
            let from = match self.reconciling.next.take() {
                None if is_first => self.store.compared_to(shaped)?,
                next => next,
            };
            let is_part = from.is_some();
            let (begun, mut next) = (Instant::now(), from);
            loop {
                let compared = self.store.compare_heads(shaped, next.take(), SOME)?;
                changed |= !compared.differences.is_empty();
                next = compared.next;
                // What was found is worth another look at once.
                if next.is_none() || changed || begun.elapsed() >= FOR {
                    break;
                }
            }
            if is_first && (is_part || next.is_some()) {
                self.store.compared_as_far_as(shaped, next.as_ref());
            }
            self.reconciling.next = next;
        }
        Ok(changed)
    }

    /// Compares the heads of repos whose jobs are about to be shown as claimable. Where one
    /// differs, the next claim evaluates its repo anew, and then finds the job. It fails nothing: a
    /// reader may not be able to write.
    pub(super) fn doubt_heads(&mut self, clause: &CurrentClause, claimable: &[i64]) {
        if let Some(shaped) = clause.shaped()
            && let Err(error) = self.store.doubt_heads(shaped, claimable)
        {
            tracing::debug!("the heads were not compared: {}", with_causes(&error));
        }
    }

    /// The same for a claim that found nothing, unless nothing is queued. It takes no lock where
    /// nothing differs.
    pub(super) fn reconcile_if_queued(&mut self, now: Timestamp) -> Result<bool, Error> {
        if self.has_just_compared(now) || !self.store.has_queued_jobs()? {
            return Ok(false);
        }
        self.reconcile(now)
    }

    fn has_just_compared(&self, now: Timestamp) -> bool {
        let compared = self.reconciling.compared;
        let pause = if self.reconciling.next.is_some() {
            MORE
        } else {
            EVERY
        };
        compared.is_some_and(|last| is_recent(last, now, pause))
    }

    /// How often heads were found to be wrong since the clause came into use.
    pub(super) fn differences(&mut self, now: Timestamp) -> Result<i64, Error> {
        let clause = self.clause(now)?;
        match clause.shaped() {
            Some(shaped) => Ok(self.store.differences(shaped)?),
            None => Ok(0),
        }
    }
}
