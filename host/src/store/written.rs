//! Times that another program may have written, in any of the usual forms.
//!
//! Owns what counts as a time: SQLite's own format, ISO 8601 with `T` or a space, with `Z`, an
//! offset or neither (which is UTC), a date alone, the date of an e-mail, and the seconds,
//! milliseconds, microseconds or nanoseconds since 1970, as a number or as digits. Each is taken
//! from the year 2000 on, so that no number has two meanings and what other programs mean by
//! "never" is no time; a Julian day has no meaning. Leaves the gate's own columns to `time`, which
//! writes one format only. Callers rely on this: an unreadable value is no time, never the present
//! or 1970; and SQL never compares such a column, because each form sorts differently.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::engine::Value;
use super::time::CLOCKS_DIFFER;

/// 2000-01-01, in seconds since 1970. An earlier value was never set, or counts from another year:
/// the first day of a language's calendar, 1970 as a text, the seconds since 2001, the ticks since
/// year 1.
const EARLIEST: i64 = 946_684_800;

/// A time as it is in a row; none if it cannot be read.
pub(super) fn time_in(value: Value<'_>) -> Option<Timestamp> {
    let time = match value {
        // All but the newest nanoseconds are exact as a float, and those are right to the
        // microsecond.
        Value::Integer(number) => from_number(number as f64),
        Value::Real(number) => from_number(number),
        Value::Text(text) => std::str::from_utf8(text).ok().and_then(from_text),
        Value::Null | Value::Bytes(_) => None,
    };
    time.filter(|time| time.as_second() >= EARLIEST)
}

/// Whether a time can have been written by now: no right clock is further ahead than this.
pub(super) fn is_past(time: Timestamp, now: Timestamp) -> bool {
    let latest = now.checked_add(CLOCKS_DIFFER).unwrap_or(Timestamp::MAX);
    time <= latest
}

/// How long ago something was. Two right clocks may differ a little, so a time that is ahead by no
/// more than that counts as now; none for a time further ahead.
pub fn time_since(time: Timestamp, now: Timestamp) -> Option<Duration> {
    let passed = now.duration_since(time).max(SignedDuration::ZERO);
    is_past(time, now).then(|| passed.unsigned_abs())
}

fn from_text(text: &str) -> Option<Timestamp> {
    if let Some(time) = from_usual(text.as_bytes()) {
        return Some(time);
    }
    let text = text.trim();
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+'));
    if is_number && let Some(time) = text.parse().ok().and_then(from_number) {
        return Some(time);
    }
    from_iso(text).or_else(|| {
        let mail = rfc2822::parse(text).ok()?;
        Some(mail.timestamp())
    })
}

/// In the form of SQLite and of the gate itself, which is by far the most frequent one: read some ten
/// times as fast as by the rules of all forms.
fn from_usual(text: &[u8]) -> Option<Timestamp> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b' ',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
    ] = text
    else {
        return None;
    };
    let pair = |tens: &u8, ones: &u8| {
        let are_digits = tens.is_ascii_digit() && ones.is_ascii_digit();
        let number = || i8::try_from((tens - b'0') * 10 + (ones - b'0')).ok();
        are_digits.then(number).flatten()
    };
    let year = i16::from(pair(y1, y2)?) * 100 + i16::from(pair(y3, y4)?);
    let (month, day) = (pair(m1, m2)?, pair(d1, d2)?);
    let (hour, minute, second) = (pair(h1, h2)?, pair(n1, n2)?, pair(s1, s2)?);
    let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

/// As Python, Ruby, Go and PostgreSQL print it: date and time with a space or `T`, then perhaps an
/// offset, after a space or not, and after that perhaps the name of the zone.
fn from_iso(text: &str) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace();
    let mut time = words.next()?.to_owned();
    for word in words {
        let is_offset = word.starts_with(['+', '-']);
        let is_zone = matches!(word, "UTC" | "GMT" | "Z" | "z");
        if let Ok(timestamp) = time.parse() {
            // The time is complete; the rest may only repeat it.
            let is_name = word.bytes().all(|byte| byte.is_ascii_alphabetic());
            return (is_offset || is_name || word.starts_with("m=")).then_some(timestamp);
        }
        match word {
            _ if is_zone => time.push('Z'),
            _ if is_offset => time.push_str(word),
            // A second word is the time of the day.
            _ if time.len() <= "2026-01-31".len() => {
                time.push(' ');
                time.push_str(word);
            }
            _ => return None,
        }
    }
    time.parse().ok().or_else(|| {
        let time: DateTime = time.parse().ok()?;
        TimeZone::UTC.to_timestamp(time).ok()
    })
}

/// The first number of seconds since 1970 that is taken for one, in March 1973. A thousand times
/// this number is where seconds end and milliseconds begin.
const FIRST: f64 = 1e8;

