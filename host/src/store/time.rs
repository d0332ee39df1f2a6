//! Points in time as the gate itself keeps them: UTC text such as `2026-01-31 12:00:00`, the format
//! of the reference's tables. It sorts as the times do. `written` reads what other programs write.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde::{Serialize, Serializer};

use super::engine::Value;
use super::written::time_in;

/// A point in time, to the second, in the database's format.
pub fn sql_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A point in time from the database's format; none if the text is something else.
pub fn from_sql_time(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

/// A stored time as JSON has it: by RFC 3339, such as `2026-01-31T12:00:00Z`. Another program's text
/// that is not a time stays as it is.
pub fn json_time(stored: &str) -> String {
    let time = time_in(Value::Text(stored.as_bytes()));
    time.map_or_else(|| stored.to_owned(), |time| time.to_string())
}

/// For `serialize_with`.
pub(crate) fn rfc3339<S: Serializer>(stored: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&json_time(stored))
}

/// For `serialize_with`.
pub(crate) fn maybe_rfc3339<S: Serializer>(
    stored: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    stored.as_deref().map(json_time).serialize(serializer)
}

/// When a lease that begins now ends, or the last representable time if it is longer. The database
/// keeps whole seconds, and a lease is never shorter than requested.
pub fn lease_end(now: Timestamp, lease: Duration) -> Timestamp {
    let lease = SignedDuration::try_from(lease).unwrap_or(SignedDuration::MAX);
    let end = now.checked_add(lease).unwrap_or(Timestamp::MAX);
    let whole = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(RoundMode::Ceil);
    end.round(whole).unwrap_or(end)
}

/// How much two right clocks may differ.
pub(super) const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// The latest time that a right clock can have written by now, for a time this far ahead. Anything
/// that sorts later was written by a clock ahead, or is not a time.
pub(super) fn latest(now: Timestamp, ahead: Duration) -> String {
    sql_time(lease_end(now, ahead.saturating_add(CLOCKS_DIFFER)))
}

/// A duration as a column keeps it: in whole seconds, rounded up.
pub(super) fn whole_seconds(time: Duration) -> i64 {
    let seconds = time
        .as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0));
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc_to_the_second() {
        let time: Timestamp = "2026-01-31T13:00:00.75+01:00".parse().unwrap();
        assert_eq!(sql_time(time), "2026-01-31 12:00:00");
        let whole = from_sql_time("2026-01-31 12:00:00").unwrap();
        assert_eq!(sql_time(whole), "2026-01-31 12:00:00");
        assert_eq!(from_sql_time("yesterday"), None);
    }

    #[test]
    fn a_lease_is_never_shorter_than_was_asked_for() {
        let now: Timestamp = "2026-01-31T12:00:00.9Z".parse().unwrap();
        assert_eq!(
            sql_time(lease_end(now, Duration::from_secs(1))),
            "2026-01-31 12:00:02"
        );
        assert_eq!(
            sql_time(lease_end(now, Duration::MAX)),
            sql_time(Timestamp::MAX)
        );
    }
}
