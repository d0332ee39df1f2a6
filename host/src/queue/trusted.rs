//! What claims use where the active generation is not trusted here.
//!
//! Owns the way to it: the newest generation that was active before and whose component is signed by a key that is trusted
//! now. Its policy is asked, with its own settings. Without one only freezes hold: `fallback` has that clause. Leaves the
//! signatures to `policy`. Callers rely on this: with a trust list, nothing that a component said before it was checked, and
//! no clause that is kept of one, is used. What is active stays so for those who trust it; `follow` sees when another is.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::generation::{InUse, component, prepare};
use super::{CurrentClause, Error, Queue, Rule, with_causes};
use crate::policy;
use crate::store::{Generation, GenerationState};

impl Error {
    /// Whether nobody who is trusted vouches for the policy.
    pub(super) fn is_of_trust(&self) -> bool {
        matches!(self, Error::Policy(policy::Error::Distrusted(_)))
    }
}

impl Queue {
    /// Goes over to the newest generation that was active before and is trusted, and returns its clause; none if there is
    /// none. Who asks about other settings goes over to nothing.
    pub(super) fn trusted_before(
        &mut self,
        now: Timestamp,
        failure: &Error,
    ) -> Result<Option<CurrentClause>, Error> {
        let (Rule::Active(overrides), Some(active)) = (&self.rule, self.in_use.generation.clone())
        else {
            return Ok(None);
        };
        let overrides = overrides.clone();
        for earlier in self.active_before(&active)? {
            if !self.is_trusted(&earlier)? {
                continue;
            }
            let in_use = InUse::of(&earlier, &overrides);
            match prepare(in_use, &mut self.store, &self.options, now) {
                Ok(ready) => {
                    tracing::warn!(
                        "generation {} is not trusted here, claims use generation {}: {}",
                        active.id,
                        earlier.id,
                        with_causes(failure)
                    );
                    self.in_use = ready.in_use;
                    self.following.is_not_trusted(active, now);
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

    /// The other generations that were active, each once, the one that was active last first.
    fn active_before(&mut self, active: &Generation) -> Result<Vec<Generation>, Error> {
        let events = self.store.generation_events(None)?;
        let mut seen = BTreeSet::from([active.id]);
        let mut before = Vec::new();
        for event in events {
            if event.state == GenerationState::Active && seen.insert(event.generation) {
                before.push(self.store.generation(event.generation)?);
            }
        }
        Ok(before)
    }

    /// Whether a generation's component is kept as it was, and somebody who is trusted vouches for it.
    fn is_trusted(&mut self, generation: &Generation) -> Result<bool, Error> {
        let signature = generation.signature.as_deref();
        self.vouched(&generation.digest, signature)
    }

    /// The clause that is kept of the policy in use, under these settings, if the policy is trusted now.
    pub(super) fn kept_clause(&mut self, settings: &str) -> Result<Option<String>, Error> {
        let digest = self.in_use.digest.clone();
        let generation = self.in_use.generation.as_ref();
        // A policy that the caller gave was checked by the caller.
        if let Some(signature) = generation.map(|generation| generation.signature.clone())
            && !self.vouched(&digest, signature.as_deref())?
        {
            return Ok(None);
        }
        Ok(self.store.last_good_clause(&digest, settings)?)
    }

    fn vouched(&mut self, digest: &str, signature: Option<&str>) -> Result<bool, Error> {
        let Some(trust) = &self.options.trust else {
            return Ok(true);
        };
        match component(&mut self.store, digest) {
            Ok(bytes) => Ok(trust.check(&bytes, signature).is_ok()),
            Err(error) if error.is_of_the_database() => Err(error),
            Err(_) => Ok(false),
        }
    }
}
