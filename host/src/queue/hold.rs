//! The settings under which a freeze would hold.
//!
//! Owns which of the stored settings have to change. They are tried before they are proposed, with
//! the clause that the policy gives for them, and once more with this process's own overrides.
//! Leaves the command to the command line. Where the policy's rule lets tasks start in a frozen
//! repo, there are no such settings.

use jiff::Timestamp;
use serde_json::Value;

use super::{Error, Queue};
use crate::gate::{Overrides, Rule, Source, can_be_in_scope, scope_of, settings_of};

impl Queue {
    /// What to store instead of the stored settings so that a freeze of the repo holds; none if no
    /// settings do that.
    pub fn settings_to_hold(
        &mut self,
        now: Timestamp,
        repo: &str,
    ) -> Result<Option<Overrides>, Error> {
        let Some(generation) = self.gate.generation() else {
            return Ok(None);
        };
        let stored = settings_of(generation)?;
        let scope = scope_of(&stored);
        let mut wanted = Overrides {
            enabled: (!stored.enabled).then_some(true),
            freeze_enabled: (!stored.freeze_enabled).then_some(true),
            ..Overrides::default()
        };
        if !scope.is_named(repo) {
            if !can_be_in_scope(repo) {
                return Ok(None);
            }
            // Names that the scope drops would be refused.
            let names: Vec<&str> = scope.names().iter().map(String::as_str).collect();
            wanted.repos = Some(format!("{},{repo}", names.join(",")));
        }
        if !scope.is_in_the_rules(repo) {
            wanted.rules = stored.rules.as_deref().and_then(|rules| with(rules, repo));
        }
        if wanted == Overrides::default() {
            return Ok(None);
        }
        let settings = wanted.over(stored);
        let overridden = match self.gate.rule() {
            Rule::Active(overrides) => overrides.over(settings.clone()),
            Rule::Given { .. } => return Ok(None),
        };
        for settings in [settings, overridden] {
            let clause = self.gate.clause_under(&mut self.store, &settings, now)?;
            let holds = self.effect_of(&clause, &settings, repo)?.holds;
            if !holds || clause.source != Source::Policy {
                return Ok(None);
            }
        }
        Ok(Some(wanted))
    }
}

/// The rules with one more repo in their list.
fn with(rules: &str, repo: &str) -> Option<String> {
    let mut rules: Value = serde_json::from_str(rules).ok()?;
    let repos = rules.get_mut("repos")?.as_array_mut()?;
    repos.push(repo.into());
    Some(rules.to_string())
}
