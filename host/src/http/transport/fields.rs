//! How single values of bodies and query strings are read, and what is said of an unreadable value.
//!
//! Owns functions for `deserialize_with`. Callers rely on this: a refusal says what to send.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::{self, Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// A whole number. `1.0` is one, too: JSON Schema does not tell it from `1`.
pub fn whole<'de, D: Deserializer<'de>, T: TryFrom<i64>>(number: D) -> Result<T, D::Error> {
    struct Whole;
    impl Visitor<'_> for Whole {
        type Value = i64;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a whole number")
        }
        fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
            Ok(number)
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
            i64::try_from(number).map_err(|_| E::custom(format!("`{number}` is too high")))
        }
        fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
            // Beyond that, not every whole number has a float.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            if number.fract() == 0.0 && number.abs() <= EXACT {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "it is whole, and that small"
                )]
                return Ok(number as i64);
            }
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }
    }
    let number = number.deserialize_i64(Whole)?;
    let unexpected = || D::Error::invalid_value(Unexpected::Signed(number), &"one in its range");
    T::try_from(number).map_err(|_| unexpected())
}

/// An optional whole number.
pub fn maybe_whole<'de, D: Deserializer<'de>>(number: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "whole")] i64);
    Ok(Option::<Number>::deserialize(number)?.map(|Number(number)| number))
}

/// An optional point in time, as RFC 3339 has it.
pub fn maybe_time<'de, D: Deserializer<'de>>(time: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(time)? else {
        return Ok(None);
    };
    // A space may be a `+` that was not escaped.
    let time = text.parse().or_else(|_| text.replace(' ', "+").parse());
    time.map(Some)
        .map_err(|_| D::Error::custom("write a time such as `2026-11-28T06:00:00Z`"))
}

/// A claim's token. Older versions gave numbers, which are accepted as numbers and as text.
pub fn token<'de, D: Deserializer<'de>>(token: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a token: the text that the claim gave")]
    enum Token {
        Text(String),
        Number(i64),
    }
    Ok(match Token::deserialize(token)? {
        Token::Text(text) => text,
        Token::Number(number) => number.to_string(),
    })
}

/// An optional token.
pub fn maybe_token<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Shown(#[serde(deserialize_with = "token")] String);
    Ok(Option::<Shown>::deserialize(value)?.map(|Shown(token)| token))
}

/// A value that may be left out. If it is given, it may be null only if `T` may.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// A whole number in a query string.
pub fn number<'de, D: Deserializer<'de>, T: FromStr>(text: D) -> Result<T, D::Error> {
    let text = String::deserialize(text)?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let remedy = match is_number {
        true => "this number is too high",
        false => "send a whole number",
    };
    read(&text, remedy)
}

/// The same, which may be left out.
pub fn maybe_number<'de, D: Deserializer<'de>>(text: D) -> Result<Option<i64>, D::Error> {
    number(text).map(Some)
}

/// A yes or no in a query string.
pub fn flag<'de, D: Deserializer<'de>>(text: D) -> Result<bool, D::Error> {
    read(&String::deserialize(text)?, "send `true` or `false`")
}

/// The same, which may be left out.
pub fn maybe_flag<'de, D: Deserializer<'de>>(text: D) -> Result<Option<bool>, D::Error> {
    flag(text).map(Some)
}

fn read<T: FromStr, E: de::Error>(text: &str, remedy: &str) -> Result<T, E> {
    let unread = || E::custom(format!("`{}`: {remedy}", text.escape_debug()));
    text.parse().map_err(|_| unread())
}
