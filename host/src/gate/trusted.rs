//! What claims use where the active generation is not trusted here.
//!
//! Owns the choice: the newest earlier active generation whose component is signed by a key that is
//! trusted now. Its policy is asked, with its own settings. Without such a generation, only freezes
//! hold; `fallback` has that clause. Leaves the signatures to `policy`. Callers rely on this: with
//! a trust list, no answer of an unchecked component is used, and no clause that was kept of it.
//! The active generation stays active for hosts that trust it; `reload` notices the next one.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::clause::CurrentClause;
use super::generation::{InUse, component};
use super::{Error, Gate, Rule};
use crate::error::with_causes;
use crate::store::{Generation, GenerationState, Store};

impl Gate {
    /// Changes to the newest generation that was active before and is trusted, and returns its
    /// clause; none if there is no such generation.
    pub(super) fn trusted_before(
        &mut self,
        store: &mut Store,
        now: Timestamp,
        failure: &Error,
    ) -> Result<Option<CurrentClause>, Error> {
        let (Rule::Active(overrides), Some(active)) = (&self.rule, self.in_use.generation.clone())
        else {
            return Ok(None);
        };
        let overrides = overrides.clone();
        for earlier in active_before(store, &active)? {
            if !self.is_signed(store, &earlier.digest, earlier.signature.as_deref())? {
                continue;
            }
            let in_use = InUse::of(&earlier, &overrides);
            match self.loader.prepare(store, in_use, now) {
                Ok(ready) => {
                    tracing::warn!(
                        "generation {} is not trusted here, claims use generation {}: {}",
                        active.id,
                        earlier.id,
                        with_causes(failure)
                    );
                    self.in_use = ready.in_use;
                    self.note_distrust(active, now);
                    return Ok(Some(ready.clause));
                }
                Err(error) if error.is_of_the_database() => return Err(error),
                Err(error) => tracing::warn!(
                    "generation {} is trusted and cannot be used: {}",
                    earlier.id,
                    with_causes(&error)
                ),
            }
        }
        Ok(None)
    }

    /// The clause that is kept of the policy in use, under these settings, if the policy is trusted
    /// now.
    pub(super) fn last_good_text(
        &self,
        store: &mut Store,
        settings: &str,
    ) -> Result<Option<String>, Error> {
        let digest = &self.in_use.digest;
        // A policy that the caller gives is checked by the caller.
        if let Some(generation) = &self.in_use.generation
            && !self.is_signed(store, digest, generation.signature.as_deref())?
        {
            return Ok(None);
        }
        let kept = store.last_good_clause(digest, settings)?;
        Ok(kept.map(|kept| kept.text))
    }

    /// Whether a component is unaltered, and signed by a trusted key. Without a trust list, every
    /// one counts as signed.
    fn is_signed(
        &self,
        store: &mut Store,
        digest: &str,
        signature: Option<&str>,
    ) -> Result<bool, Error> {
        let Some(trust) = &self.loader.trust else {
            return Ok(true);
        };
        match component(store, digest) {
            Ok(bytes) => Ok(trust.check(&bytes, signature).is_ok()),
            Err(error) if error.is_of_the_database() => Err(error),
            Err(_) => Ok(false),
        }
    }
}

/// The other generations that were active, each once, the latest first.
fn active_before(store: &mut Store, active: &Generation) -> Result<Vec<Generation>, Error> {
    let events = store.generation_events(None)?;
    let mut seen = BTreeSet::from([active.id]);
    let mut before = Vec::new();
    for event in events {
        if event.state == GenerationState::Active && seen.insert(event.generation) {
            before.push(store.generation(event.generation)?);
        }
    }
    Ok(before)
}
