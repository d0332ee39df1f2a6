//! What claims use when the policy gives no clause that may run.
//!
//! Owns the directions of failure: the order of tasks fails open, so that a broken policy never
//! stops every repo; a freeze fails closed. A gate that is switched off needs no policy at all.
//! Leaves a policy that is not trusted to `trusted`. Callers rely on this: a question about other
//! settings counts no failure, and changes nothing that this process uses.

use jiff::Timestamp;

use super::clause::{CurrentClause, Source};
use super::generation::InUse;
use super::scope::scope_of;
use super::settings::stored;
use super::{Error, Gate, Purpose};
use crate::error::with_causes;
use crate::model::Settings;
use crate::store::Store;

/// After how long a policy that failed is asked again.
const RETRY_SECONDS: i64 = 1;

impl Gate {
    /// The clause under the settings in use, asked for now.
    pub(super) fn fresh_clause(
        &mut self,
        store: &mut Store,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<CurrentClause, Error> {
        loop {
            let settings = self.in_use.settings.clone();
            if purpose == Purpose::Claim
                && let Some(kept) = self.kept_clause(store, &settings, now)?
            {
                return Ok(kept);
            }
            let failure = match self.policy_clause(store, &settings, now) {
                Err(failure) if failure.calls_for_a_fallback() => failure,
                result => return result,
            };
            let failing = self.in_use.failing();
            let back = self.count_failure(store, purpose, failing, now, &failure);
            if back.is_some() {
                // Another generation is active now. The loop ends: the failed one stays refused.
                self.in_use = InUse::read(store, &self.rule)?;
                continue;
            }
            if failure.is_of_trust()
                && let Some(clause) = self.trusted_before(store, now, &failure)?
            {
                return Ok(clause);
            }
            return self.fall_back(store, &settings, now, &failure);
        }
    }

    /// The clause that claims would use under other settings.
    pub fn clause_under(
        &mut self,
        store: &mut Store,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<CurrentClause, Error> {
        match self.policy_clause(store, settings, now) {
            Err(failure) if failure.calls_for_a_fallback() => {
                self.fall_back(store, settings, now, &failure)
            }
            result => result,
        }
    }

    fn policy_clause(
        &mut self,
        store: &mut Store,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<CurrentClause, Error> {
        // A gate that is off needs no policy.
        if !settings.enabled {
            return CurrentClause::off(store, now);
        }
        let (policy, _) = self.loaded(store)?;
        CurrentClause::of_policy(policy, settings, store, now)
    }

    fn fall_back(
        &mut self,
        store: &mut Store,
        settings: &Settings,
        now: Timestamp,
        failure: &Error,
    ) -> Result<CurrentClause, Error> {
        let is_of_trust = failure.is_of_trust();
        let last_good = match is_of_trust {
            true => None,
            false => self.last_good(store, settings, now)?,
        };
        let mut clause = match last_good {
            Some(clause) => clause,
            None => freeze_only(store, settings, now)?,
        };
        clause.is_for_want_of_trust = is_of_trust;
        clause.valid_until = Some(now.as_second().saturating_add(RETRY_SECONDS));
        let instead = match clause.source {
            _ if is_of_trust => "frozen repos stay closed, and the order of tasks is not kept",
            Source::LastGood => "claims use its last good clause",
            _ => "the order of tasks is not kept until it does, frozen repos stay closed",
        };
        let reason = with_causes(failure);
        let note = format!("the policy gives no usable clause, {instead}: {reason}");
        tracing::warn!("{note}");
        clause.notes.push(note);
        Ok(clause)
    }

    /// A clause that was good once is checked again: the database is not trusted either.
    fn last_good(
        &mut self,
        store: &mut Store,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Option<CurrentClause>, Error> {
        let Some(text) = self.last_good_text(store, &stored(settings))? else {
            return Ok(None);
        };
        match CurrentClause::checked(text, Source::LastGood, store, now) {
            Ok(clause) => Ok(Some(clause)),
            Err(error) if error.is_of_the_database() => Err(error),
            Err(error) => {
                let error = with_causes(&error);
                tracing::warn!("its last good clause is no longer accepted: {error}");
                Ok(None)
            }
        }
    }
}

/// The built-in clause. A scope that is too long for a clause is left out: then more is held.
fn freeze_only(
    store: &mut Store,
    settings: &Settings,
    now: Timestamp,
) -> Result<CurrentClause, Error> {
    let scope = scope_of(settings);
    let names: Vec<&str> = scope.names().iter().map(String::as_str).collect();
    let scoped = freeze_only_text(settings, &names);
    match CurrentClause::checked(scoped, Source::FreezeOnly, store, now) {
        Err(error) if !error.is_of_the_database() => {
            let everywhere = freeze_only_text(settings, &[]);
            CurrentClause::checked(everywhere, Source::FreezeOnly, store, now)
        }
        result => result,
    }
}

/// Which agents are gated is the policy's business: if the settings have rules, all are held.
fn freeze_only_text(settings: &Settings, scope: &[&str]) -> String {
    if !settings.freeze_enabled {
        return String::new();
    }
    let gated = if settings.rules.is_none() {
        "jobs.agent = 'analyst' AND "
    } else {
        ""
    };
    // A repo's name has letters, digits, `.`, `_` and `-`: there is nothing to escape.
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
