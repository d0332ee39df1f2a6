//! Where the gate really acts, and the notes about its switches.
//!
//! Owns the answer for people. It is about claims: the exact name counts, and the clause in force,
//! which may be a fallback or come from a policy that reads no scope. Leaves the reference's
//! helper, which reads names as people type them, to `scope`. Callers rely on this: where this
//! process overrides the stored settings, both rules are asked, and the answer names the
//! difference.

use std::sync::Arc;

use jiff::Timestamp;
use serial_gate_default_policy::scope::Scope;

use super::freeze_effect::gated_agents;
use super::{Error, Queue};
use crate::gate::{CurrentClause, Source, scope_of};
use crate::model::Settings;
use crate::store::{Probe, Supposed};

/// Whether the gate acts in a repo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acting {
    /// It does.
    Acts,
    /// By this process's own settings it does, and by the stored ones it does not.
    ActsHereOnly,
    /// It does not.
    Idle,
    /// By this process's own settings it does not, and by the stored ones it does.
    IdleHereOnly,
}

impl Acting {
    /// Whether it acts by the settings of this process.
    pub fn here(self) -> bool {
        matches!(self, Acting::Acts | Acting::ActsHereOnly)
    }

    /// The note about it; none where the gate acts for every process.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Acting::Acts => None,
            Acting::ActsHereOnly => Some(
                "the gate acts here by this process's own settings only: by the stored ones, every \
                 queued job may be claimed",
            ),
            Acting::Idle => Some("the gate does not act here: every queued job may be claimed"),
            Acting::IdleHereOnly => Some(
                "by this process's own settings, the gate does not act here: with these, every \
                 queued job may be claimed",
            ),
        }
    }
}

/// The rules that claims use, to be asked about many repos.
pub(super) struct Rules {
    own: InForce,
    stored: Option<InForce>,
}

struct InForce {
    scope: Scope,
    source: Source,
    agents: Vec<String>,
    probe: Probe,
}

impl Rules {
    pub fn acting(&self, repo: &str) -> Result<Acting, Error> {
        let own = self.own.acts(repo)?;
        let stored = match &self.stored {
            Some(stored) => stored.acts(repo)?,
            None => own,
        };
        Ok(match (own, stored) {
            (true, true) => Acting::Acts,
            (true, false) => Acting::ActsHereOnly,
            (false, false) => Acting::Idle,
            (false, true) => Acting::IdleHereOnly,
        })
    }
}

impl InForce {
    fn of(clause: &CurrentClause, settings: &Settings) -> Result<InForce, Error> {
        Ok(InForce {
            scope: scope_of(settings),
            source: clause.source,
            agents: gated_agents(clause),
            probe: Probe::of(&clause.rendered)?,
        })
    }

    fn acts(&self, repo: &str) -> Result<bool, Error> {
        match self.source {
            Source::Off => return Ok(false),
            Source::Policy | Source::LastGood if self.scope.contains(repo) => return Ok(true),
            _ => {}
        }
        // A fallback reads no rules, and another author's policy may not read the scope.
        for (frozen, earlier) in [(true, None), (false, Some("analysis"))] {
            for agent in &self.agents {
                let supposed = Supposed {
                    repo,
                    agent,
                    label: None,
                    frozen,
                    earlier,
                };
                if !self.probe.lets_through(supposed)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Queue {
    /// Whether the gate acts in a repo, by its exact name.
    pub fn acting(&mut self, now: Timestamp, repo: &str) -> Result<Acting, Error> {
        self.acting_rules(now)?.acting(repo)
    }

    pub(super) fn acting_rules(&mut self, now: Timestamp) -> Result<Rules, Error> {
        let clause: Arc<CurrentClause> = self.clause(now)?;
        let own = InForce::of(&clause, self.settings())?;
        let stored = self.gate.stored_rule(&mut self.store, now)?;
        let stored = stored.map(|(settings, clause)| InForce::of(&clause, &settings));
        Ok(Rules {
            own,
            stored: stored.transpose()?,
        })
    }

    /// Notes about a gate or freezes that are switched off: for every process, by this process's own
    /// settings, or by the stored ones.
    pub fn switches(&self) -> Vec<&'static str> {
        let own = self.settings();
        let stored = self.stored_settings();
        let stored = stored.as_ref().unwrap_or(own);
        let mut notes = Vec::new();
        match (own.enabled, stored.enabled) {
            (true, true) => {}
            (false, false) => notes.push("the gate is off: every queued job may be claimed"),
            (false, true) => notes.push(
                "the gate is off by this process's own settings: with these, every queued job may \
                 be claimed",
            ),
            (true, false) => notes.push(
                "the gate is on by this process's own settings only: by the stored ones it is off, \
                 and every queued job may be claimed",
            ),
        }
        if !own.enabled {
            return notes;
        }
        match (own.freeze_enabled, stored.freeze_enabled) {
            (true, true) => {}
            (false, false) => notes.push("freezes are switched off: no freeze holds a job"),
            (false, true) => notes.push(
                "freezes are switched off by this process's own settings: with these, no freeze \
                 holds a job",
            ),
            (true, false) => notes.push(
                "freezes are switched on by this process's own settings only: by the stored ones \
                 they are off, and no freeze holds a job",
            ),
        }
        notes
    }
}
