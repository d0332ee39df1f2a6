//! The clause that is kept of a policy, instead of the policy.
//!
//! A policy is a pure function, so its last answer for the same settings is its answer now, until it
//! says that it may be another. A command that claims once need not load the policy for it: one in
//! Python is 18 MB. Owns when that is so. Callers rely on this: the kept text goes through the guard
//! like any other, and with a trust list it is not used, because nobody has signed a row of the
//! database.

use jiff::Timestamp;

use super::clause::{CurrentClause, Source};
use super::settings::stored;
use super::{Error, Gate, Rule};
use crate::error::with_causes;
use crate::model::Settings;
use crate::store::{KeptClause, Store};

impl Gate {
    /// The clause that is kept of the policy in use, if this process may do without the policy.
    pub(super) fn kept_clause(
        &self,
        store: &mut Store,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Option<CurrentClause>, Error> {
        let is_allowed = self.loader.may_use_kept_clause && self.loader.trust.is_none();
        let is_stored = matches!(self.rule, Rule::Active(_)) && self.in_use.policy.is_none();
        if !is_allowed || !is_stored || !settings.enabled {
            return Ok(None);
        }
        let kept = store.last_good_clause(&self.in_use.digest, &stored(settings))?;
        let Some(kept) = kept.filter(|kept| kept.holds_at(now.as_second())) else {
            return Ok(None);
        };
        match CurrentClause::checked(kept.text, Source::Policy, store, now) {
            Ok(mut clause) => {
                clause.valid_until = kept.valid_until;
                Ok(Some(clause))
            }
            Err(error) if error.is_of_the_database() => Err(error),
            Err(error) => {
                let error = with_causes(&error);
                tracing::warn!("the kept clause is not accepted, the policy is asked: {error}");
                Ok(None)
            }
        }
    }
}

impl CurrentClause {
    /// What is kept of it. An operator should see each note of the policy at each claim, so a policy
    /// that has some is asked again.
    pub(super) fn kept(&self) -> KeptClause {
        let since = Some(self.since.as_second());
        KeptClause {
            text: self.text.clone(),
            valid_from: since.filter(|_| !self.has_notes_of_the_policy),
            valid_until: self.valid_until,
        }
    }
}
