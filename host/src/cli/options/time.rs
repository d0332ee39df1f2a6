//! Durations as people write them.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de};

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
