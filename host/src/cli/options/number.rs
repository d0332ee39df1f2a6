//! Whole numbers on the command line.
//!
//! Owns what is said of a text that is not a number, and of a number that is too low or too high.

use std::fmt::Display;
use std::str::FromStr;

/// A whole number of at least this.
pub fn at_least<T>(least: T) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Copy,
{
    move |text: &str| {
        let number = text.parse().ok().filter(|number| *number >= least);
        number.ok_or_else(
            || match is_digits(text) && !text.trim_matches('0').is_empty() {
                true => "this number is too high".to_owned(),
                false => format!("write a whole number, {least} or more"),
            },
        )
    }
}

/// A whole number from one to the other.
pub fn between<T>(least: T, most: T) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Copy,
{
    move |text: &str| {
        let fits = |number: &T| (least..=most).contains(number);
        let number = text.parse().ok().filter(fits);
        number.ok_or_else(|| format!("write a whole number from {least} to {most}"))
    }
}

/// The number of something that the gate has numbered.
pub fn numbered(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| match is_digits(text) {
        true => "no number here is that high".to_owned(),
        false => "write its number".to_owned(),
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
