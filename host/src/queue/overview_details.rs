//! What is shown of the few repos in sight, besides their rows in an overview.
//!
//! Owns the choice. Leaves the rows to `store`, and the words to its callers. Callers rely on this:
//! the number of statements does not depend on how many repos are asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::work::Active;
use super::{Error, Queue};
use crate::store::QueuedJob;

/// More of a repo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepoDetails {
    /// Its first unfinished task, with the work and the branch: see
    /// [`of_active`](super::of_active) for what helps it.
    pub active: Option<Active>,
    /// Its first queued jobs, of any agent; at most three.
    pub waiting: Vec<InLine>,
}

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
                    active: active.map(|task| Active::with(task, work, &finished, pipeline)),
                    waiting: waiting.map(|job| InLine::of(job, now)).collect(),
                };
                details.insert(repo, of_repo);
            }
            Ok(details)
        })
    }
}
