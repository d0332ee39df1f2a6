//! All that is known of a task: its jobs, what it waits for, and what operators did to it.
//!
//! Owns the answer of `task show`. Leaves why a job waits to `explain`, and what
//! continues a task to `remedy`.

use jiff::Timestamp;
use serde::Serialize;

use super::advice::{Advice, AdviceDocument};
use super::explanation::{Explanation, ExplanationDocument};
use super::remedy::of_active;
use super::work::Active;
use super::{Error, Queue};
use crate::error::with_causes;
use crate::store::{
    self, ActiveTask, AuditEntry, JobFilter, ListedJob, ListedTask, PageOf, TaskBranch, TaskOutcome,
};

/// How many jobs and how many entries of the audit are shown, the newest ones.
const SHOWN: u32 = 100;

/// A task and all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeTask {
    /// The task.
    pub task: ListedTask,
    /// How it has ended; none if it has not.
    pub outcome: Option<TaskOutcome>,
    /// Its branch, once planned.
    pub branch: Option<TaskBranch>,
    /// Its newest jobs, the newest first.
    pub jobs: Vec<ListedJob>,
    /// Whether it has more jobs.
    pub more_jobs: bool,
    /// Its first queued job, and why that waits; none if no job of it is queued.
    pub waiting: Option<Explanation>,
    /// Why the policy does not say what that job waits for; none if it does, or no job is queued.
    pub not_explained: Option<String>,
    /// What continues it, the best first; nothing if a job of it is queued, or it has ended.
    pub advice: Vec<Advice>,
    /// What operators did to it and to these jobs, the newest first.
    pub audit: Vec<AuditEntry>,
}

/// The same as a document.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TaskDocument {
    #[serde(flatten)]
    task: ListedTask,
    /// How it has ended, `done` or `cancelled`; null if it has not
    outcome: Option<&'static str>,
    /// Its branch, once planned
    branch: Option<TaskBranch>,
    /// Its newest jobs, the newest first
    jobs: Vec<ListedJob>,
    /// Whether it has more jobs
    more_jobs: bool,
    /// Its first queued job and why that waits, as `explain` has it; null if no job of it is queued
    waiting: Option<ExplanationDocument>,
    /// Why there is no `waiting` although a job of it is queued: the policy failed; null otherwise
    waiting_error: Option<String>,
    /// What continues it, the best first; empty if a job of it is queued, or it has ended
    advice: Vec<AdviceDocument>,
    /// What operators did to it and to these jobs, the newest first
    audit: Vec<AuditEntry>,
}

impl WholeTask {
    /// As a document, for machines.
    pub fn to_document(&self) -> TaskDocument {
        TaskDocument {
            task: self.task.clone(),
            outcome: self.outcome.map(TaskOutcome::name),
            branch: self.branch.clone(),
            jobs: self.jobs.clone(),
            more_jobs: self.more_jobs,
            waiting: self.waiting.as_ref().map(Explanation::to_document),
            waiting_error: self.not_explained.clone(),
            advice: self.advice.iter().map(Advice::to_document).collect(),
            audit: self.audit.clone(),
        }
    }
}

impl Queue {
    /// A task and all that belongs to it. Fails when there is no such task, not when the policy
    /// fails.
    pub fn whole_task(&mut self, now: Timestamp, id: i64) -> Result<WholeTask, Error> {
        let task = self.store.listed_task(id)?;
        let task = task.ok_or(store::Error::NoTask { id })?;
        let filter = JobFilter {
            task: Some(id),
            ..JobFilter::default()
        };
        let page = PageOf {
            before: None,
            limit: SHOWN,
        };
        let jobs = self.store.jobs(now, filter, page)?;
        let numbers: Vec<i64> = jobs.rows.iter().map(|job| job.id).collect();
        let queued = self.store.first_queued_job(id)?;
        let (waiting, not_explained) = match queued.map(|job| self.explain(now, job)) {
            None => (None, None),
            Some(Ok(explanation)) => (Some(explanation), None),
            Some(Err(error)) if error.is_of_the_database() => return Err(error),
            Some(Err(error)) => (None, Some(with_causes(&error))),
        };
        let outcome = self.outcome(id)?;
        let branch = self.store.branch(id)?;
        let advice = match queued.is_none() && outcome.is_none() {
            true => self.advice_for_task(now, &task, branch.clone())?,
            false => Vec::new(),
        };
        Ok(WholeTask {
            outcome,
            advice,
            branch,
            more_jobs: jobs.next.is_some(),
            jobs: jobs.rows,
            waiting,
            not_explained,
            audit: self.store.audit_of_task(id, &numbers, SHOWN)?,
            task,
        })
    }

    /// What continues an unfinished task of which no job is queued.
    fn advice_for_task(
        &mut self,
        now: Timestamp,
        task: &ListedTask,
        branch: Option<TaskBranch>,
    ) -> Result<Vec<Advice>, Error> {
        let work = self.store.task_work(now, task.id)?;
        let finished = self.gate.finished_stages();
        let pipeline = self.store.pipeline()?;
        let active = ActiveTask {
            id: task.id,
            work_item_id: task.work_item_id.clone(),
            stage: task.stage.clone(),
            branch,
        };
        let active = Active::with(active, work, &finished, pipeline.as_ref());
        Ok(of_active(&active))
    }
}
