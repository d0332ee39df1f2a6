//! What runs and what failed, for the state of the queue.
//!
//! Owns the parts of it that the reference lacks: the work of each repo's active task, and the
//! other jobs of the repo that run or failed. Leaves the words to `words`, and the advice to
//! `advice`. Callers rely on this: a long list of work is cut, but its count is complete.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::Queue;
use super::pipeline::InPipeline;
use super::stages::near_finished;
use crate::store::{
    self, ActiveTask, FinishedStages, JobWork, OpenWork, Pipeline, TaskWork, WorkCount, WorkState,
};

/// How many jobs are listed for each repo, not counting the active task's.
const LISTED: usize = 20;

/// The first unfinished task of a repo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ActiveTaskWithWork)]
pub struct Active {
    /// With the reference's keys.
    #[serde(flatten)]
    pub task: ActiveTask,
    /// Its id; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<i64>,
    /// What its jobs do; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work: Option<TaskWork>,
    /// The finished stage that its stage was probably meant to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<String>,
    /// What the pipeline says of its stage.
    #[serde(skip)]
    pub in_pipeline: Option<InPipeline>,
}

impl From<ActiveTask> for Active {
    fn from(task: ActiveTask) -> Active {
        Active {
            task,
            task_id: None,
            work: None,
            looks_like: None,
            in_pipeline: None,
        }
    }
}

impl Active {
    /// With what its jobs do, and what its stage means.
    pub(super) fn with(
        task: ActiveTask,
        work: TaskWork,
        finished: &FinishedStages,
        pipeline: Option<&Pipeline>,
    ) -> Active {
        let stage = task.stage.as_deref();
        let looks_like = stage.and_then(|stage| near_finished(stage, finished));
        Active {
            task_id: Some(task.id),
            work: Some(work),
            looks_like: looks_like.map(Into::into),
            in_pipeline: InPipeline::of(pipeline, stage),
            task,
        }
    }
}

/// How many jobs of a repo run or failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct JobCounts {
    /// A worker has them.
    pub running: usize,
    /// Their workers let the lease run out.
    pub lapsed: usize,
    /// Another program started them, or gave them a status that the gate does not know.
    pub foreign: usize,
    /// Their branches could not be cut, or their attempts failed; they are tried again.
    pub put_off: usize,
    /// They failed, and were not replaced.
    pub failed: usize,
    /// When the first of those that run was claimed, UTC.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    #[schema(format = DateTime)]
    pub oldest_running_since: Option<String>,
}

impl JobCounts {
    pub(super) fn add(&mut self, count: WorkCount) {
        let number = match count.state {
            WorkState::Running => &mut self.running,
            WorkState::Lapsed => &mut self.lapsed,
            WorkState::Foreign => &mut self.foreign,
            WorkState::PutOff => &mut self.put_off,
            WorkState::Failed => &mut self.failed,
            WorkState::Queued | WorkState::Finished | WorkState::NoJob => return,
        };
        *number += count.jobs;
        if count.state == WorkState::Running {
            let oldest = self.oldest_running_since.take().into_iter();
            self.oldest_running_since = oldest.chain(count.since).min();
        }
    }

    fn all(&self) -> usize {
        self.running + self.lapsed + self.foreign + self.put_off + self.failed
    }
}

/// What runs and failed in every repo, as it is read for one state.
pub(super) struct Live {
    pub now: Timestamp,
    pub finished: FinishedStages,
    pipeline: Option<Pipeline>,
    by_repo: BTreeMap<String, OfRepo>,
}

/// The same of one repo, or of the jobs without one.
#[derive(Default)]
pub(super) struct OfRepo {
    pub counts: JobCounts,
    pub jobs: Vec<JobWork>,
}

impl Live {
    /// The repos in which something runs or failed. Jobs without a repo are in none.
    pub fn repos(&self) -> impl Iterator<Item = String> {
        let named = self.by_repo.keys().filter(|repo| !repo.is_empty());
        named.cloned()
    }

    /// What runs and failed in a repo, or with an empty name without one. It is taken out.
    pub fn take(&mut self, repo: &str) -> OfRepo {
        self.by_repo.remove(repo).unwrap_or_default()
    }
}

/// Removes the jobs that are shown with an active task, and cuts the list. Returns how many more
/// there are.
pub(super) fn cut(work: &mut Vec<JobWork>, counts: &JobCounts, shown: &BTreeSet<i64>) -> usize {
    let unread = counts.all().saturating_sub(work.len());
    work.retain(|job| job.job_id.is_none_or(|id| !shown.contains(&id)));
    let more = unread + work.len().saturating_sub(LISTED);
    work.truncate(LISTED);
    more
}

impl Queue {
    /// What runs and failed. A list that cannot be read is empty, with a note.
    pub(super) fn live(&mut self, now: Timestamp, notes: &mut Vec<String>) -> Live {
        let finished = self.gate.finished_stages();
        let work = self
            .store
            .open_work(now, &finished)
            .unwrap_or_else(|error| {
                notes.push(format!("what runs or failed may be missing here: {error}"));
                OpenWork::default()
            });
        let mut by_repo = BTreeMap::<String, OfRepo>::new();
        for job in work.jobs {
            let repo = job.repo.clone().unwrap_or_default();
            by_repo.entry(repo).or_default().jobs.push(job);
        }
        for count in work.counts {
            let repo = count.repo.clone().unwrap_or_default();
            by_repo.entry(repo).or_default().counts.add(count);
        }
        let pipeline = self.store.pipeline().unwrap_or_else(|error| {
            notes.push(format!("the pipeline is not known: {error}"));
            None
        });
        Live {
            now,
            finished,
            pipeline,
            by_repo,
        }
    }

    /// The active task of a repo with its work.
    pub(super) fn active(
        &mut self,
        live: Option<&Live>,
        repo: &str,
    ) -> Result<Option<Active>, store::Error> {
        let Some(live) = live else {
            return Ok(self.store.active_task(repo)?.map(Active::from));
        };
        let Some(task) = self.store.active_task_under(repo, &live.finished)? else {
            return Ok(None);
        };
        let work = self.store.task_work(live.now, task.id)?;
        let (finished, pipeline) = (&live.finished, live.pipeline.as_ref());
        Ok(Some(Active::with(task, work, finished, pipeline)))
    }
}
