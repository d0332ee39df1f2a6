//! How long ago something was that this process has done.

use std::time::Duration;

use jiff::Timestamp;

/// Whether that was less than a while ago. A time in the future was not: the clock was put back
/// since, and nothing waits until it is as late again.
pub(crate) fn is_recent(then: Timestamp, now: Timestamp, a_while: Duration) -> bool {
    then <= now && now.duration_since(then).unsigned_abs() < a_while
}
