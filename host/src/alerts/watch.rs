//! Watching: the first job of each waiting line is looked at while the queue changes, and now and
//! then.
//!
//! Owns how often that is. What a look notes and writes is left to `store`, and whose lines they
//! are to the queue. Callers rely on this: a look that fails is said in the log, and the next one
//! follows.

use std::time::Duration;

use super::Clock;
use super::run::LOOK_ANYWAY;
use crate::queue::{Changes, Queue, with_causes};

/// How often the queue is looked at for a change. As often, files are let go of that were replaced,
/// so that the other parts of the process find what is there now.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the lines until it is cancelled: soon after a change, so that a job which does not say
/// when it was added is seen early, and each minute, because they grow old without one.
pub(super) fn watch(
    queue: &mut Queue,
    limit: Option<Duration>,
    clock: Clock<'_>,
    cancelled: &dyn Fn() -> bool,
) {
    let mut changes = Changes::new(LOOK_ANYWAY);
    while !cancelled() {
        // Read before the look, so that a change after it is not missed.
        changes.look(queue.data_version().ok());
        if let Err(error) = queue.look_at_heads(clock(), limit) {
            tracing::warn!(
                "the waiting lines are not looked at: {}",
                with_causes(&error)
            );
        }
        changes.wait(LOOK, cancelled, &mut || {
            queue.store().let_go_of_moved_files();
            queue.data_version().ok()
        });
    }
}
