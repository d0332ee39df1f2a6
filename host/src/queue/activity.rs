//! What the queue did in the last day or week: how much ended, and how long it had waited.
//!
//! Owns the spans with their buckets, and the figures of each. Leaves the rows to the store, and
//! what a single repo did to `repo_history`. Callers rely on this: buckets follow each other without
//! a gap, and the last one has the present; and a job that another program ended with its own SQL is
//! not counted, because its end was not recorded.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Error, Queue};
use crate::store::JobState;
use crate::store::first_claims;

/// How far back to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// 24 hours, each a bucket.
    Day,
    /// 28 quarters of a day.
    Week,
}

impl Span {
    /// The length of a bucket, in seconds.
    fn width(self) -> i64 {
        match self {
            Span::Day => 3_600,
            Span::Week => 6 * 3_600,
        }
    }

    fn buckets(self) -> usize {
        match self {
            Span::Day => 24,
            Span::Week => 28,
        }
    }

    /// Where each bucket begins: at whole hours of UTC. The last one has the present.
    pub(super) fn begins(self, now: Timestamp) -> Vec<Timestamp> {
        let width = self.width();
        let last = now.as_second().div_euclid(width).saturating_mul(width);
        let back = (0..self.buckets()).rev();
        back.map(|back| {
            let back = i64::try_from(back).unwrap_or_default();
            let second = last.saturating_sub(back.saturating_mul(width));
            Timestamp::from_second(second).unwrap_or(Timestamp::MIN)
        })
        .collect()
    }

    /// Where the first bucket begins, and where the last one ends.
    pub(super) fn ends(self, now: Timestamp) -> (Timestamp, Timestamp) {
        let begins = self.begins(now);
        let first = begins.first().copied().unwrap_or(now);
        let last = begins.last().copied().unwrap_or(now);
        let width = SignedDuration::from_secs(self.width());
        (first, last.checked_add(width).unwrap_or(Timestamp::MAX))
    }
}

/// What ended in a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Where the first bucket begins.
    pub from: Timestamp,
    /// Where the last bucket ends. The present is in it.
    pub until: Timestamp,
    /// The buckets, the oldest first.
    pub buckets: Vec<Bucket>,
    /// Whether there were so many jobs that the first buckets are left empty.
    pub is_cut: bool,
}

/// A part of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Where it begins.
    pub from: Timestamp,
    /// How many jobs were done.
    pub done: usize,
    /// How often a job failed for good. A job that an operator queued again may do so more than
    /// once.
    pub failed: usize,
    /// How long the jobs that ended here had waited for their first claim: half of them no longer
    /// than this. None if no such time is known.
    pub wait_median: Option<Duration>,
    /// Nine of ten no longer than this.
    pub wait_90: Option<Duration>,
}

/// How long before the span an earlier attempt of a job of the span is looked for.
const EARLIER: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Queue {
    /// What ended in a span, in one repo or in all.
    pub fn activity(
        &mut self,
        now: Timestamp,
        span: Span,
        repo: Option<&str>,
    ) -> Result<Activity, Error> {
        self.from_one_state(|queue| queue.activity_in(now, span, repo))
    }

    fn activity_in(
        &mut self,
        now: Timestamp,
        span: Span,
        repo: Option<&str>,
    ) -> Result<Activity, Error> {
        let begins = span.begins(now);
        let (from, until) = span.ends(now);
        let earlier = from.checked_sub(EARLIER).unwrap_or(Timestamp::MIN);
        let attempts = self.store.past_attempts(earlier, repo)?;
        let (jobs, is_cut) = self.store.ended_jobs(&begins, repo)?;
        let mut counts: Vec<Counts> = begins.iter().map(|_| Counts::default()).collect();
        let place = |at: Timestamp| {
            let is_before = |begin: &Timestamp| *begin <= at;
            let after = begins.partition_point(is_before);
            after.checked_sub(1).filter(|_| at < until)
        };
        for attempt in attempts.iter().filter(|attempt| attempt.has_failed) {
            let ended = attempt.ended_at.and_then(place);
            if let Some(counts) = ended.and_then(|place| counts.get_mut(place)) {
                counts.failed += 1;
            }
        }
        let first_claims = first_claims(&attempts);
        for job in jobs {
            let ended = job.until.and_then(place);
            let Some(counts) = ended.and_then(|place| counts.get_mut(place)) else {
                continue;
            };
            match job.state {
                Some(JobState::Done) => counts.done += 1,
                Some(JobState::Failed) => counts.failed += 1,
                _ => continue,
            }
            let first = first_claims.get(&job.id).copied();
            let claimed = first.filter(|first| Some(*first) >= job.created_at);
            let waited = job.created_at.zip(claimed.or(job.claimed_at));
            let waited = waited.map(|(created, claimed)| claimed.duration_since(created));
            counts
                .waits
                .extend(waited.and_then(|waited| Duration::try_from(waited).ok()));
        }
        let buckets = begins.into_iter().zip(counts);
        Ok(Activity {
            from,
            until,
            buckets: buckets.map(|(from, counts)| counts.bucket(from)).collect(),
            is_cut,
        })
    }
}

/// What is counted for a bucket.
#[derive(Default)]
struct Counts {
    done: usize,
    failed: usize,
    waits: Vec<Duration>,
}

impl Counts {
    fn bucket(mut self, from: Timestamp) -> Bucket {
        self.waits.sort_unstable();
        Bucket {
            from,
            done: self.done,
            failed: self.failed,
            wait_median: share(&self.waits, 50),
            wait_90: share(&self.waits, 90),
        }
    }
}

/// The least of the sorted times that so many percent do not exceed.
fn share(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let place = sorted.len().saturating_mul(percent).div_ceil(100);
    sorted.get(place.checked_sub(1)?).copied()
}
