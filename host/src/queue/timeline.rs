//! A task's life, from the queue to its end: each wait, each attempt, and what happened in between.
//!
//! Owns what a step is, and which rows become a step. Leaves the steps of a job to `timeline_steps`,
//! the reasons of a wait to `timeline_waits`, and the rows to the store. Callers rely on this: the
//! steps are in the order in which they began; of a long life, the first ones are left out; and what
//! has no readable time is left out.

use std::collections::HashMap;

use jiff::Timestamp;

use super::freeze_effect::Passes;
use super::timeline_steps::Steps;
use super::timeline_waits::{Because, Present, Reasons};
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
        /// Whether the job's row still has it, running.
        goes_on: bool,
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
    /// Its place among what began in the same second: with the job that it is about, in the order of
    /// their ids, and a number for the order of what is about the same job. A branch is cut for the
    /// task's `first` job.
    pub(super) fn place(&self, first: i64) -> (i64, u8) {
        match self {
            What::Added => (i64::MIN, 0),
            What::Waited { job, .. } | What::Worked { job, .. } => (*job, 1),
            What::BranchCut { .. } => (first, 2),
            What::Moved { why, .. } => (ended_job(why).unwrap_or(i64::MIN), 3),
            What::Changed(entry) => match entry.subject.strip_prefix("job ") {
                Some(job) => (job.parse().unwrap_or(i64::MAX), 0),
                None => (i64::MAX, 0),
            },
            What::PullRequest { .. } => (i64::MAX, 1),
            What::Ended { .. } => (i64::MAX, 2),
        }
    }
}

/// The job whose end moved a task, of which the audit says `job 3 is done`.
fn ended_job(why: &str) -> Option<i64> {
    why.strip_prefix("job ")?.split(' ').next()?.parse().ok()
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
                present: queue.present(now, &row)?,
                repo: row.repo.clone(),
                agents,
                earlier,
                freezes,
            };
            queue.told(now, &row, &reasons)
        })
    }

    fn present(&mut self, now: Timestamp, task: &TaskRow) -> Result<Present, Error> {
        let Some(repo) = &task.repo else {
            return Ok(Present::default());
        };
        let finished = self.gate.finished_stages();
        let effect = self.freeze_effect(now, repo);
        let is_idle = matches!(
            effect.passes,
            Some(Passes::GateOff | Passes::OutOfScope { .. } | Passes::OutOfRules)
        );
        let earlier = match is_idle {
            true => None,
            false => self.store.active_task_under(repo, &finished)?,
        };
        Ok(Present {
            earlier: earlier.filter(|earlier| earlier.id < task.id),
            freezes_hold: effect.holds,
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
        let numbers: Vec<i64> = jobs.iter().map(|job| job.id).collect();
        let most = u32::try_from(MOST).unwrap_or(u32::MAX);
        let mut audit = self.store.audit_of_task(task.id, &numbers, most)?;
        let is_whole = audit.len() < MOST && !more_jobs && !more_attempts;
        let mut steps = Steps::new(now);
        steps.add(self.store.task_created_at(task.id)?, None, What::Added);
        let mut of_jobs = HashMap::<i64, Vec<LifeAttempt>>::new();
        for attempt in attempts {
            of_jobs.entry(attempt.job).or_default().push(attempt);
        }
        for job in &jobs {
            let mut earlier = of_jobs.remove(&job.id).unwrap_or_default();
            earlier.reverse();
            steps.add_job(job, earlier, &put_back(&audit, job.id), reasons);
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
        // The newest entry is first.
        for entry in audit.into_iter().rev() {
            steps.add(from_sql_time(&entry.at), None, change(entry));
        }
        let first = numbers.iter().copied().min().unwrap_or(i64::MIN);
        Ok(steps.told(is_whole, first))
    }
}

/// When operators put a job back, the earliest time first.
fn put_back(audit: &[AuditEntry], job: i64) -> Vec<Timestamp> {
    let subject = format!("job {job}");
    let is_its = |entry: &&AuditEntry| entry.action == "job requeue" && entry.subject == subject;
    let of_job = audit.iter().rev().filter(is_its);
    of_job
        .filter_map(|entry| from_sql_time(&entry.at))
        .collect()
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
