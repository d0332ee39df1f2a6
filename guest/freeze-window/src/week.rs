//! Times of the week.
//!
//! Owns their notation: days `mon` to `sun`, times from `00:00` to `23:59`, an offset from UTC such
//! as `+01:00`. `zone` owns the places whose offset changes.

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::Deserialize;
use serial_gate_default_policy::snapshot::Timestamp;

const MINUTE: i64 = 60;
/// A day, in seconds.
pub const DAY: i64 = 24 * 60 * MINUTE;
const WEEK: i64 = 7 * DAY;

/// 1970-01-01 was a Thursday.
const THURSDAY: i64 = 3 * DAY;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The largest offset from UTC of any place, in minutes.
const FARTHEST: i64 = 14 * 60;

/// A time of the week: seconds since the start of Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct WeekTime(i64);

/// How far a place's clocks are ahead of UTC, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UtcOffset(i64);

impl WeekTime {
    /// The time of the week that clocks show which are `ahead` of UTC by so many seconds.
    pub fn at(now: Timestamp, ahead: i64) -> WeekTime {
        // Reduced first, so that the sum cannot overflow.
        let utc = now.rem_euclid(WEEK);
        WeekTime((utc + THURSDAY + ahead).rem_euclid(WEEK))
    }

    /// How many seconds a clock takes from this time to the next one like `other`: less than a
    /// week, and 0 if they are equal.
    pub fn seconds_to(self, other: WeekTime) -> i64 {
        (other.0 - self.0).rem_euclid(WEEK)
    }

    /// How many seconds a clock takes from this time to a later one like `other`: never 0.
    pub fn seconds_until(self, other: WeekTime) -> i64 {
        match self.seconds_to(other) {
            0 => WEEK,
            seconds => seconds,
        }
    }
}

impl UtcOffset {
    /// How far the clocks are ahead of UTC, in seconds.
    pub fn seconds(self) -> i64 {
        self.0
    }
}

impl TryFrom<String> for WeekTime {
    type Error = String;

    fn try_from(text: String) -> Result<WeekTime, String> {
        week_time(&text).ok_or_else(|| {
            let text = text.escape_debug();
            format!(
                "`{text}` is not a time of the week: write a day and a time, such as `fri 16:00`"
            )
        })
    }
}

impl TryFrom<String> for UtcOffset {
    type Error = String;

    fn try_from(text: String) -> Result<UtcOffset, String> {
        utc_offset(&text).ok_or_else(|| {
            let text = text.escape_debug();
            format!(
                "`{text}` is not an offset from UTC: write hours and minutes up to 14:00 with \
                 their sign, such as `+01:00`"
            )
        })
    }
}

fn week_time(text: &str) -> Option<WeekTime> {
    let (day, time) = text.split_once(' ')?;
    let (_, start) = DAYS
        .iter()
        .zip((0..).step_by(DAY as usize))
        .find(|(name, _)| **name == day)?;
    let minutes = minutes(time).filter(|minutes| minutes * MINUTE < DAY)?;
    Some(WeekTime(start + minutes * MINUTE))
}

fn utc_offset(text: &str) -> Option<UtcOffset> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let minutes = minutes(text).filter(|minutes| *minutes <= FARTHEST)?;
    Some(UtcOffset(sign * minutes * MINUTE))
}

/// `HH:MM` in minutes.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let minutes = two_digits(minutes).filter(|minutes| *minutes < 60)?;
    Some(two_digits(hours)? * 60 + minutes)
}

/// `parse` alone would accept a sign, and any length.
fn two_digits(text: &str) -> Option<i64> {
    let is_exact = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_exact.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for WeekTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = usize::try_from(self.0 / DAY).ok();
        let day = day.and_then(|day| DAYS.get(day)).unwrap_or(&"");
        let minutes = self.0 % DAY / MINUTE;
        write!(f, "{day} {:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let minutes = self.0.abs() / MINUTE;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}
