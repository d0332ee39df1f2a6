//! The shadow: a generation that decides beside the active one.
//!
//! Owns when it is asked: about the state that a claim saw, at most once a second in a process.
//! Callers rely on this: nothing goes by its answers.

use std::time::Duration;

use jiff::Timestamp;

use super::generation::InUse;
use super::recent::is_recent;
use super::{Error, Queue, Rule, differing, with_causes};
use crate::clause::Clause;
use crate::model::{Decision, Dialect, Settings, Snapshot};
use crate::policy::{Policy, texts};
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
    /// Whether there is a shadow, and it is time to ask it.
    pub(super) fn shadow_is_due(&mut self, now: Timestamp) -> Result<bool, Error> {
        let Rule::Active(overrides) = &self.rule else {
            return Ok(false);
        };
        let looked = self.shadow.looked;
        if looked.is_some_and(|last| is_recent(last, now, BETWEEN_LOOKS)) {
            return Ok(false);
        }
        self.shadow.looked = Some(now);
        let Some(shadow) = self.store.generation_in(GenerationState::Shadow)? else {
            self.shadow.in_use = None;
            return Ok(false);
        };
        let known = self.shadow.in_use.as_ref();
        if known.and_then(|in_use| in_use.generation.as_ref()) != Some(&shadow) {
            self.shadow.in_use = Some(InUse::of(&shadow, overrides));
        }
        Ok(true)
    }

    /// The shadow's clause. One that the guard refuses would fail every claim, whatever `decide` says.
    pub(super) fn shadow_clause(&mut self, now: Timestamp) -> Result<Clause, Error> {
        let (policy, settings) = self.loaded_shadow()?;
        let clause = policy.claim_clause(settings, now, Dialect::Sqlite)?;
        Ok(Clause::accept(&clause.text)?)
    }

    /// Asks the shadow about a state, and adds up where it differs from the active generation.
    pub(super) fn ask_shadow(
        &mut self,
        now: Timestamp,
        clause: Result<Clause, Error>,
        state: &Snapshot,
        active: &[Decision],
    ) -> Result<(), Error> {
        let in_use = self.shadow.in_use.as_ref();
        let Some(generation) = in_use.and_then(|in_use| in_use.generation.clone()) else {
            return Ok(());
        };
        let answer = clause.and_then(|_| {
            let (policy, settings) = self.loaded_shadow()?;
            Ok(texts::fit_reasons(policy.decide(settings, now, state)?))
        });
        let act = Act {
            now,
            who: "",
            why: "",
        };
        match answer {
            Ok(decisions) => {
                let differing: Vec<_> = differing(active, &decisions).collect();
                let look = Look::Answered {
                    decisions: decisions.len(),
                    differing: &differing,
                };
                Ok(self.store.record_look(&generation, look, act)?)
            }
            Err(error) => {
                let failure = with_causes(&error);
                let look = Look::Failed(&failure);
                Ok(self.store.record_look(&generation, look, act)?)
            }
        }
    }
    fn loaded_shadow(&mut self) -> Result<(&Policy, &Settings), Error> {
        let shadow = self.shadow.in_use.as_mut().ok_or(Error::NoPolicy)?;
        shadow.loaded(&mut self.store, &self.options)
    }
}
