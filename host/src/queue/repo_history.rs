//! What a repo did in the last day or week: when work was done in it, when jobs waited, and when it
//! was frozen.
//!
//! Owns the three lanes, and how they are made short. Leaves the spans to `activity`, and the rows to
//! the store. Callers rely on this: the stretches of a lane are in order, do not touch each other,
//! and lie between the begin of the span and the present; a lane has few of them, however many jobs
//! there were. What has no readable time is left out.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::activity::Span;
use super::{Error, Queue};

/// How many stretches a lane has at most.
const MOST: usize = 300;

/// What a repo did in a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoHistory {
    /// Where the span begins.
    pub from: Timestamp,
    /// Where it ends. The present is before that, and no stretch goes on after it.
    pub until: Timestamp,
    /// While a worker had a job.
    pub working: Past,
    /// While a job waited that had not ended: for its first claim, or for the next one.
    pub waiting: Past,
    /// While a freeze was active.
    pub frozen: Past,
    /// Whether there were so many jobs that the oldest are left out.
    pub is_cut: bool,
}

/// When something was so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// The stretches of time, the first one first.
    pub stretches: Vec<Stretch>,
    /// How long it was so.
    pub long: SignedDuration,
    /// Whether there were so many stretches that the shortest gaps between them were closed.
    pub is_coarse: bool,
}

/// A part of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends, later than it begins.
    pub until: Timestamp,
}

impl Queue {
    /// What a repo did in a span.
    pub fn repo_history(
        &mut self,
        now: Timestamp,
        span: Span,
        repo: &str,
    ) -> Result<RepoHistory, Error> {
        self.from_one_state(|queue| queue.repo_history_in(now, span, repo))
    }

    fn repo_history_in(
        &mut self,
        now: Timestamp,
        span: Span,
        repo: &str,
    ) -> Result<RepoHistory, Error> {
        let (from, until) = span.ends(now);
        let [mut working, mut waiting, mut frozen] = [(); 3].map(|()| Lane {
            from,
            now,
            stretches: Vec::new(),
        });
        let mut attempts = HashMap::<i64, Vec<Stretch>>::new();
        for attempt in self.store.past_attempts(from, Some(repo))? {
            if let Some((from, until)) = attempt.claimed_at.zip(attempt.ended_at) {
                working.add(Some(from), Some(until));
                let of_job = attempts.entry(attempt.job).or_default();
                of_job.push(Stretch { from, until });
            }
        }
        let (mut jobs, is_cut) = self.store.ended_jobs_of(&span.begins(now), repo)?;
        let has_ended = jobs.len();
        jobs.extend(self.store.running_jobs(repo)?);
        jobs.extend(self.store.waiting_jobs(repo)?);
        for (place, job) in jobs.into_iter().enumerate() {
            let until = match place < has_ended {
                true => job.until,
                false => Some(now),
            };
            if job.claimed_at.is_some() {
                // A lease may end later.
                working.add(job.claimed_at, job.until.or(Some(now)));
            }
            // It waits from one attempt to the next.
            let mut since = job.created_at;
            let mut earlier = attempts.remove(&job.id).unwrap_or_default();
            earlier.sort_unstable();
            for attempt in earlier {
                // The row of an earlier job with this id ends before the job was added.
                if job.created_at.is_none_or(|created| created < attempt.until) {
                    waiting.add(since, Some(attempt.from));
                    since = Some(attempt.until);
                }
            }
            waiting.add(since, job.claimed_at.or(until));
        }
        for freeze in self.store.past_freezes(repo)? {
            let until = match freeze.is_active {
                true => Some(now),
                false => freeze.cleared_at,
            };
            frozen.add(freeze.frozen_at, until);
        }
        Ok(RepoHistory {
            from,
            until,
            working: Past::of(working.merged()),
            waiting: Past::of(waiting.merged()),
            frozen: Past::of(frozen.merged()),
            is_cut,
        })
    }
}

/// The stretches of a lane as they come.
struct Lane {
    from: Timestamp,
    now: Timestamp,
    stretches: Vec<Stretch>,
}

impl Lane {
    /// Adds what lies in the span. Both times have to be known.
    fn add(&mut self, from: Option<Timestamp>, until: Option<Timestamp>) {
        let Some((from, until)) = from.zip(until) else {
            return;
        };
        let (from, until) = (from.max(self.from), until.min(self.now));
        if from < until {
            self.stretches.push(Stretch { from, until });
        }
    }

    /// One stretch for all that overlap or touch.
    fn merged(mut self) -> Vec<Stretch> {
        self.stretches.sort_unstable();
        let mut merged: Vec<Stretch> = Vec::new();
        for next in self.stretches {
            match merged.last_mut() {
                Some(last) if next.from <= last.until => last.until = last.until.max(next.until),
                _ => merged.push(next),
            }
        }
        merged
    }
}

impl Past {
    /// Of very many stretches, the shortest gaps are closed. How long it was so does not change.
    fn of(merged: Vec<Stretch>) -> Past {
        let long = merged.iter().map(|one| one.until.duration_since(one.from));
        let long = long.sum();
        let gap = |pair: &[Stretch]| match pair {
            [before, after] => after.from.duration_since(before.until),
            _ => SignedDuration::ZERO,
        };
        let mut gaps: Vec<(SignedDuration, usize)> = merged.windows(2).map(gap).zip(1..).collect();
        gaps.sort_unstable_by(|one, other| other.cmp(one));
        let closed: BTreeSet<usize> = gaps
            .iter()
            .skip(MOST - 1)
            .map(|(_, place)| *place)
            .collect();
        let mut stretches: Vec<Stretch> = Vec::new();
        for (place, next) in merged.into_iter().enumerate() {
            match stretches.last_mut() {
                Some(last) if closed.contains(&place) => last.until = next.until,
                _ => stretches.push(next),
            }
        }
        Past {
            stretches,
            long,
            is_coarse: !closed.is_empty(),
        }
    }
}
