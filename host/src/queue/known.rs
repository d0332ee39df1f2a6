//! Names that do not occur in the queue: most often they are mistyped.
//!
//! Owns what counts as known. A repo is known if a row of the queue has it, or a project of the
//! configuration. Leaves the search for near names to `nearest`.

use super::nearest::{did_you_mean, named, nearest};
use super::{Error, Queue};
use crate::gate::keys_of;
use crate::store::WorkState;

/// What a worker waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingWords {
    /// In one sentence.
    pub text: String,
    /// Whether no job ever had the agent.
    pub is_unknown: bool,
}

impl Queue {
    /// What a worker waits for, after a claim that found nothing.
    pub fn waiting_words(&mut self, agent: &str) -> Result<WaitingWords, Error> {
        let unknown = self.unknown_agent(agent)?;
        let is_unknown = unknown.is_some();
        let queued = match self.store.queued_for(agent)? {
            Some(0) => "0 queued".to_owned(),
            Some(queued) => format!("{queued} queued, none of them may be claimed"),
            None => "many queued, none of them may be claimed".to_owned(),
        };
        let waiting = format!("waiting for jobs of `{}`: {queued}", agent.escape_debug());
        Ok(WaitingWords {
            text: match unknown {
                Some(unknown) => format!("{waiting}; {unknown}"),
                None => waiting,
            },
            is_unknown,
        })
    }

    /// Whether a row of the queue or the configuration has this repo.
    pub fn knows_repo(&mut self, repo: &str) -> Result<bool, Error> {
        let configured = self.configured.iter().any(|known| known == repo);
        Ok(configured || self.store.knows_repo(repo)?)
    }

    /// The known repos that are nearest to a name.
    pub fn repos_near(&mut self, repo: &str) -> Result<Vec<String>, Error> {
        let known = self.store.known_repos()?;
        Ok(nearest(repo, known.iter().chain(&self.configured)))
    }

    /// Refuses a repo that nothing knows. `left` says what was not done.
    pub(super) fn check_known(&mut self, repo: &str, left: &'static str) -> Result<(), Error> {
        if self.knows_repo(repo)? {
            return Ok(());
        }
        Err(Error::UnknownRepo {
            repo: repo.into(),
            near: self.repos_near(repo)?,
            left,
        })
    }

    /// The note about a repo that no task, no job and no project has. A freeze or a deploy does not
    /// make it known: a mistyped name may have one, too.
    pub fn unknown_repo(&mut self, repo: &str) -> Result<Option<String>, Error> {
        let configured = self.configured.iter().any(|known| known == repo);
        if configured || self.store.has_work_in(repo)? {
            return Ok(None);
        }
        let known = self.store.repos_with_work()?;
        let near = nearest(repo, known.iter().chain(&self.configured));
        let near = did_you_mean(&near);
        Ok(Some(format!(
            "no task of `{}` is known{near}",
            repo.escape_debug()
        )))
    }

    /// The note about a repo that was to be unfrozen and was not frozen: that it is unknown, or
    /// which frozen repo may have been meant.
    pub fn not_frozen(&mut self, repo: &str) -> Result<Option<String>, Error> {
        let frozen = self.store.frozen_repos()?;
        let near = nearest(repo, &frozen);
        if near.is_empty() && self.knows_repo(repo)? {
            // A repo that is opened twice was not mistyped.
            return Ok(None);
        }
        if near.is_empty() {
            return self.unknown_repo(repo);
        }
        let are = if near.len() == 1 { "is" } else { "are" };
        Ok(Some(format!("{} {are} frozen", named(&near, " and "))))
    }

