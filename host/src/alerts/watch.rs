//! Watching: the first job of each waiting line is looked at while the queue changes, and now and
//! then.
//!
//! Owns how often that is. What a look notes and writes is left to `store`, and whose lines they
//! are to the queue. Callers rely on this: a look that fails is said in the log, and the next one
//! follows.

use std::time::Duration;

use super::Clock;
use super::run::{LOOKS_AT_MOST, pause};
use crate::error::with_causes;
use crate::queue::Queue;

/// After how many looks of a sender the queue is looked at for a change: a second. As often, files
/// are let go of that were replaced, so that the other parts of the process find what is there now.
const LOOKS: u32 = 4;

/// Looks at the lines until it is over: soon after a change, so that a job which does not say when
/// it was added is seen early, and each minute, because they grow old without one.
pub(super) fn watch(
    queue: &mut Queue,
    limit: Option<Duration>,
    clock: Clock<'_>,
    is_over: &dyn Fn() -> bool,
) {
    while !is_over() {
        // Read before the look, so that a change after it is not missed.
        let seen = queue.data_version().ok();
        if let Err(error) = queue.look_at_heads(clock(), limit) {
            tracing::warn!(
                "the waiting lines are not looked at: {}",
                with_causes(&error)
            );
        }
        for _ in 0..LOOKS_AT_MOST / LOOKS {
            pause(LOOKS, is_over);
            queue.store().let_go_of_moved_files();
            if is_over() || queue.data_version().ok() != seen {
                break;
            }
        }
    }
}
