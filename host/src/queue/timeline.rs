//! A task's life, from the queue to its end: each wait, each attempt, and what happened in between.
//!
//! Owns what a step is, and which rows become a step. Leaves the steps of a job to `timeline_steps`,
//! the reasons of a wait to `timeline_waits`, and the rows to the store. Callers rely on this: the
//! steps are in the order in which they began; of a long life, the first ones are left out; and what
//! has no readable time is left out.

use std::collections::HashMap;

use jiff::Timestamp;

use super::timeline_steps::Steps;
use super::timeline_waits::{Because, Reasons};
use super::{Error, Queue};
use crate::store::{
    self, AttemptEnd, AuditEntry, LifeAttempt, PullState, TaskOutcome, TaskRow, from_sql_time,
};

/// How many steps are told, the last ones.
pub(super) const MOST: usize = 200;

/// A task's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Its steps, in the order in which they began.
    pub steps: Vec<Step>,
    /// Whether it began with more steps.
    pub is_cut: bool,
}

/// Something that happened, or went on for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it began.
    pub at: Timestamp,
    /// When it ended; none for a moment, for what still goes on, and where nobody has recorded it.
    pub until: Option<Timestamp>,
    /// What it was.
    pub what: What,
}

/// What happened to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It was added.
    Added,
    /// A job of it waited, or waits.
    Waited {
        /// The job.
        job: i64,
        /// Whose it is.
        agent: Option<String>,
        /// Why, in order. Of a wait that goes on, `explain` tells more.
        because: Vec<Because>,
    },
    /// A worker worked on a job of it, or does.
    Worked {
        /// The job.
        job: i64,
        /// Whose it is.
        agent: Option<String>,
        /// The worker.
        worker: String,
        /// Which attempt it was.
        attempt: i64,
        /// How it ended; none while it goes on, or if its lease is over.
        end: Option<AttemptEnd>,
        /// What went wrong.
        error: Option<String>,
    },
    /// It went to another stage.
    Moved {
        /// The stage before.
        from: Option<String>,
        /// The stage.
        to: Option<String>,
        /// Who moved it: an operator, or the worker whose job was done.
        who: String,
        /// Why.
        why: String,
    },
    /// Its branch was cut.
    BranchCut {
        /// The branch.
        branch: String,
        /// From where.
        base: String,
    },
    /// The forge told of its pull request. Only the last news of an unfinished task is known.
    PullRequest {
        /// Its state.
        state: PullState,
        /// Who changed that, by the forge's name for them.
        who: String,
        /// Its page.
        url: Option<String>,
    },
    /// An operator changed the task or a job of it in another way.
    Changed(AuditEntry),
    /// It ended.
    Ended {
        /// How.
        outcome: TaskOutcome,
        /// Who ended it, if that is known.
        who: Option<String>,
        /// Why.
        why: Option<String>,
    },
}

impl What {
    /// What comes first of what began in one second.
    pub(super) fn rank(&self) -> u8 {
        match self {
            What::Added => 0,
            What::Moved { .. } | What::Changed(_) => 1,
            What::Waited { .. } => 2,
            What::Worked { .. } => 3,
            What::BranchCut { .. } => 4,
            What::PullRequest { .. } => 5,
            What::Ended { .. } => 6,
        }
    }
}

impl Queue {
    /// The life of a task. Fails when there is no such task.
    pub fn timeline(&mut self, now: Timestamp, task: i64) -> Result<Timeline, Error> {
        let agents = self.gated_agents(now);
        self.from_one_state(|queue| {
            let row = queue.store.task(task)?;
            let row = row.ok_or(store::Error::NoTask { id: task })?;
            let (earlier, freezes) = match &row.repo {
                None => (Vec::new(), Vec::new()),
                Some(repo) => {
                    let finished = queue.gate.finished_stages();
                    let earlier = queue.store.finished_before(repo, task, &finished)?;
                    (earlier, queue.store.past_freezes(repo)?)
                }
            };
            let reasons = Reasons {
                repo: row.repo.clone(),
                agents,
                earlier,
                freezes,
            };
            queue.told(now, &row, &reasons)
        })
    }

    fn told(
        &mut self,
        now: Timestamp,
        task: &TaskRow,
        reasons: &Reasons,
    ) -> Result<Timeline, Error> {
        let (jobs, more_jobs) = self.store.jobs_of_task(task.id)?;
        let (attempts, more_attempts) = self.store.attempts_at_task(task.id)?;
        let mut steps = Steps::new(now);
        steps.add(self.store.task_created_at(task.id)?, None, What::Added);
        let mut of_jobs = HashMap::<i64, Vec<LifeAttempt>>::new();
        for attempt in attempts {
            of_jobs.entry(attempt.job).or_default().push(attempt);
        }
        for job in &jobs {
            let mut earlier = of_jobs.remove(&job.id).unwrap_or_default();
            earlier.reverse();
            steps.add_job(job, earlier, reasons);
        }
        if let Some(branch) = self.store.branch(task.id)? {
            let cut_at = branch.cut_at.as_deref().and_then(from_sql_time);
            if let Some(pull) = branch.pull_request {
                let what = What::PullRequest {
                    state: pull.state,
                    who: pull.who,
                    url: pull.url,
                };
                steps.add(from_sql_time(&pull.at), None, what);
            }
            let what = What::BranchCut {
                branch: branch.name,
                base: branch.base,
            };
            steps.add(cut_at, None, what);
        }
        let numbers: Vec<i64> = jobs.iter().map(|job| job.id).collect();
        let most = u32::try_from(MOST).unwrap_or(u32::MAX);
        let mut audit = self.store.audit_of_task(task.id, &numbers, most)?;
        let is_whole = audit.len() < MOST && !more_jobs && !more_attempts;
        if let Some(outcome) = self.outcome(task.id)? {
            let is_its_end = |entry: &AuditEntry| {
                entry.action.starts_with("task ")
                    && entry.after == task.stage
                    && Some(&entry.at) == task.since.as_ref()
            };
            let by = audit.iter().position(is_its_end);
            let by = by.map(|place| audit.remove(place));
            let what = What::Ended {
                outcome,
                who: by.as_ref().map(|by| by.who.clone()),
                why: by.map(|by| by.why).filter(|why| !why.is_empty()),
            };
            steps.add(task.since.as_deref().and_then(from_sql_time), None, what);
        }
        for entry in audit {
            steps.add(from_sql_time(&entry.at), None, change(entry));
        }
        Ok(steps.told(is_whole))
    }
}

/// What an entry of the audit tells.
fn change(entry: AuditEntry) -> What {
    match entry.action.as_str() {
        "task stage" => What::Moved {
            from: entry.before,
            to: entry.after,
            who: entry.who,
            why: entry.why,
        },
        _ => What::Changed(entry),
    }
}
