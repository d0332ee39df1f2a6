//! The state before a claim, for the decision log and for the shadow.
//!
//! Owns which rows are read for them. Leaves the line to `log`, and the other policy to `shadow`.
//! Callers rely on this: both see the state that the claim saw, nothing here fails a claim, and
//! without a log or a shadow a claim pays nothing.

use jiff::Timestamp;

use super::Observer;
use crate::clause::{Clause, Footprint};
use crate::error::with_causes;
use crate::gate::{self, CurrentClause, Gate};
use crate::model::Snapshot;
use crate::store::{Claimed, Store};

/// The state before a claim.
pub(crate) struct StateBefore {
    state: Snapshot,
    /// The shadow's clause, or why it has none, if it is time to ask it.
    shadow: Option<Result<Clause, gate::Error>>,
}

impl Observer {
    /// The state before a claim, if the log or the shadow needs it.
    pub(crate) fn look(
        &mut self,
        gate: &mut Gate,
        store: &mut Store,
        now: Timestamp,
        clause: &CurrentClause,
    ) -> Option<StateBefore> {
        // A shadow that cannot be read is no reason not to log.
        let due = self.shadow.is_due(gate, store, now);
        let is_due = due.unwrap_or_else(|error| {
            tracing::warn!("the shadow is not asked: {}", with_causes(&error));
            false
        });
        if !is_due && self.log.is_none() {
            return None;
        }
        let shadow = is_due.then(|| self.shadow.clause(gate, store, now));
        // A logged state may be replayed under any policy.
        let is_kept = self.log.as_ref().is_some_and(|log| log.options.snapshots);
        let mut footprint = if is_kept {
            Footprint::of_every_clause()
        } else {
            clause.footprint()
        };
        if let Some(Ok(shadow)) = &shadow {
            footprint.extend(shadow.footprint());
        }
        match store.snapshot(&footprint, None) {
            Ok(state) => Some(StateBefore { state, shadow }),
            Err(error) => {
                self.leave_out(&error);
                None
            }
        }
    }

    /// Logs what the policy says about the state before a claim, and compares the shadow with it.
    pub(crate) fn write_down(
        &mut self,
        gate: &mut Gate,
        store: &mut Store,
        now: Timestamp,
        seen: StateBefore,
        claimed: Option<&Claimed>,
    ) {
        let StateBefore { state, shadow } = seen;
        let decisions = match gate.decide_over(store, now, &state) {
            Ok(decisions) => decisions,
            Err(error) => return self.leave_out(&error),
        };
        if let Some(clause) = shadow
            && let Err(error) = self
                .shadow
                .ask(gate, store, now, clause, &state, &decisions)
        {
            tracing::warn!("the shadow's answer is not kept: {}", with_causes(&error));
        }
        if let Some(log) = &mut self.log
            && let Err(error) = log.add(gate, now, &state, &decisions, claimed)
        {
            self.leave_out(&error);
        }
    }

    /// Counts and says that a claim was not looked at: its line of the log is dropped.
    fn leave_out(&mut self, error: &dyn std::error::Error) {
        self.left_out = self.left_out.saturating_add(1);
        tracing::warn!(
            "this claim is not looked at ({} so far): {}",
            self.left_out,
            with_causes(error)
        );
    }
}
