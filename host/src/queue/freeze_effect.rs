//! What a freeze really does: whether the gate holds the tasks of a repo while it is frozen, and
//! why not.
//!
//! Owns the words about it, which the command line, the service, the page and the alerts share. The
//! answer comes from the clause in force, tried on a supposed job (`store`'s `Probe`); the settings
//! only explain it. A freeze holds the *first job of a task*, the one for a gated agent; a task
//! that has started goes on. Where this process overrides the stored settings, these are asked as
//! well, because other processes claim by them, and the worse answer counts. Callers rely on this:
//! nothing here fails, because a freeze must not wait for an answer. An effect that cannot be found
//! out is shown as unknown, and counts as not held.

use std::fmt;

use jiff::Timestamp;

use super::freeze_rules::FreezeRule;
use super::nearest::named;
use super::{Error, Queue};
use crate::clause::Agents;
use crate::error::with_causes;
use crate::gate::CurrentClause;
use crate::model::Settings;
use crate::store::{Firsts, Probe, Supposed};

/// What a freeze of a repo does under the clause in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeEffect {
    /// Whether the tasks of the repo are held while it is frozen, except for those with a mark that
    /// `passes` names.
    pub holds: bool,
    /// Why tasks start all the same, all or the marked ones; none if no task starts.
    pub passes: Option<Passes>,
}

/// Why tasks of a frozen repo start all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passes {
    /// The gate is switched off.
    GateOff,
    /// Freezes are switched off.
    LayerOff,
    /// The setting `repos` does not name the repo.
    OutOfScope {
        /// The setting.
        repos: String,
    },
    /// The list `repos` of the rules does not name it.
    OutOfRules,
    /// The policy's clause lets them through.
    ByPolicy {
        /// The policy; none if it has no name here.
        policy: Option<String>,
    },
    /// The gate holds the jobs of other agents, and tasks that are queued begin with these.
    OtherAgents {
        /// The agents of their first jobs.
        agents: Vec<String>,
        /// Those whose jobs the gate holds.
        gated: Vec<String>,
    },
    /// The policy's clause lets tasks with these marks through.
    Labelled {
        /// The marks.
        labels: Vec<String>,
    },
    /// Not all of its queued jobs were looked at; those that were are held.
    NotLookedAt,
    /// By this process's own settings, for this reason; the stored ones do not say so.
    Here(Box<Passes>),
    /// By the stored settings, for this reason; this process has others.
    Stored(Box<Passes>),
    /// It cannot be found out.
    Unknown {
        /// Why.
        error: String,
    },
}

impl FreezeEffect {
    /// The note to add to "is frozen"; none where no task of the repo starts.
    pub fn note(&self) -> Option<String> {
        self.passes.as_ref().map(Passes::to_string)
    }

    /// This process's own effect, or that of the stored settings. The worse answer counts; of two
    /// alike, the stored one, which other processes use.
    pub(super) fn or_worse(self, stored: FreezeEffect) -> FreezeEffect {
        if self == stored {
            return self;
        }
        let wrapped = match (self.holds, stored.holds) {
            (true, false) => stored.passes.map(Box::new).map(Passes::Stored),
            (false, true) => self.passes.map(Box::new).map(Passes::Here),
            _ => match stored.passes {
                Some(passes) => Some(Passes::Stored(Box::new(passes))),
                None => self.passes.map(Box::new).map(Passes::Here),
            },
        };
        FreezeEffect {
            holds: self.holds && stored.holds,
            passes: wrapped,
        }
    }
}

impl fmt::Display for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Passes::GateOff => f.write_str(
                "the gate is off: its tasks start all the same until the gate is switched on",
            ),
            Passes::LayerOff => f.write_str(
                "freezes are switched off: its tasks start all the same until freezes are switched \
                 on",
            ),
            Passes::NotLookedAt => {
                f.write_str("it has many queued jobs: no task of it starts, as far as was looked")
            }
            Passes::Here(passes) => write!(f, "by this process's own settings, {passes}"),
            Passes::Stored(passes) => write!(
                f,
                "by the stored settings, which this process does not use, {passes}"
            ),
            Passes::OutOfScope { repos } => write!(
                f,
                "it is out of the gate's scope (`{}`): its tasks start all the same",
                repos.escape_debug()
            ),
            Passes::OutOfRules => f.write_str(
                "it is out of the gate's scope (`repos` in the rules): its tasks start all the \
                 same",
            ),
            Passes::ByPolicy { policy: Some(name) } => write!(
                f,
                "the policy `{}` does not hold it: its tasks start all the same",
                name.escape_debug()
            ),
            Passes::ByPolicy { policy: None } => {
                f.write_str("the policy does not hold it: its tasks start all the same")
            }
            Passes::OtherAgents { agents, gated } => {
                let gated = named(gated, " and ");
                write!(
                    f,
                    "the gate holds jobs of {gated} only: tasks that begin with {} start all the \
                     same",
                    named(agents, " or ")
                )
            }
            Passes::Labelled { labels } => write!(
                f,
                "tasks with the label {} start all the same",
                named(labels, " or ")
            ),
            Passes::Unknown { error } => {
                write!(f, "whether the gate holds its tasks is not known: {error}")
            }
        }
    }
}

