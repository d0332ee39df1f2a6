//! What is shown of the few repos in sight, besides their rows in an overview.
//!
//! Owns the choice. Leaves the rows to `store`, and the words to its callers. Callers rely on this:
//! the number of statements does not depend on how many repos are asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::work::Active;
use super::{Error, Queue};
use crate::store::{FinishedStages, JobWork, QueuedJob, TaskWork, WorkState};

/// More of a repo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepoDetails {
    /// Its first unfinished task, with the work and the branch: see
    /// [`of_active`](super::of_active) for what helps it.
    pub active: Option<Active>,
    /// Jobs of other tasks that failed, or that nobody works on any more; at most three.
    pub other_work: Vec<JobWork>,
    /// Its first queued jobs, of any agent; at most three.
    pub waiting: Vec<InLine>,
}

/// How many jobs of other tasks are told of.
const OTHERS: usize = 3;

/// A queued job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InLine {
    /// Its id.
    pub job_id: i64,
    /// Its task.
    pub task_id: Option<i64>,
    /// Its task's work item.
    pub work_item_id: Option<String>,
    /// Who does it.
    pub agent: Option<String>,
    /// Since when it is in the queue, if that is known.
    pub since: Option<Timestamp>,
}

impl RepoDetails {
    /// Tells of jobs that are not the active task's.
    fn tell_of(&mut self, jobs: Vec<JobWork>) {
        let active = self.active.as_ref().and_then(|active| active.work.as_ref());
        let is_shown = |job: &JobWork| {
            let mut own = active.into_iter().flat_map(TaskWork::jobs);
            own.any(|own| own.job_id == job.job_id)
        };
        let others = jobs.into_iter().filter(|job| !is_shown(job));
        self.other_work = others.take(OTHERS).collect();
    }
}

impl InLine {
    fn of(job: QueuedJob, now: Timestamp) -> InLine {
        InLine {
            since: job.queued.at(now),
            job_id: job.job_id,
            task_id: job.task_id,
            work_item_id: job.work_item_id,
            agent: job.agent,
        }
    }
}

impl Queue {
    /// More of these repos, all of one moment. Each of them is in the answer.
    pub fn overview_details(
        &mut self,
        now: Timestamp,
        repos: &[String],
    ) -> Result<BTreeMap<String, RepoDetails>, Error> {
        self.from_one_state(|queue| {
            queue.clause(now)?;
            let finished = queue.gate.finished_stages();
            let pipeline = queue.store.pipeline()?;
            let asked = repos
                .iter()
                .map(|repo| (repo.clone(), RepoDetails::default()));
            let mut details: BTreeMap<String, RepoDetails> = asked.collect();
            for (repo, row) in queue.store.rows_of_repos(now, &finished, repos)? {
                let (work, pipeline) = (row.work, pipeline.as_ref());
                let active = row.active;
                let waiting = row.next.into_iter();
                let of_repo = RepoDetails {
                    other_work: Vec::new(),
                    active: active.map(|task| Active::with(task, work, &finished, pipeline)),
                    waiting: waiting.map(|job| InLine::of(job, now)).collect(),
                };
                details.insert(repo, of_repo);
            }
            for (repo, jobs) in queue.other_work(now, &finished, repos)? {
                details.entry(repo).or_default().tell_of(jobs);
            }
            Ok(details)
        })
    }

    /// The jobs that failed, or that nobody works on any more, of these repos.
    fn other_work(
        &mut self,
        now: Timestamp,
        finished: &FinishedStages,
        repos: &[String],
    ) -> Result<BTreeMap<String, Vec<JobWork>>, Error> {
        let mut found = BTreeMap::<String, Vec<JobWork>>::new();
        for job in self.store.open_jobs(now, finished)? {
            let needs_people = matches!(
                job.state,
                WorkState::Failed | WorkState::Lapsed | WorkState::Foreign
            );
            let repo = job.repo.clone().filter(|repo| repos.contains(repo));
            if let Some(repo) = repo.filter(|_| needs_people) {
                found.entry(repo).or_default().push(job);
            }
        }
        Ok(found)
    }
}
