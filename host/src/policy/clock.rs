//! The time that a call is charged for.
//!
//! It is the processor's time of this thread, so that a policy is not stopped because the machine
//! has others to serve; a good policy would then be rolled back for nothing. Systems that cannot
//! tell are asked for the time of day.

use std::time::{Duration, Instant};

/// A call's clock. It belongs to the thread that started it.
pub(super) struct Clock {
    wall: Instant,
    processor: Option<Duration>,
}

/// By how much the time of day may exceed the processor's: a call on a starved machine ends, too.
const PATIENCE: u32 = 20;

impl Clock {
    pub(super) fn start() -> Clock {
        Clock {
            wall: Instant::now(),
            processor: thread_time(),
        }
    }

    /// What is left of a time; none when it is used up.
    pub(super) fn left(&self, time: Duration) -> Option<Duration> {
        let wall = self.wall.elapsed();
        let used = self
            .processor
            .and_then(|before| thread_time()?.checked_sub(before))
            .unwrap_or(wall);
        time.checked_sub(used)
            .filter(|left| !left.is_zero() && wall < time.saturating_mul(PATIENCE))
    }
}

#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::ThreadCPUTime).try_into().ok()
}

#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}