/// A frozen repo in one sentence, with a note. The repo's name is used as it is given.
pub fn frozen_words(repo: &str, note: Option<&str>) -> String {
    match note {
        None => format!("`{repo}` is frozen: no task of it starts"),
        Some(note) => format!("`{repo}` is frozen, but {note}"),
    }
}

impl Queue {
    /// What a freeze of a repo does now, whether or not there is one.
    pub fn freeze_effect(&mut self, now: Timestamp, repo: &str) -> FreezeEffect {
        self.find_freeze_effect(now, repo)
            .unwrap_or_else(|error| FreezeEffect {
                holds: false,
                passes: Some(Passes::Unknown {
                    error: with_causes(&error),
                }),
            })
    }

    fn find_freeze_effect(&mut self, now: Timestamp, repo: &str) -> Result<FreezeEffect, Error> {
        let clause = self.clause(now)?;
        let own = self.effect_of(&clause, &self.settings().clone(), repo)?;
        let Some((settings, clause)) = self.gate.stored_rule(&mut self.store, now)? else {
            return Ok(own);
        };
        let stored = self.effect_of(&clause, &settings, repo)?;
        Ok(own.or_worse(stored))
    }

    /// What a freeze does by a clause, which came from these settings.
    pub(super) fn effect_of(
        &mut self,
        clause: &CurrentClause,
        settings: &Settings,
        repo: &str,
    ) -> Result<FreezeEffect, Error> {
        let rule = FreezeRule::of(self, clause, settings)?;
        let effect = rule.effect(repo)?;
        if !effect.holds {
            return Ok(effect);
        }
        let lets_through = |agent: &str, label: Option<&str>| rule.lets_through(repo, agent, label);
        let agents = rule.agents.clone();
        // Tasks may begin with a job that the gate does not hold.
        let (queued, mut are_all) = self.store.queued_agents(repo)?;
        let mut others = Vec::new();
        let mut is_gated_work_queued = false;
        for agent in queued {
            if !lets_through(&agent, None)? {
                is_gated_work_queued = true;
                continue;
            }
            match self.store.firsts_of(repo, &agent)? {
                Firsts::Some => others.push(agent),
                Firsts::None => {}
                Firsts::NotLookedAt => are_all = false,
            }
        }
        // The next task will most likely begin as the last ones did.
        if others.is_empty() && !is_gated_work_queued {
            others = self.store.last_first_agents(repo)?;
            for agent in others.clone() {
                if !lets_through(&agent, None)? {
                    others.clear();
                    break;
                }
            }
        }
        if !others.is_empty() {
            let passes = Passes::OtherAgents {
                agents: others,
                gated: agents,
            };
            return Ok(FreezeEffect {
                holds: false,
                passes: Some(passes),
            });
        }
        // A mark that the clause mentions may be a way around the freeze.
        let mut labels = Vec::new();
        let has_labels = clause.rendered.as_str().contains("gate_label");
        let mentioned = if has_labels {
            clause.clause.texts()
        } else {
            Vec::new()
        };
        for label in mentioned {
            for agent in &agents {
                if lets_through(agent, Some(&label))? {
                    labels.push(label);
                    break;
                }
            }
        }
        let passes = match (labels.is_empty(), are_all) {
            (false, _) => Some(Passes::Labelled { labels }),
            (true, false) => Some(Passes::NotLookedAt),
            (true, true) => None,
        };
        Ok(FreezeEffect {
            holds: true,
            passes,
        })
    }

    /// Whether an unfinished task in a stage holds the later tasks of its repo.
    pub fn stage_holds(&mut self, now: Timestamp, repo: &str, stage: &str) -> Result<bool, Error> {
        let clause = self.clause(now)?;
        let probe = Probe::of(&clause.rendered)?;
        for agent in gated_agents(&clause) {
            let supposed = |earlier| Supposed {
                repo,
                agent: &agent,
                label: None,
                frozen: false,
                earlier,
            };
            if probe.lets_through(supposed(None))? && !probe.lets_through(supposed(Some(stage)))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The agents whose jobs the clause may hold. Where it may hold the jobs of all but some, a fresh
/// name represents the rest.
pub(super) fn gated_agents(clause: &CurrentClause) -> Vec<String> {
    match clause.clause.gated() {
        Agents::Only(agents) => agents.into_iter().flatten().collect(),
        Agents::AllBut(agents) => {
            let analyst = "analyst".to_owned();
            let fresh = "serial-gate: an agent of no name".to_owned();
            let is_gated = |name: &String| !agents.contains(&Some(name.clone()));
            [analyst, fresh].into_iter().filter(is_gated).collect()
        }
    }
}
