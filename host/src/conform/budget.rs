//! The time that a check may take.
//!
//! Owns the clock. Each call of a policy ends within its own limit; this bounds the number of
//! calls. Callers ask between two calls.

use std::time::{Duration, Instant};

/// A time, and when it began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    begun: Instant,
    total: Duration,
}

impl Budget {
    /// A time that begins now.
    pub(super) fn new(total: Duration) -> Budget {
        Budget {
            begun: Instant::now(),
            total,
        }
    }

    /// Whether it is over.
    pub(super) fn is_spent(&self) -> bool {
        self.begun.elapsed() >= self.total
    }

    /// Whether one part of so many is over.
    pub(super) fn is_spent_to(&self, part: u32) -> bool {
        self.begun.elapsed() >= self.total / part.max(1)
    }

    /// What remains of it.
    pub(super) fn left(&self) -> Duration {
        self.total.saturating_sub(self.begun.elapsed())
    }

    /// Why a stage ends before its end.
    pub(super) fn spent_after(&self, done: usize, all: usize, what: &str) -> String {
        let total = self.total.as_secs_f64();
        format!(
            "the check's {total} s were over after {done} of {all} {what}: make the policy's \
             answers faster, or give it less to do in `rules`"
        )
    }
}
