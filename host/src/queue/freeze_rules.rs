//! What a freeze does by a clause alone, to be asked about many repos.
//!
//! Owns the look at supposed jobs, and which setting explains what was found. Leaves to
//! `freeze_effect` the jobs that a repo really has, and the words. Callers rely on this: no statement
//! of the database is run for a repo.

use jiff::Timestamp;

use super::freeze_effect::{FreezeEffect, Passes, gated_agents};
use super::{Error, Queue};
use crate::gate::{CurrentClause, Source, scope_of};
use crate::model::Settings;
use crate::store::{Probe, Supposed};

/// What freezes do by the clause in force, and by the stored one, where this process has another.
pub(super) struct FreezeRules {
    pub own: FreezeRule,
    pub stored: Option<FreezeRule>,
}

/// A clause with the settings that it comes from.
pub(super) struct FreezeRule {
    settings: Settings,
    source: Source,
    policy: Option<String>,
    /// The agents whose jobs it may hold.
    pub agents: Vec<String>,
    probe: Probe,
}

impl Queue {
    /// What freezes do by the clauses in force.
    pub(super) fn freeze_rules(&mut self, now: Timestamp) -> Result<FreezeRules, Error> {
        let clause = self.clause(now)?;
        let own = FreezeRule::of(self, &clause, self.settings())?;
        let stored = self.gate.stored_rule(&mut self.store, now)?;
        let stored = stored.map(|(settings, clause)| FreezeRule::of(self, &clause, &settings));
        Ok(FreezeRules {
            own,
            stored: stored.transpose()?,
        })
    }
}

impl FreezeRules {
    /// What a freeze of a repo does, as far as its jobs do not matter.
    pub fn effect(&self, repo: &str) -> Result<FreezeEffect, Error> {
        let own = self.own.effect(repo)?;
        Ok(match &self.stored {
            Some(stored) => own.or_worse(stored.effect(repo)?),
            None => own,
        })
    }
}

impl FreezeRule {
    pub fn of(
        queue: &Queue,
        clause: &CurrentClause,
        settings: &Settings,
    ) -> Result<FreezeRule, Error> {
        let generation = queue.gate.generation();
        Ok(FreezeRule {
            settings: settings.clone(),
            source: clause.source,
            policy: generation.map(|generation| generation.name.clone()),
            agents: gated_agents(clause),
            probe: Probe::of(&clause.rendered)?,
        })
    }

    /// Whether a job of a frozen repo may be claimed, by its agent and the label of its task.
    pub fn lets_through(
        &self,
        repo: &str,
        agent: &str,
        label: Option<&str>,
    ) -> Result<bool, Error> {
        Ok(self.probe.lets_through(Supposed {
            repo,
            agent,
            label,
            frozen: true,
            earlier: None,
        })?)
    }

    /// What a freeze of a repo does, as far as its jobs do not matter.
    pub fn effect(&self, repo: &str) -> Result<FreezeEffect, Error> {
        let mut holds = !self.agents.is_empty();
        for agent in &self.agents {
            holds &= !self.lets_through(repo, agent, None)?;
        }
        Ok(FreezeEffect {
            holds,
            passes: (!holds).then(|| self.why_not(repo)),
        })
    }

    /// Why a freeze holds nothing: the first of the settings that prevents it, and else the policy.
    fn why_not(&self, repo: &str) -> Passes {
        let (settings, scope) = (&self.settings, scope_of(&self.settings));
        if !settings.enabled {
            Passes::GateOff
        } else if !settings.freeze_enabled {
            Passes::LayerOff
        } else if !scope.is_named(repo) {
            let repos = settings.repos.clone();
            Passes::OutOfScope { repos }
        } else if !scope.is_in_the_rules(repo) && self.source != Source::FreezeOnly {
            Passes::OutOfRules
        } else {
            let policy = self.policy.clone();
            Passes::ByPolicy { policy }
        }
    }
}
