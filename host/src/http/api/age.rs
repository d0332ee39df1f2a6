//! The age of a time in the database.

use jiff::fmt::friendly::SpanPrinter;
use jiff::{SignedDuration, Timestamp};
use serial_gate::store::{from_sql_time, time_since};

/// The time since then. `None` if it is unknown, or further in the future than two correct clocks
/// may differ.
pub fn age_of(since: Option<Timestamp>, now: Timestamp) -> Option<SignedDuration> {
    let passed = time_since(since?, now)?;
    SignedDuration::try_from(passed).ok()
}

/// The same for a time in the database's format.
pub fn age(since: Option<&str>, now: Timestamp) -> Option<SignedDuration> {
    age_of(from_sql_time(since?), now)
}

/// In words, such as `2h 5m`: whole minutes once it is one.
pub fn in_words(age: SignedDuration) -> String {
    let rounded = match age.as_mins() {
        0 => SignedDuration::from_secs(age.as_secs()),
        minutes => SignedDuration::from_mins(minutes),
    };
    SpanPrinter::new().duration_to_string(&rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_as_many_words_as_matter() {
        for (seconds, words) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (7_500, "2h 5m"),
            (180_061, "50h 1m"),
        ] {
            assert_eq!(in_words(SignedDuration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn what_lies_a_little_ahead_was_just_now() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(
            age(Some("1970-01-01 00:00:09"), now),
            Some(SignedDuration::ZERO)
        );
    }

    #[test]
    fn what_is_not_known_or_lies_far_ahead_has_no_age() {
        let now = Timestamp::UNIX_EPOCH;
        for since in [None, Some("soon"), Some("1970-01-01 00:02:00")] {
            assert_eq!(age(since, now), None);
        }
    }
}
