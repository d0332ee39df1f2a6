//! What is asked, as JSON.
//!
//! Owns the form of a request. Callers rely on this: a key that is missing, unknown or given twice is
//! refused by its name. In the contract `false` is the open state, and NULL holds nothing, so nothing
//! is filled in.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{Formatter, Result as Written};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};
use serde_json::value::RawValue;

use crate::object::Object;

/// Reads a request.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    match serde_json::from_str(text) {
        Ok(Object(request)) => Ok(request),
        Err(error) => Err(format!("invalid-request: {error}")),
    }
}

/// What `decide-json` is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide<'a> {
    #[serde(borrow)]
    pub settings: Object<Settings<'a>>,
    pub now: i64,
    #[serde(borrow)]
    pub tasks: Vec<Object<Task<'a>>>,
    #[serde(borrow)]
    pub jobs: Vec<Object<Job<'a>>>,
    #[serde(borrow)]
    pub freezes: Vec<Object<Freeze<'a>>>,
}

/// What `claim-clause-json` is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimClause<'a> {
    #[serde(borrow)]
    pub settings: Object<Settings<'a>>,
    pub now: i64,
    pub dialect: Dialect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings<'a> {
    pub enabled: bool,
    #[serde(borrow)]
    pub repos: Cow<'a, str>,
    pub freeze_enabled: bool,
    /// As they were written, for the policy to read.
    #[serde(default)]
    pub rules: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// A value of a text column. Most have no escape, and are not copied.
pub type Text<'a> = Option<Cow<'a, str>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task<'a> {
    pub id: Id,
    #[serde(borrow, deserialize_with = "text")]
    pub work_item_id: Text<'a>,
    #[serde(borrow, deserialize_with = "text")]
    pub repo: Text<'a>,
    #[serde(borrow, deserialize_with = "text")]
    pub stage: Text<'a>,
    #[serde(borrow, deserialize_with = "text")]
    pub gate_label: Text<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job<'a> {
    pub id: Id,
    pub task_id: Place,
    #[serde(borrow, deserialize_with = "text")]
    pub repo: Text<'a>,
    #[serde(borrow, deserialize_with = "text")]
    pub agent: Text<'a>,
    #[serde(borrow, deserialize_with = "text")]
    pub status: Text<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze<'a> {
    pub id: Id,
    #[serde(borrow, deserialize_with = "text")]
    pub repo: Text<'a>,
    #[serde(borrow, deserialize_with = "text")]
    pub frozen_at: Text<'a>,
    #[serde(borrow, deserialize_with = "text")]
    pub cleared_at: Text<'a>,
    #[serde(borrow, deserialize_with = "text")]
    pub reason: Text<'a>,
    #[serde(borrow, deserialize_with = "text")]
    pub work_item_id: Text<'a>,
}

/// A text or null. A function of ours, because serde takes a missing key for null otherwise.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Text<'de>, D::Error> {
    let texts = Texts("a text or null");
    deserializer.deserialize_any(texts)
}

/// A row's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub i64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        const WANTED: &str = "an id as a text, such as \"42\"";
        let text = deserializer.deserialize_any(Texts(WANTED))?;
        let id = text.as_deref().and_then(|text| text.parse().ok());
        id.map(Id)
            .ok_or_else(|| D::Error::custom(format!("{} is not {WANTED}", shown(&text))))
    }
}

fn shown(text: &Text<'_>) -> String {
    match text {
        Some(text) => format!("{text:?}"),
        None => "null".to_string(),
    }
}

/// A job's place in the order of tasks, by the value of `jobs.task_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub number: i64,
    /// The contract's `task-id-kind`.
    pub kind: u8,
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Place, D::Error> {
        let wanted = "the id of a task as a text, such as \"42\", or null";
        let text = deserializer.deserialize_any(Texts(wanted))?;
        Ok(text.map_or(Place::NULL, |text| Place::of(&text)))
    }
}

impl Place {
    const NULL: Place = Place { number: 0, kind: 0 };
    const AFTER_EVERY_ID: Place = Place { number: 0, kind: 3 };

    /// As SQLite sorts it in a column of integers: a text that is a number counts as the number.
    fn of(text: &str) -> Place {
        /// 2^63, the first number above all ids.
        const ABOVE: f64 = 9_223_372_036_854_775_808.0;
        if let Ok(number) = text.parse() {
            return Place { number, kind: 1 };
        }
        // Rust also reads the words `inf` and `nan`, which the database does not.
        let has_a_word = text.contains(|c: char| c.is_alphabetic() && !matches!(c, 'e' | 'E'));
        let Some(value) = text.parse::<f64>().ok().filter(|_| !has_a_word) else {
            return Place::AFTER_EVERY_ID;
        };
        if value >= ABOVE {
            return Place::AFTER_EVERY_ID;
        }
        // Toward zero, and -2^63 for what is below.
        let whole = value as i64;
        let back = whole as f64;
        let (number, kind) = match back {
            back if back == value => (whole, 1),
            back if back < value => (whole + 1, 2),
            _ => (whole, 2),
        };
        Place { number, kind }
    }
}

/// Reads a text or null, and says what was wanted.
struct Texts(&'static str);

impl<'de> Visitor<'de> for Texts {
    type Value = Text<'de>;

    fn expecting(&self, out: &mut Formatter<'_>) -> Written {
        out.write_str(self.0)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Some(Cow::Owned(text.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_has_the_place_that_the_database_gives_it() {
        for (text, number, kind) in [
            ("9007199254740993", 9_007_199_254_740_993, 1),
            ("-1", -1, 1),
            ("2.0", 2, 1),
            ("1.5", 2, 2),
            ("-1.5", -1, 2),
            ("-1e30", i64::MIN, 2),
            ("-9223372036854775808", i64::MIN, 1),
            ("9223372036854775808", 0, 3),
            ("1e30", 0, 3),
            ("soon", 0, 3),
            ("", 0, 3),
            ("nan", 0, 3),
            ("-inf", 0, 3),
            ("-Infinity", 0, 3),
            ("1e400", 0, 3),
            ("-1e400", i64::MIN, 2),
        ] {
            assert_eq!(Place::of(text), Place { number, kind }, "{text}");
        }
    }
}
