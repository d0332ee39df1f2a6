//! Whether something happened a short while ago.

use std::time::Duration;

use jiff::Timestamp;

/// Whether a time is less than `a_while` ago. A time in the future is not recent: the clock was put
/// back since, and nothing should wait until it has caught up.
pub(crate) fn is_recent(then: Timestamp, now: Timestamp, a_while: Duration) -> bool {
    then <= now && now.duration_since(then).unsigned_abs() < a_while
}
