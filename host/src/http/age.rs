//! How long ago something was that the database has written down.

use jiff::fmt::friendly::SpanPrinter;
use jiff::{SignedDuration, Timestamp};
use serial_gate::store::from_sql_time;

/// The time since then; none if it is not known. A clock that was set back makes it none at all.
pub fn age(since: Option<&str>, now: Timestamp) -> Option<SignedDuration> {
    let age = now.duration_since(from_sql_time(since?)?);
    Some(age.max(SignedDuration::ZERO))
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
    fn what_lies_ahead_was_just_now() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(
            age(Some("1970-01-01 00:00:09"), now),
            Some(SignedDuration::ZERO)
        );
        assert_eq!(age(None, now), None);
    }
}
