//! The steps of a task's life as they are put together.
//!
//! Owns the waits and attempts of a job, one after the other, and the order of all steps. Leaves
//! what a step is to `timeline`. Callers rely on this: an attempt is told once, whether it has a row
//! or is in the row of its job.

use jiff::Timestamp;

use super::timeline::{MOST, Step, Timeline, What};
use super::timeline_waits::{Reasons, Wait};
use crate::store::{AttemptEnd, JobState, LifeAttempt, LifeJob};

/// The steps as they come.
pub(super) struct Steps {
    now: Timestamp,
    all: Vec<Step>,
}

impl Steps {
    pub(super) fn new(now: Timestamp) -> Steps {
        Steps {
            now,
            all: Vec::new(),
        }
    }

    /// Adds a step, if it is known when it began.
    pub(super) fn add(&mut self, at: Option<Timestamp>, until: Option<Timestamp>, what: What) {
        self.all.extend(at.map(|at| Step { at, until, what }));
    }

    /// Adds the waits of a job and the attempts at it, of which the last one may be in its row.
    /// `put_back` is when operators put it back.
    pub(super) fn add_job(
        &mut self,
        job: &LifeJob,
        earlier: Vec<LifeAttempt>,
        put_back: &[Timestamp],
        reasons: &Reasons,
    ) {
        let (mut since, mut after) = (job.created_at, None);
        // The row of an earlier job with this id ends before the job was added.
        let is_its = |it: &LifeAttempt| it.ended_at.is_none() || it.ended_at >= job.created_at;
        let attempts = earlier.into_iter().filter(is_its).chain(job.last.clone());
        let mut has_begun = false;
        for attempt in attempts {
            self.add_wait(job, since, attempt.claimed_at, (true, after), reasons);
            let (until, end) = match attempt.end {
                Some(end) => (attempt.ended_at, Some(end)),
                None => self.last_end(job),
            };
            has_begun = attempt.end.is_none();
            // A job that has ended for good waits again from when it was put back.
            let is_over = matches!(end, Some(AttemptEnd::Failed | AttemptEnd::Cancelled));
            let mut again = put_back.iter().copied();
            let again = again.find(|again| until.is_none_or(|until| until <= *again));
            (since, after) = (again.filter(|_| is_over).or(until), end);
            let what = What::Worked {
                job: job.id,
                agent: job.agent.clone(),
                worker: attempt.worker,
                attempt: attempt.attempt,
                goes_on: end.is_none() && job.state == Some(JobState::Running),
                end,
                error: attempt.error,
            };
            self.add(attempt.claimed_at, until, what);
        }
        // It has ended while it waited, or waits, or waits for another attempt.
        // A running job without an attempt belongs to another program.
        let is_put_off = matches!(after, Some(AttemptEnd::PutOff | AttemptEnd::TriedAgain));
        let waits = match job.state {
            Some(JobState::Queued) => true,
            Some(JobState::Running) => is_put_off,
            _ => false,
        };
        if !has_begun && (waits || job.ended_at.is_some()) {
            self.add_wait(job, since, job.ended_at, (false, after), reasons);
        }
    }

    /// When and how the last attempt ended, of which the job's columns tell.
    fn last_end(&self, job: &LifeJob) -> (Option<Timestamp>, Option<AttemptEnd>) {
        let end = match job.state {
            Some(JobState::Done) => AttemptEnd::Done,
            Some(JobState::Failed) => AttemptEnd::Failed,
            Some(JobState::Cancelled) => AttemptEnd::Cancelled,
            _ => return (job.lease_until.filter(|until| *until <= self.now), None),
        };
        (job.ended_at, Some(end))
    }

    fn add_wait(
        &mut self,
        job: &LifeJob,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        (ends_with_claim, after): (bool, Option<AttemptEnd>),
        reasons: &Reasons,
    ) {
        let Some(from) = from.filter(|from| until.is_none_or(|until| *from < until)) else {
            return;
        };
        let wait = Wait {
            job,
            from,
            until,
            ends_with_claim,
            after,
        };
        let what = What::Waited {
            job: job.id,
            agent: job.agent.clone(),
            because: reasons.of(&wait),
        };
        self.add(Some(from), until, what);
    }

    /// The last steps, in their order. `first_job` is the task's first job.
    pub(super) fn told(mut self, is_whole: bool, first_job: i64) -> Timeline {
        self.all
            .sort_by_key(|step| (step.at, step.what.place(first_job)));
        let too_many = self.all.len().saturating_sub(MOST);
        Timeline {
            steps: self.all.split_off(too_many),
            is_cut: too_many > 0 || !is_whole,
        }
    }
}
