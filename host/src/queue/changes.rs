//! Notices that another connection has changed the database.
//!
//! Owns the comparison of versions and the pause between two looks, for everything that waits for a
//! change: a claim, the service, a command, a sender of alerts. A look is one cheap read. Callers
//! rely on this: a caller that looks first and reads then never misses a change.

use std::thread;
use std::time::{Duration, Instant};

/// How soon a wait notices that it is to end.
const SLICE: Duration = Duration::from_millis(250);

/// What was seen of a database so far.
#[derive(Debug)]
pub struct Changes {
    seen: Option<i64>,
    at: Instant,
    at_most: Duration,
}

impl Changes {
    /// The first look finds a change, and so does one after `at_most`: some things change with time
    /// only, such as a lease that runs out.
    pub fn new(at_most: Duration) -> Changes {
        Changes {
            seen: None,
            at: Instant::now(),
            at_most,
        }
    }

    /// Whether there is something new since the last look that found something. `version` is the
    /// database's; without one, it is not known, and counts as new.
    pub fn look(&mut self, version: Option<i64>) -> bool {
        let is_new = version.is_none() || version != self.seen || self.at.elapsed() >= self.at_most;
        if is_new {
            self.seen = version;
            self.at = Instant::now();
        }
        is_new
    }

    /// The next look finds something new.
    pub fn forget(&mut self) {
        self.seen = None;
    }

    /// Looks at `version` every so often, until there is something new or it is cancelled.
    pub fn wait(
        &mut self,
        every: Duration,
        cancelled: &dyn Fn() -> bool,
        version: &mut dyn FnMut() -> Option<i64>,
    ) {
        loop {
            pause(every, cancelled);
            if cancelled() || self.look(version()) {
                return;
            }
        }
    }
}

/// Sleeps for a time, or until it is cancelled.
pub fn pause(time: Duration, cancelled: &dyn Fn() -> bool) {
    let begun = Instant::now();
    while !cancelled()
        && let Some(left) = time.checked_sub(begun.elapsed())
    {
        thread::sleep(left.min(SLICE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_found_once() {
        let mut changes = Changes::new(Duration::MAX);
        assert_eq!(
            [1, 1, 2, 2].map(|version| changes.look(Some(version))),
            [true, false, true, false]
        );
        changes.forget();
        assert!(changes.look(Some(2)));
    }

    #[test]
    fn what_is_not_known_is_new() {
        let mut changes = Changes::new(Duration::MAX);
        assert!(changes.look(Some(1)));
        assert!(changes.look(None) && changes.look(None) && changes.look(Some(1)));
    }

    #[test]
    fn after_a_time_there_is_something_new_without_a_change() {
        let mut changes = Changes::new(Duration::ZERO);
        assert!(changes.look(Some(1)) && changes.look(Some(1)));
    }

    #[test]
    fn a_wait_ends_with_a_change_or_when_it_is_cancelled() {
        let mut changes = Changes::new(Duration::MAX);
        let mut versions = [1, 1, 2].into_iter();
        assert!(changes.look(Some(1)));
        changes.wait(Duration::ZERO, &|| false, &mut || versions.next());
        assert_eq!(versions.next(), None);
        changes.wait(Duration::MAX, &|| true, &mut || Some(2));
    }
}
