//! The shadow: a generation that decides beside the active one.
//!
//! Owns when it is asked: about the state that a claim saw, after the claim, at most once a second in
//! a process. Callers rely on this: nothing goes by its answers, and nothing that it does fails a
//! claim.

use std::time::Duration;

use jiff::Timestamp;

use super::generation::InUse;
use super::settings::Overrides;
use super::{Error, Queue, Rule, differing, with_causes};
use crate::clause::{Clause, Table};
use crate::model::{Dialect, Snapshot};
use crate::store::{Act, GenerationState, Look};

/// The least time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// What this process knows of the shadow.
#[derive(Default)]
pub(super) struct Shadow {
    in_use: Option<InUse>,
    looked: Option<Timestamp>,
}

impl Queue {
    /// The state for the shadow, if there is one and it is time.
    pub(super) fn look(&mut self, now: Timestamp) -> Option<Snapshot> {
        let Rule::Active(overrides) = &self.rule else {
            return None;
        };
        let next = self
            .shadow
            .looked
            .map(|last| last.checked_add(BETWEEN_LOOKS).unwrap_or(Timestamp::MAX));
        if next.is_some_and(|next| now < next) {
            return None;
        }
        self.shadow.looked = Some(now);
        let overrides = overrides.clone();
        self.state_for_shadow(&overrides).unwrap_or_else(|error| {
            tracing::warn!("the shadow is not asked: {}", with_causes(&error));
            None
        })
    }

    fn state_for_shadow(&mut self, overrides: &Overrides) -> Result<Option<Snapshot>, Error> {
        let Some(shadow) = self.store.generation_in(GenerationState::Shadow)? else {
            self.shadow.in_use = None;
            return Ok(None);
        };
        if self.shadow.in_use.as_ref().and_then(|in_use| in_use.id) != Some(shadow.id) {
            self.shadow.in_use = Some(InUse::of(&shadow, overrides)?);
        }
        Ok(Some(self.store.snapshot(&Table::ALL, None)?))
    }

    /// Asks both about a state, and adds up where they differ.
    pub(super) fn compare_with_shadow(&mut self, now: Timestamp, state: &Snapshot) {
        if let Err(error) = self.try_to_compare(now, state) {
            tracing::warn!("the shadow is not asked: {}", with_causes(&error));
        }
    }

    fn try_to_compare(&mut self, now: Timestamp, state: &Snapshot) -> Result<(), Error> {
        let active = self.decide_over(now, state)?;
        let runtime = self.runtime()?.clone();
        let Some(mut shadow) = self.shadow.in_use.take() else {
            return Ok(());
        };
        let Some(generation) = shadow.id else {
            return Ok(());
        };
        let loaded = shadow.loaded(&mut self.store, &runtime);
        let answer = loaded.and_then(|(policy, settings)| {
            // A clause that the guard refuses would fail every claim, whatever `decide` says.
            let clause = policy.claim_clause(settings, now, Dialect::Sqlite)?;
            Clause::accept(&clause.text)?;
            Ok(policy.decide(settings, now, state)?)
        });
        let act = Act {
            now,
            who: "",
            why: "",
        };
        let recorded = match answer {
            Ok(decisions) => {
                let differing: Vec<_> = differing(&active, &decisions).collect();
                let look = Look::Answered {
                    decisions: decisions.len(),
                    differing: &differing,
                };
                self.store.record_look(generation, look, act)
            }
            Err(error) => {
                let failure = with_causes(&error);
                let look = Look::Failed(&failure);
                self.store.record_look(generation, look, act)
            }
        };
        self.shadow.in_use = Some(shadow);
        Ok(recorded?)
    }
}
