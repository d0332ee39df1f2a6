//! What is looked at beside a claim: for the decision log, and for the shadow.
//!
//! Owns that both see the state that the claim saw, and that nothing here fails a claim. Where there
//! is neither a log nor a shadow, a claim pays nothing for it.

use jiff::Timestamp;

use super::{CurrentClause, Error, Queue, with_causes};
use crate::clause::{Clause, Footprint};
use crate::model::Snapshot;
use crate::store::Claimed;

/// The state before a claim.
pub(super) struct Seen {
    state: Snapshot,
    /// The shadow's clause, or why it has none, if it is time to ask it.
    shadow: Option<Result<Clause, Error>>,
}

impl Queue {
    /// The state before a claim, if anybody wants it.
    pub(super) fn look(&mut self, now: Timestamp, clause: &CurrentClause) -> Option<Seen> {
        self.try_to_look(now, clause).unwrap_or_else(|error| {
            self.leave_out(&error);
            None
        })
    }

    fn try_to_look(
        &mut self,
        now: Timestamp,
        clause: &CurrentClause,
    ) -> Result<Option<Seen>, Error> {
        // A shadow that cannot be read is no reason not to log.
        let is_due = self.shadow_is_due(now).unwrap_or_else(|error| {
            tracing::warn!("the shadow is not asked: {}", with_causes(&error));
            false
        });
        if !is_due && self.options.log.is_none() {
            return Ok(None);
        }
        let shadow = is_due.then(|| self.shadow_clause(now));
        // Any policy may be replayed over a state that is kept.
        let is_kept = self.options.log.as_ref().is_some_and(|log| log.snapshots);
        let mut reach = if is_kept {
            Footprint::of_every_clause()
        } else {
            clause.reach()
        };
        if let Some(Ok(shadow)) = &shadow {
            reach.extend(shadow.footprint());
        }
        let state = self.store.snapshot(&reach, None)?;
        Ok(Some(Seen { state, shadow }))
    }

    /// Logs what the policy says about the state before a claim, and compares the shadow with it.
    pub(super) fn write_down(&mut self, now: Timestamp, seen: Seen, claimed: Option<&Claimed>) {
        if let Err(error) = self.try_to_write_down(now, seen, claimed) {
            self.leave_out(&error);
        }
    }

    /// Counts and says that a claim was not looked at: its line of the log is dropped.
    fn leave_out(&mut self, error: &Error) {
        self.left_out = self.left_out.saturating_add(1);
        tracing::warn!(
            "this claim is not looked at ({} so far): {}",
            self.left_out,
            with_causes(error)
        );
    }

    fn try_to_write_down(
        &mut self,
        now: Timestamp,
        seen: Seen,
        claimed: Option<&Claimed>,
    ) -> Result<(), Error> {
        let Seen { state, shadow } = seen;
        let decisions = self.decide_over(now, &state)?;
        if let Some(clause) = shadow
            && let Err(error) = self.ask_shadow(now, clause, &state, &decisions)
        {
            tracing::warn!("the shadow's answer is not kept: {}", with_causes(&error));
        }
        self.log(now, &state, &decisions, claimed)
    }
}
