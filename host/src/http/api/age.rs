//! The age of a time in the database.

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

/// In words, such as `2h 5m`: whole minutes, and whole hours once it is a day.
pub fn in_words(age: SignedDuration) -> String {
    let minutes = age.as_mins();
    match (minutes / (24 * 60), minutes / 60, minutes % 60) {
        (0, 0, 0) => "less than 1m".into(),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, 0) => format!("{hours}h"),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => match hours % 24 {
            0 => format!("{days}d"),
            hours => format!("{days}d {hours}h"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_as_many_words_as_matter() {
        for (seconds, words) in [
            (0, "less than 1m"),
            (59, "less than 1m"),
            (60, "1m"),
            (3_600, "1h"),
            (7_500, "2h 5m"),
            (180_061, "2d 2h"),
            (259_200, "3d"),
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
