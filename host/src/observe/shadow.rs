//! The shadow: a generation that decides with the active one.
//!
//! Owns when it is asked: about the state that a claim saw, at most once a second in a process.
//! Leaves loading a policy to `gate`, and the counts to the store. Callers rely on this: no claim
//! uses its answers.

use std::time::Duration;

use jiff::Timestamp;

use crate::clause::Clause;
use crate::error::with_causes;
use crate::gate::{self, Gate, InUse, Rule, dialect_of};
use crate::model::{Decision, Settings, Snapshot, differing};
use crate::policy::{Policy, texts};
use crate::recent::is_recent;
use crate::store::{Actor, GenerationState, Look, Store};

/// The least time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// What this process knows of the shadow.
#[derive(Default)]
pub(super) struct Shadow {
    in_use: Option<InUse>,
    looked: Option<Timestamp>,
}

impl Shadow {
    /// Whether there is a shadow, and it is time to ask it.
    pub fn is_due(
        &mut self,
        gate: &Gate,
        store: &mut Store,
        now: Timestamp,
    ) -> Result<bool, gate::Error> {
        let Rule::Active(overrides) = gate.rule() else {
            return Ok(false);
        };
        if self
            .looked
            .is_some_and(|last| is_recent(last, now, BETWEEN_LOOKS))
        {
            return Ok(false);
        }
        self.looked = Some(now);
        let Some(shadow) = store.generation_in(GenerationState::Shadow)? else {
            self.in_use = None;
            return Ok(false);
        };
        let known = self.in_use.as_ref();
        if known.and_then(|in_use| in_use.generation.as_ref()) != Some(&shadow) {
            self.in_use = Some(InUse::of(&shadow, overrides));
        }
        Ok(true)
    }

    /// The shadow's clause. If the guard refused it, it would fail every claim, whatever `decide`
    /// says.
    pub fn clause(
        &mut self,
        gate: &mut Gate,
        store: &mut Store,
        now: Timestamp,
    ) -> Result<Clause, gate::Error> {
        let dialect = dialect_of(store.dialect());
        let (policy, settings) = self.loaded(gate, store)?;
        let clause = policy.claim_clause(settings, now, dialect)?;
        Ok(Clause::accept(&clause.text)?)
    }

    /// Asks the shadow about a state, and adds up where it differs from the active generation.
    pub fn ask(
        &mut self,
        gate: &mut Gate,
        store: &mut Store,
        now: Timestamp,
        clause: Result<Clause, gate::Error>,
        state: &Snapshot,
        active: &[Decision],
    ) -> Result<(), gate::Error> {
        let in_use = self.in_use.as_ref();
        let Some(generation) = in_use.and_then(|in_use| in_use.generation.clone()) else {
            return Ok(());
        };
        let answer = clause.and_then(|_| {
            let (policy, settings) = self.loaded(gate, store)?;
            Ok(texts::fit_reasons(policy.decide(settings, now, state)?))
        });
        let actor = Actor {
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
                Ok(store.record_look(&generation, look, actor)?)
            }
            Err(error) => {
                let failure = with_causes(&error);
                Ok(store.record_look(&generation, Look::Failed(&failure), actor)?)
            }
        }
    }

    fn loaded(
        &mut self,
        gate: &mut Gate,
        store: &mut Store,
    ) -> Result<(&Policy, &Settings), gate::Error> {
        let shadow = self.in_use.as_mut().ok_or(gate::Error::NoPolicy)?;
        shadow.loaded(store, gate.loader())
    }
}
