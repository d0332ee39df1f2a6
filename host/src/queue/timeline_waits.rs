//! Why a job waited, as far as what is recorded tells.
//!
//! Owns the reasons of a wait: an earlier task of the repo, freezes, and no worker for the rest.
//! Leaves what the policy says of a job that waits now to `explain`. Callers rely on this: a
//! reason is a fact of the wait's time, not what the policy said then; only the jobs of gated agents
//! have another one than a missing worker.

use jiff::Timestamp;

use crate::clause::Agents;
use crate::store::{ActiveTask, AttemptEnd, FinishedTask, LifeJob, PastFreeze};

/// How many freezes of a wait are told, the first ones.
const FREEZES: usize = 5;

/// Why a job waited, for a part of the wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// For an earlier task of the repo. Of several that ended during the wait, this is the last one;
    /// of several that are unfinished, the first one.
    EarlierTask {
        /// The task.
        task: i64,
        /// The name that people know it by.
        work_item: Option<String>,
        /// When it ended; none while it is unfinished.
        until: Option<Timestamp>,
    },
    /// For the end of a freeze.
    Frozen {
        /// Its number.
        freeze: i64,
        /// When the repo was frozen.
        from: Timestamp,
        /// When it was opened again; none while the freeze is active.
        until: Option<Timestamp>,
        /// Why it was frozen.
        reason: Option<String>,
    },
    /// For more freezes than are told.
    MoreFreezes {
        /// How many.
        count: usize,
    },
    /// The attempt before had failed, or was put off: the job waited for another time, and then
    /// perhaps for a worker.
    Delay,
    /// For a worker: nothing else that is recorded was in the way.
    NoWorker {
        /// Since when.
        from: Timestamp,
        /// Until a worker claimed it.
        until: Timestamp,
    },
}

/// A wait of a job.
pub(super) struct Wait<'a> {
    pub job: &'a LifeJob,
    pub from: Timestamp,
    /// None while it goes on.
    pub until: Option<Timestamp>,
    /// Whether a claim ended it.
    pub ends_with_claim: bool,
    /// How the attempt before ended.
    pub after: Option<AttemptEnd>,
}

/// What may have kept the jobs of a task waiting.
pub(super) struct Reasons {
    pub repo: Option<String>,
    pub agents: Agents,
    pub earlier: Vec<FinishedTask>,
    pub freezes: Vec<PastFreeze>,
    pub present: Present,
}

/// What keeps the jobs of a task waiting now. Nothing does where the gate does not act.
#[derive(Default)]
pub(super) struct Present {
    /// The first unfinished task of the repo, if it comes before this one.
    pub earlier: Option<ActiveTask>,
    /// Whether a freeze holds a task of the repo.
    pub freezes_hold: bool,
}

impl Reasons {
    /// The reasons of a wait, in their order.
    pub(super) fn of(&self, wait: &Wait<'_>) -> Vec<Because> {
        let mut because = Vec::new();
        let mut rest = wait.from;
        let is_before_its_end = |at: Timestamp| wait.until.is_none_or(|until| at <= until);
        if self.may_hold(wait.job) {
            let ended = self
                .earlier
                .iter()
                .filter(|task| wait.from < task.ended_at && is_before_its_end(task.ended_at));
            if let Some(last) = ended.max_by_key(|task| (task.ended_at, task.id)) {
                rest = last.ended_at;
                because.push(Because::EarlierTask {
                    task: last.id,
                    work_item: last.work_item.clone(),
                    until: Some(last.ended_at),
                });
            }
            let present = self.present.earlier.as_ref();
            if let Some(task) = present.filter(|_| wait.until.is_none()) {
                because.push(Because::EarlierTask {
                    task: task.id,
                    work_item: task.work_item_id.clone(),
                    until: None,
                });
            }
            let mut told = 0;
            for freeze in self.freezes.iter().rev() {
                let Some(from) = freeze.frozen_at.filter(|from| is_before_its_end(*from)) else {
                    continue;
                };
                let until = match (freeze.is_active, freeze.cleared_at) {
                    (true, _) if wait.until.is_none() && !self.present.freezes_hold => continue,
                    (true, _) => None,
                    (false, Some(until)) if until > wait.from && until > from => Some(until),
                    (false, _) => continue,
                };
                rest = rest.max(until.or(wait.until).unwrap_or(rest));
                told += 1;
                if told > FREEZES {
                    continue;
                }
                because.push(Because::Frozen {
                    freeze: freeze.number,
                    from,
                    until,
                    reason: freeze.reason.clone(),
                });
            }
            if let Some(count) = told.checked_sub(FREEZES).filter(|count| *count > 0) {
                because.push(Because::MoreFreezes { count });
            }
        }
        let is_delayed = matches!(
            wait.after,
            Some(AttemptEnd::PutOff | AttemptEnd::TriedAgain)
        );
        let claimed = wait.until.filter(|_| wait.ends_with_claim);
        if is_delayed {
            because.push(Because::Delay);
        } else if let Some(until) = claimed.filter(|until| rest < *until) {
            because.push(Because::NoWorker { from: rest, until });
        }
        because
    }

    /// Whether the gate may hold a job: that of a gated agent, in the repo of its task.
    fn may_hold(&self, job: &LifeJob) -> bool {
        let is_gated = job
            .agent
            .as_ref()
            .is_some_and(|agent| self.agents.contain(agent.as_bytes()));
        is_gated && job.repo == self.repo
    }
}