    /// Notes about agents and stages that the stored rules name and no row has: a mistyped name
    /// gates no job, or ends no task. None for a queue without agents or stages.
    pub fn names_without_rows(&mut self) -> Result<Vec<String>, Error> {
        let settings = self.gate.settings_now(&mut self.store)?;
        let rules = settings.rules.as_deref().and_then(keys_of);
        let rules = rules.unwrap_or_default();
        let named = |key: &str| -> Vec<String> {
            let names = rules.get(key).cloned().unwrap_or_default();
            serde_json::from_value(names).unwrap_or_default()
        };
        let (agents, stages) = (self.store.known_agents()?, self.store.known_stages()?);
        let mut notes = Vec::new();
        for (key, known, what) in [
            ("gated_agents", agents, "no job has ever been for"),
            ("finished_stages", stages, "no task is in"),
        ] {
            let named = named(key).into_iter().filter(|_| !known.is_empty());
            for name in named.filter(|name| !known.contains(name)) {
                // Not all agents are listed.
                if key == "gated_agents" && self.store.knows_agent(&name)? {
                    continue;
                }
                notes.push(format!(
                    "{what} `{}`, which `{key}` of the rules names{}",
                    name.escape_debug(),
                    did_you_mean(&nearest(&name, &known))
                ));
            }
        }
        Ok(notes)
    }

    /// The note about a stage that no task is in.
    pub fn unknown_stage(&mut self, stage: &str) -> Result<Option<String>, Error> {
        let known = self.store.known_stages()?;
        if known.iter().any(|known| known == stage) {
            return Ok(None);
        }
        Ok(Some(format!(
            "no task is in the stage `{}`{}",
            stage.escape_debug(),
            did_you_mean(&nearest(stage, &known))
        )))
    }

    /// The note about a word that is not a state of the gate: another program may have written it.
    pub fn unknown_status(&self, status: &str) -> Option<String> {
        let known = WorkState::OF_JOBS.map(|state| state.name().to_owned());
        (!known.iter().any(|known| known == status)).then(|| {
            let near = did_you_mean(&nearest(status, &known));
            let status = status.escape_debug();
            let known = named(&known, " and ");
            format!("no job has the status `{status}`{near} (the gate's states are {known})")
        })
    }

    /// Notes about projects whose repo no task and no job has. None before the first task.
    pub fn projects_without_rows(&mut self) -> Result<Vec<String>, Error> {
        let known = self.store.repos_with_work()?;
        let mut notes = Vec::new();
        if known.is_empty() {
            return Ok(notes);
        }
        for repo in &self.configured {
            // Not all repos are listed.
            if !known.contains(repo) && !self.store.has_work_in(repo)? {
                notes.push(format!(
                    "project `{}`: no task of this repo is known{}",
                    repo.escape_debug(),
                    did_you_mean(&nearest(repo, &known))
                ));
            }
        }
        Ok(notes)
    }

    /// The agents that have jobs, and those that the pipeline names.
    pub(super) fn agents_to_name(&mut self) -> Result<Vec<String>, Error> {
        let mut agents = self.store.known_agents()?;
        for one in self
            .store
            .pipeline()?
            .into_iter()
            .flat_map(|all| all.stages)
        {
            if !agents.contains(&one.agent) {
                agents.push(one.agent);
            }
        }
        Ok(agents)
    }

    /// Whether the jobs of a stage of the pipeline are for this agent.
    pub(super) fn pipeline_names(&mut self, agent: &str) -> Result<bool, Error> {
        let pipeline = self.store.pipeline()?;
        Ok(pipeline.is_some_and(|all| all.stages.iter().any(|one| one.agent == agent)))
    }

    /// The note about an agent that no job ever had. Nothing is said of a known agent, or of an agent
    /// of the pipeline.
    pub fn unknown_agent(&mut self, agent: &str) -> Result<Option<String>, Error> {
        if self.pipeline_names(agent)? || self.store.knows_agent(agent)? {
            return Ok(None);
        }
        let all = self.agents_to_name()?;
        let mut known = nearest(agent, &all);
        let others = all.into_iter().filter(|name| !known.contains(name));
        let others: Vec<String> = others.take(SHOWN).collect();
        known.extend(others);
        known.truncate(SHOWN);
        let agent = agent.escape_debug();
        Ok(Some(match &known[..] {
            [] => format!("no job has ever been for `{agent}`, and there are no jobs yet"),
            known => format!(
                "no job has ever been for `{agent}`; known agents: {}",
                named(known, ", ")
            ),
        }))
    }
}

/// How many agents are named, the nearest ones first.
const SHOWN: usize = 8;
