//! What is looked at beside a claim: for the decision log, and for the shadow.
//!
//! Owns that both see the state that the claim saw, and that nothing here fails a claim. Where there
//! is neither a log nor a shadow, a claim pays nothing for it.

use jiff::Timestamp;

use super::{Error, Queue, with_causes};
use crate::clause::Table;
use crate::model::Snapshot;
use crate::store::Claimed;

impl Queue {
    /// The state before a claim, if anybody wants it.
    pub(super) fn look(&mut self, now: Timestamp) -> Option<Snapshot> {
        self.try_to_look(now).unwrap_or_else(|error| {
            tracing::warn!("this claim is not looked at: {}", with_causes(&error));
            None
        })
    }

    fn try_to_look(&mut self, now: Timestamp) -> Result<Option<Snapshot>, Error> {
        // A shadow that cannot be read is no reason not to log.
        let is_due = self.shadow_is_due(now).unwrap_or_else(|error| {
            tracing::warn!("the shadow is not asked: {}", with_causes(&error));
            false
        });
        if !is_due && self.options.log.is_none() {
            return Ok(None);
        }
        // Every table: another policy may read others than the active one.
        Ok(Some(self.store.snapshot(&Table::ALL, None)?))
    }

    /// Logs what the policy says about the state before a claim, and compares the shadow with it.
    pub(super) fn write_down(
        &mut self,
        now: Timestamp,
        state: &Snapshot,
        claimed: Option<&Claimed>,
    ) {
        if let Err(error) = self.try_to_write_down(now, state, claimed) {
            tracing::warn!("this claim is not looked at: {}", with_causes(&error));
        }
    }

    fn try_to_write_down(
        &mut self,
        now: Timestamp,
        state: &Snapshot,
        claimed: Option<&Claimed>,
    ) -> Result<(), Error> {
        let decisions = self.decide_over(now, state)?;
        if self.shadow.looked == Some(now) {
            self.ask_shadow(now, state, &decisions)?;
        }
        self.log(now, state, &decisions, claimed)
    }
}
