//! Durations and times as people write them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, de};
use serial_gate::store::from_sql_time;

/// The form, for error texts.
pub const EXAMPLES: &str = "a time such as `90s`, `30m` or `1h 30m`";

/// A time such as `90s`, `30m` or `1h 30m`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let time = text.parse::<SignedDuration>().ok();
    time.and_then(|time| time.try_into().ok())
        .ok_or_else(|| format!("write {EXAMPLES}"))
}

/// A point in the past: a time, or how long ago it is.
pub fn past(text: &str) -> Result<Timestamp, String> {
    point(text, |ago| Timestamp::now().checked_sub(ago).ok())
}

/// A point in the future: a time, or how long until then.
pub fn future(text: &str) -> Result<Timestamp, String> {
    let time = point(text, |until| Timestamp::now().checked_add(until).ok())?;
    if time <= Timestamp::now() {
        return Err(format!("`{text}` is in the past: give a later time"));
    }
    Ok(time)
}

fn point(
    text: &str,
    of: impl Fn(SignedDuration) -> Option<Timestamp>,
) -> Result<Timestamp, String> {
    // The tables show a time as the database has it.
    let time = text.parse().ok().or_else(|| from_sql_time(text));
    let counted = || of(SignedDuration::try_from(duration(text).ok()?).ok()?);
    time.or_else(counted)
        .ok_or_else(|| "write a time such as `2026-11-28T06:00:00Z`, or `2h`".into())
}

/// A lease, which must not be 0.
pub fn lease(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => {
            Err("a lease of no time would give a job to every worker: write at least `1s`".into())
        }
        lease => Ok(lease),
    }
}

/// A lease as a key of the configuration file.
pub fn lease_in_a_file<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(text)?;
    lease(&text).map(Some).map_err(de::Error::custom)
}
