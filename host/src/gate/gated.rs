//! The agents that the policy gates: their jobs are in the waiting lines.
//!
//! Owns the search for them. They are read out of the clause that the policy gives for a gate that
//! is switched on, even while it is off, so that the lines do not change with the switches, as in
//! the reference. Leaves the rows to `store`, and the clause of the claims to `fallback`. Callers
//! rely on this: there is always an answer, so a policy that fails hides no waiting line. The
//! answer is then the last known one, else that of the last good clause, else the default rule's.

use jiff::Timestamp;
use serial_gate_default_policy::serial::Serial;

use super::settings::stored;
use super::{Error, Gate, Purpose, dialect_of};
use crate::clause::{Agents, Clause};
use crate::model::Settings;
use crate::store::Store;

/// After how long a policy that had no answer is asked again.
const RETRY_SECONDS: i64 = 1;

/// What was found last.
pub(super) struct GatedAgents {
    agents: Agents,
    digest: String,
    settings: Settings,
    since: Timestamp,
    until: Option<i64>,
}

impl GatedAgents {
    fn hold(&self, digest: &str, settings: &Settings, now: Timestamp) -> bool {
        let is_in_time = |until| self.since <= now && now.as_second() < until;
        self.digest == digest && self.settings == *settings && self.until.is_none_or(is_in_time)
    }
}

/// The agents that the default rule gates, as in the reference.
pub(crate) fn of_the_default_rule() -> Agents {
    let named = Serial::default().gated_agents;
    Agents::Only(named.into_iter().map(Some).collect())
}

impl Gate {
    /// The agents whose jobs the policy may hold while the gate is on.
    pub fn gated_agents(&mut self, store: &mut Store, now: Timestamp) -> Agents {
        self.reload(store, Purpose::Look, now);
        let settings = Settings {
            enabled: true,
            freeze_enabled: true,
            ..self.in_use.settings.clone()
        };
        let digest = self.in_use.digest.clone();
        let known = match self.gated_agents.take() {
            Some(known) if known.hold(&digest, &settings, now) => known,
            known => {
                let asked = self.ask_for_agents(store, &settings, now);
                let (agents, until) = asked.unwrap_or_else(|error| {
                    tracing::debug!("the policy does not say whom it gates: {error}");
                    let known = known.filter(|known| known.digest == digest);
                    let agents = known.map(|known| known.agents);
                    let agents =
                        agents.unwrap_or_else(|| self.agents_of_last_good_clause(store, &settings));
                    (agents, Some(now.as_second().saturating_add(RETRY_SECONDS)))
                });
                GatedAgents {
                    agents,
                    digest,
                    settings,
                    since: now,
                    until,
                }
            }
        };
        self.gated_agents.insert(known).agents.clone()
    }

    /// Asks the policy, and once more without its scope: a clause for many repos may be too long,
    /// and gates the same agents.
    fn ask_for_agents(
        &mut self,
        store: &mut Store,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(Agents, Option<i64>), Error> {
        let dialect = dialect_of(store.dialect());
        let (policy, _) = self.loaded(store)?;
        let ask = |settings: &Settings| -> Result<_, Error> {
            let answer = policy.claim_clause(settings, now, dialect)?;
            let clause = Clause::accept(&answer.text)?;
            Ok((clause.gated(), answer.valid_until))
        };
        ask(settings).or_else(|_| {
            ask(&Settings {
                repos: String::new(),
                ..settings.clone()
            })
        })
    }

    /// The last good clause of the settings in use, or of these, which differ in the switches only.
    fn agents_of_last_good_clause(&self, store: &mut Store, settings: &Settings) -> Agents {
        for settings in [stored(&self.in_use.settings), stored(settings)] {
            let text = self.last_good_text(store, &settings).ok().flatten();
            let clause = text.and_then(|text| Clause::accept(&text).ok());
            // A gate that is switched off has an empty clause, which says nothing.
            if let Some(clause) = clause.filter(|clause| !clause.is_empty()) {
                return clause.gated();
            }
        }
        of_the_default_rule()
    }
}
