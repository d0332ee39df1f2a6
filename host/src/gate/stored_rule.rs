//! The clause that other processes use, where this one overrides its generation's settings.
//!
//! Owns the last answer, which is kept while it holds. Leaves the clause itself to `fallback`,
//! which changes nothing here and counts no failure.

use std::sync::Arc;

use jiff::Timestamp;

use super::clause::CurrentClause;
use super::generation::settings_or_default;
use super::{Error, Gate, Purpose};
use crate::model::Settings;
use crate::store::Store;

/// The rule of other processes, as it was last read.
pub(super) struct StoredRule {
    generation: Option<i64>,
    settings: Settings,
    clause: Arc<CurrentClause>,
}

impl Gate {
    /// The stored settings, where this process uses others.
    pub fn stored_settings(&self) -> Option<Settings> {
        let generation = self.in_use.generation.as_ref()?;
        self.in_use
            .is_overridden
            .then(|| settings_or_default(generation))
    }

    /// The stored settings and their clause, where this process uses others.
    pub fn stored_rule(
        &mut self,
        store: &mut Store,
        now: Timestamp,
    ) -> Result<Option<(Settings, Arc<CurrentClause>)>, Error> {
        self.reload(store, Purpose::Look, now);
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
                clause: Arc::new(self.clause_under(store, &settings, now)?),
                settings: settings.clone(),
            },
        };
        let clause = Arc::clone(&self.stored_rule.insert(known).clause);
        Ok(Some((settings, clause)))
    }
}
