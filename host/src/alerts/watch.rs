//! Watches how long the first job of each repo waits, whether a task came after a later one, and
//! whether the time of a freeze is over.
//!
//! Owns how often it looks: after changes of the queue, and every minute. Leaves to `queue` and
//! `store` which jobs these are, and what is written. A failed look is logged, and the next one
//! follows.

use std::time::Duration;

use super::Clock;
use super::run::LOOK_ANYWAY;
use crate::error::with_causes;
use crate::queue::{Changes, Queue};

/// How often to look for a change. As often, a replaced database file is let go of, so that the
/// other parts of the process find the new one.
const LOOK: Duration = Duration::from_secs(1);

/// Looks until cancelled: soon after a change, so that a job without a `created_at` is dated
/// early, and every minute, because jobs also age without a change.
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
            tracing::warn!("cannot look at the waiting jobs: {}", with_causes(&error));
        }
        if let Err(error) = queue.store().remind_of_freezes(clock()) {
            tracing::warn!(
                "cannot look for freezes that are over: {}",
                with_causes(&error)
            );
        }
        if let Err(error) = queue.store().tell_of_late_tasks(clock()) {
            tracing::warn!("cannot look for late tasks: {}", with_causes(&error));
        }
        changes.wait(LOOK, cancelled, &mut || {
            queue.store().let_go_of_moved_files();
            queue.data_version().ok()
        });
    }
}
