//! The notes about a task or a job that was just added.
//!
//! Owns the note about a frozen repo whose freeze does not hold the new job, because the answer to
//! `freeze` was only about the jobs that were queued then; the note about a job that may be claimed
//! before its task begins; and the notes about a repo or an agent whose name is nearly that of another. Leaves
//! the stage to `stages`. Nothing fails here, because the task or job is on the disk by then.

use jiff::Timestamp;

use super::freezes::joined;
use super::nearest::{did_you_mean, nearest};
use super::{Error, Queue};
use crate::clause::Agents;
use crate::error::with_causes;
use crate::gate::CurrentClause;
use crate::store::{NewTask, Probe, Supposed};

/// The subjects of the notes of this file.
const WHAT: &str = "whether a freeze holds the new job";
const REPO: &str = "whether the new task's repo is known";
const AGENT: &str = "whether the new job's agent is known";

impl Queue {
    /// The note about a task that was added.
    pub fn added_task_note(&mut self, now: Timestamp, task: NewTask<'_>) -> Option<String> {
        let stage = self.first_stage_note(now, task.repo, task.stage);
        let repo = or_unsaid(self.mistyped_repo(task.repo), REPO);
        let agent = or_unsaid(self.mistyped_agent(now, task.agent), AGENT);
        let frozen = self.frozen_note(now, task.repo, task.agent, task.label);
        let frozen = or_unsaid(frozen, WHAT);
        joined([joined([repo, stage]), joined([agent, frozen])])
    }

    /// The note about a job that was added to a task.
    pub fn added_job_note(&mut self, now: Timestamp, job: i64) -> Option<String> {
        or_unsaid(self.find_job_note(now, job), WHAT)
    }

    fn find_job_note(&mut self, now: Timestamp, job: i64) -> Result<Option<String>, Error> {
        let Some(row) = self.store.job(job)? else {
            return Ok(None);
        };
        let (Some(repo), Some(agent)) = (row.repo, row.agent) else {
            return Ok(None);
        };
        let Some(task) = row.task_id else {
            return self.frozen_note(now, &repo, &agent, None);
        };
        let label = self.store.label(task)?;
        let over = self.outcome(task)?.map(|outcome| {
            format!(
                "its task is {} already, and no stage of it needs a job",
                outcome.name()
            )
        });
        if over.is_some() {
            return Ok(over);
        }
        let mistyped = self.mistyped_agent(now, &agent)?;
        let early = match self.store.agent_in_front(task, job)? {
            Some(first) => self.early_note(now, &repo, task, [&first, &agent], label.as_deref())?,
            None => None,
        };
        let frozen = self.frozen_note(now, &repo, &agent, label.as_deref())?;
        Ok(joined([mistyped, joined([early, frozen])]))
    }

    /// The note about a repo whose first task was just added, if its name is nearly that of another.
    fn mistyped_repo(&mut self, repo: &str) -> Result<Option<String>, Error> {
        if self.configured.iter().any(|known| known == repo) || self.store.has_tasks_in(repo, 2)? {
            return Ok(None);
        }
        let known = self.store.repos_with_work()?;
        let near = nearest(repo, known.iter().chain(&self.configured));
        Ok((!near.is_empty()).then(|| {
            format!(
                "no other task is of `{}`{}",
                repo.escape_debug(),
                did_you_mean(&near)
            )
        }))
    }

    /// The note about an agent whose first job was just added, if its name is nearly that of another
    /// agent that has jobs, or whose jobs the gate holds.
    fn mistyped_agent(&mut self, now: Timestamp, agent: &str) -> Result<Option<String>, Error> {
        // Most agents have jobs, and then the policy need not be asked.
        if self.store.has_jobs_of(agent, 2)? {
            return Ok(None);
        }
        let gated = names(self.gated_agents(now));
        if gated.iter().any(|gated| gated == agent) {
            return Ok(None);
        }
        if self.pipeline_names(agent)? {
            return Ok(None);
        }
        let known = self.agents_to_name()?;
        let near = nearest(agent, known.iter().chain(&gated));
        Ok((!near.is_empty()).then(|| {
            format!(
                "no other job is for `{}`{}",
                agent.escape_debug(),
                did_you_mean(&near)
            )
        }))
    }

    /// The note that a job may be claimed before the first one of its task, which the gate may hold.
    fn early_note(
        &mut self,
        now: Timestamp,
        repo: &str,
        task: i64,
        [first, agent]: [&str; 2],
        label: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let clause = self.clause(now)?;
        let probe = Probe::of(&clause.rendered)?;
        let lets_through = |agent| {
            probe.lets_through(Supposed {
                repo,
                agent,
                label,
                frozen: true,
                earlier: None,
            })
        };
        let is_early = !lets_through(first)? && lets_through(agent)?;
        if !is_early {
            return Ok(None);
        }
        let task = self
            .known_task(task)?
            .in_words(&|name| name.escape_debug().to_string());
        Ok(Some(format!(
            "{task} has not begun, and the gate does not hold this job of `{}`: it may be \
                 claimed before the first job",
            agent.escape_debug()
        )))
    }

    /// The note that a repo is frozen, and the freeze does not hold such a job.
    fn frozen_note(
        &mut self,
        now: Timestamp,
        repo: &str,
        agent: &str,
        label: Option<&str>,
    ) -> Result<Option<String>, Error> {
        if self.store.active_freeze(Some(repo))?.is_none() {
            return Ok(None);
        }
        let holds = |clause: &CurrentClause| -> Result<bool, Error> {
            let supposed = Supposed {
                repo,
                agent,
                label,
                frozen: true,
                earlier: None,
            };
            Ok(!Probe::of(&clause.rendered)?.lets_through(supposed)?)
        };
        let own = holds(&*self.clause(now)?)?;
        let stored = match self.gate.stored_rule(&mut self.store, now)? {
            Some((_, clause)) => holds(&clause)?,
            None => own,
        };
        let whose = match (own, stored) {
            (true, true) => return Ok(None),
            (false, true) => "by this process's own settings, ",
            (true, false) => "by the stored settings, which this process does not use, ",
            (false, false) => "",
        };
        Ok(Some(format!(
            "`{}` is frozen, but {whose}this job of `{}` is not held by that",
            repo.escape_debug(),
            agent.escape_debug()
        )))
    }
}

/// The names in a set of agents; none if only those outside of it have names.
fn names(agents: Agents) -> Vec<String> {
    match agents {
        Agents::Only(named) => named.into_iter().flatten().collect(),
        Agents::AllBut(_) => Vec::new(),
    }
}

/// A note, if it could be found. The change is made by then, so that an error is only logged.
pub(super) fn or_unsaid(note: Result<Option<String>, Error>, what: &str) -> Option<String> {
    note.unwrap_or_else(|error| {
        tracing::warn!("{what} is not known: {}", with_causes(&error));
        None
    })
}
