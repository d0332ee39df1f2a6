//! The clause that other processes claim by, where this one was told other settings than its generation has.
//!
//! Owns the change of settings for one question. Leaves the clause itself to `fallback`. Callers rely on this: nothing that is
//! asked here changes what this process claims by, and no failure is counted.

use std::mem;
use std::sync::Arc;

use jiff::Timestamp;

use super::{CurrentClause, Error, Queue, default_settings, settings_of, with_causes};
use crate::model::Settings;

/// The rule of other processes, as it was asked for last.
pub(super) struct StoredRule {
    generation: Option<i64>,
    settings: Settings,
    clause: Arc<CurrentClause>,
}

impl Queue {
    /// The stored settings, where this process uses others.
    pub fn stored_settings(&self) -> Option<Settings> {
        let generation = self.in_use.generation.as_ref()?;
        self.in_use.is_overridden.then(|| {
            settings_of(generation).unwrap_or_else(|error| {
                tracing::warn!("{}", with_causes(&error));
                default_settings()
            })
        })
    }

    /// The stored settings and their clause, where this process uses others.
    pub(super) fn stored_rule(
        &mut self,
        now: Timestamp,
    ) -> Result<Option<(Settings, Arc<CurrentClause>)>, Error> {
        self.follow(now);
        let Some(settings) = self.stored_settings() else {
            return Ok(None);
        };
        let generation = self.in_use.id();
        let known = self.stored_rule.take_if(|known| {
            known.generation == generation
                && known.settings == settings
                && known.clause.holds_at(now)
        });
        let known = match known {
            Some(known) => known,
            None => StoredRule {
                generation,
                clause: Arc::new(self.clause_under(now, settings.clone())?),
                settings: settings.clone(),
            },
        };
        let clause = Arc::clone(&self.stored_rule.insert(known).clause);
        Ok(Some((settings, clause)))
    }

    /// The clause that claims would go by under other settings.
    pub(super) fn clause_under(
        &mut self,
        now: Timestamp,
        settings: Settings,
    ) -> Result<CurrentClause, Error> {
        let own = mem::replace(&mut self.in_use.settings, settings);
        let is_overridden = mem::replace(&mut self.in_use.is_overridden, true);
        let asks_for_others = mem::replace(&mut self.asks_for_others, true);
        let clause = self.fresh_clause(now);
        self.asks_for_others = asks_for_others;
        self.in_use.settings = own;
        self.in_use.is_overridden = is_overridden;
        clause
    }
}
