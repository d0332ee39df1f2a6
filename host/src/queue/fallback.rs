//! What claims go by when the policy gives no clause that may run (design, section 5).
//!
//! Owns the directions of failure: the order of tasks fails open, so that a broken policy never
//! stops every repo; a freeze fails closed. A kill switch that is off needs no policy at all. Leaves a policy that is not
//! trusted to `trusted`.

use jiff::Timestamp;

use super::generation::InUse;
use super::{CurrentClause, Error, Queue, stored, with_causes};
use crate::model::Settings;

/// After how long a policy that failed is asked again.
const RETRY_SECONDS: i64 = 1;

/// Where the current clause comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The kill switch is off: there is no clause.
    Off,
    /// The policy, just now.
    Policy,
    /// The policy, the last time that it gave a good one for these settings.
    LastGood,
    /// Built in: holds gated jobs of frozen repos and nothing else.
    FreezeOnly,
}

impl Queue {
    pub(super) fn fresh_clause(&mut self, now: Timestamp) -> Result<CurrentClause, Error> {
        if !self.in_use.settings.enabled {
            return CurrentClause::off(&mut self.store, now);
        }
        let failure = match self.policy_clause(now) {
            Err(failure) if !failure.is_of_the_database() && !failure.is_a_stop() => failure,
            result => return result,
        };
        let failing = self.in_use.failing();
        if self.count_failure(failing, now, &failure).is_some() {
            // Another generation is active now. It cannot go on for ever: this one is refused.
            self.in_use = InUse::read(&mut self.store, &self.rule)?;
            return self.fresh_clause(now);
        }
        let reason = with_causes(&failure);
        let is_of_trust = failure.is_of_trust();
        if is_of_trust
            && !self.asks_for_others
            && let Some(clause) = self.trusted_before(now, &failure)?
        {
            return Ok(clause);
        }
        let kept = match is_of_trust {
            true => None,
            false => self.last_good(now)?,
        };
        let mut clause = match kept {
            Some(clause) => clause,
            None => self.freeze_only(now)?,
        };
        clause.is_for_want_of_trust = is_of_trust;
        clause.valid_until = Some(now.as_second().saturating_add(RETRY_SECONDS));
        let instead = match clause.source {
            _ if is_of_trust => "frozen repos stay closed, and the order of tasks is not kept",
            Source::LastGood => "claims go by its last good clause",
            _ => "the order of tasks is not kept until it does, frozen repos stay closed",
        };
        tracing::warn!("the policy gives no usable clause, {instead}: {reason}");
        clause.notes.push(format!(
            "the policy gives no usable clause, {instead}: {reason}"
        ));
        Ok(clause)
    }

    fn policy_clause(&mut self, now: Timestamp) -> Result<CurrentClause, Error> {
        let (policy, settings, store) = self.loaded()?;
        CurrentClause::of_policy(policy, settings, store, now)
    }

    /// The built-in clause. A scope that is too long for a clause is left out: then more is held.
    fn freeze_only(&mut self, now: Timestamp) -> Result<CurrentClause, Error> {
        let scope = super::scope_of(&self.in_use.settings);
        let names: Vec<&str> = scope.names().iter().map(String::as_str).collect();
        let scoped = freeze_only(&self.in_use.settings, &names);
        let everywhere = freeze_only(&self.in_use.settings, &[]);
        let store = &mut self.store;
        match CurrentClause::checked(scoped, Source::FreezeOnly, store, now) {
            Err(error) if !error.is_of_the_database() => {
                CurrentClause::checked(everywhere, Source::FreezeOnly, store, now)
            }
            result => result,
        }
    }

    /// A clause that was good once is checked again: the database is not trusted either.
    fn last_good(&mut self, now: Timestamp) -> Result<Option<CurrentClause>, Error> {
        let settings = stored(&self.in_use.settings);
        let Some(text) = self.kept_clause(&settings)? else {
            return Ok(None);
        };
        match CurrentClause::checked(text, Source::LastGood, &mut self.store, now) {
            Ok(clause) => Ok(Some(clause)),
            Err(error) if error.is_of_the_database() => Err(error),
            Err(error) => {
                tracing::warn!(
                    "its last good clause is no longer accepted: {}",
                    with_causes(&error)
                );
                Ok(None)
            }
        }
    }
}

/// Which agents are gated is the policy's business: if it has rules of its own, all are held.
fn freeze_only(settings: &Settings, scope: &[&str]) -> String {
    if !settings.freeze_enabled {
        return String::new();
    }
    let gated = if settings.rules.is_none() {
        "jobs.agent = 'analyst' AND "
    } else {
        ""
    };
    // A repo name is letters, digits, `.`, `_` and `-`: nothing that a string would have to escape.
    let names: Vec<String> = scope.iter().map(|name| format!("'{name}'")).collect();
    let in_scope = if names.is_empty() {
        String::new()
    } else {
        format!("jobs.repo IN ({}) AND ", names.join(", "))
    };
    format!(
        "AND NOT ({gated}{in_scope}EXISTS (SELECT 1 FROM repo_freeze f \
         WHERE f.repo = jobs.repo AND f.cleared_at IS NULL))"
    )
}