fn from_number(number: f64) -> Option<Timestamp> {
    let seconds = match number {
        _ if !(FIRST..FIRST * 1e12).contains(&number) => return None,
        _ if number < FIRST * 1e3 => number,
        _ if number < FIRST * 1e6 => number / 1e3,
        _ if number < FIRST * 1e9 => number / 1e6,
        _ => number / 1e9,
    };
    let since_1970 = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(since_1970).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(value: Value<'_>) -> Option<Timestamp> {
        time_in(value)
    }

    #[test]
    fn one_instant_is_read_from_every_usual_form() {
        let then: Timestamp = "2026-01-31T12:30:00Z".parse().unwrap();
        for text in [
            "2026-01-31 12:30:00",
            "2026-01-31 12:30",
            "2026-01-31 12:30:00.000",
            "2026-01-31 12:30:00.000000",
            "2026-01-31T12:30:00",
            "2026-01-31T12:30",
            "2026-01-31T12:30:00Z",
            "2026-01-31T12:30:00.000Z",
            "2026-01-31t12:30:00z",
            "2026-01-31T12:30:00.000000000Z",
            "2026-01-31T12:30:00,000+00:00",
            "2026-01-31T14:30:00+02:00",
            "2026-01-31T14:30:00+0200",
            "2026-01-31T14:30:00+02",
            "2026-01-31 14:30:00+02",
            "2026-01-31 14:30+02:00",
            "2026-01-31T04:00:00-08:30",
            "2026-01-31 12:30:00Z",
            "2026-01-31 12:30:00 UTC",
            "2026-01-31 12:30:00 +0000",
            "2026-01-31 12:30:00 +0000 UTC",
            "2026-01-31 14:30:00.000000001 +0200 CEST m=+0.004",
            "20260131T123000Z",
            "2026-01-31T13:30:00+01:00[Europe/Berlin]",
            "Sat, 31 Jan 2026 12:30:00 GMT",
            "Sat, 31 Jan 2026 14:30:00 +0200",
            " 2026-01-31 12:30:00\n",
            "1769862600",
            "1769862600.0",
            "1769862600000",
            "1.7698626e+15",
            "1769862600000000000",
        ] {
            let found = read(Value::Text(text.as_bytes()));
            let second = found.map(Timestamp::as_second);
            assert_eq!(second, Some(then.as_second()), "{text}");
        }
        for length in [1, 1_000, 1_000_000, 1_000_000_000] {
            let number = then.as_second() * length;
            assert_eq!(read(Value::Integer(number)), Some(then), "{number}");
            assert_eq!(read(Value::Real(number as f64)), Some(then), "{number}");
        }
    }

    #[test]
    fn a_date_alone_is_its_midnight_and_a_fraction_counts() {
        let midnight = read(Value::Text(b"2026-01-31")).unwrap();
        assert_eq!(midnight.to_string(), "2026-01-31T00:00:00Z");
        let later = read(Value::Text(b"2026-01-31T00:00:00.25")).unwrap();
        assert_eq!(later.duration_since(midnight).as_millis(), 250);
        let later = read(Value::Real(1_769_817_600.25)).unwrap();
        assert_eq!(later.duration_since(midnight).as_millis(), 250);
    }

    #[test]
    fn what_is_no_time_is_unknown() {
        for text in [
            "",
            " ",
            "now",
            "yesterday",
            "zzz",
            "NULL",
            "0",
            "1",
            "-1",
            "2461072.02",
            "12:30",
            "12:30:00",
            "nan",
            "inf",
            "1e400",
            "1e8e8",
            "+",
            ".",
            "2026-13-01",
            "2026-02-30 12:00:00",
            "2026-01-31 25:00:00",
            "2026-01-31 12:30:00 or so",
            "2026-01-31 12:30:00+99:00",
            "2026-01-31 12:30:00 Mars",
            "0000-00-00 00:00:00",
            "\u{661}\u{662}",
            "2026-01-31 12:30:00\0",
            "0001-01-01T00:00:00Z",
            "0001-01-01 00:00:00",
            "1970-01-01 00:00:00",
            "1970-01-01T00:00:00+00:00",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "1899-12-30",
            "1999-12-31 23:59:59",
            "2000-01-01 00:00:00+01:00",
            "638741862000000000",
        ] {
            assert_eq!(read(Value::Text(text.as_bytes())), None, "{text:?}");
        }
        for number in [
            i64::MIN,
            -1_769_862_600,
            0,
            1,
            2_461_072,
            99_999_999,
            // The seconds since 2001, the ticks of .NET, and those of Windows.
            791_555_400,
            638_741_862_000_000_000,
            134_143_362_000_000_000,
            946_684_799,
        ] {
            assert_eq!(read(Value::Integer(number)), None, "{number}");
        }
        for number in [f64::NAN, f64::INFINITY, 2_461_072.02, 1e21, -0.0] {
            assert_eq!(read(Value::Real(number)), None, "{number}");
        }
        assert_eq!(read(Value::Null), None);
        assert_eq!(read(Value::Bytes(b"2026-01-31 12:30:00")), None);
        assert_eq!(read(Value::Text(b"\xff2026-01-31")), None);
    }

    #[test]
    fn what_lies_a_little_ahead_was_just_now_and_what_lies_further_ahead_is_unknown() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let since = |seconds| time_since(now + SignedDuration::from_secs(seconds), now);
        assert_eq!(since(-90), Some(Duration::from_secs(90)));
        assert_eq!(since(59), Some(Duration::ZERO));
        assert_eq!(since(61), None);
    }
}
