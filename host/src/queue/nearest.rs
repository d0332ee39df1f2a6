//! The names that a mistyped one may have meant.
//!
//! Owns what counts as near: the same except for case, space and invisible characters; the last
//! part of a path; a few letters changed, left out, added or swapped. Leaves the names to `known`.

use std::fmt::Write as _;

use crate::printable::is_invisible;

/// How many are named.
const MOST: usize = 3;

/// A longer name is not compared letter by letter: that costs the square of its length, and such a
/// name is not typed.
const LONGEST: usize = 200;

/// The nearest of the known names, the nearest first.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let folded = folded(name);
    let mut near: Vec<(usize, &String)> = known
        .into_iter()
        .filter(|other| *other != name)
        .filter_map(|other| Some((distance(&folded, other)?, other)))
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter()
        .take(MOST)
        .map(|(_, other)| other.clone())
        .collect()
}

/// How far a known name is; none if it is too far to have been meant.
fn distance(name: &str, known: &str) -> Option<usize> {
    let known = folded(known);
    if name == known {
        return Some(0);
    }
    let last = |path: &str| path.rsplit('/').next().map(str::to_owned);
    if !name.is_empty()
        && !known.is_empty()
        && (last(name) == Some(known.clone()) || last(&known).as_deref() == Some(name))
    {
        return Some(1);
    }
    let length = name.chars().count().max(known.chars().count());
    if length > LONGEST {
        return None;
    }
    // A third of the letters, and at least one: `alhpa` for `alpha`, but not `beta`.
    let most = (length / 3).clamp(1, 4);
    let distance = strsim::osa_distance(name, &known);
    (distance <= most && distance < length).then_some(distance + 1)
}

/// Without what is not seen or easily mistaken: case, space around, and characters that leave no
/// mark.
fn folded(name: &str) -> String {
    let visible = name.chars().filter(|c| !is_invisible(*c));
    visible.collect::<String>().trim().to_lowercase()
}

/// `` `a`, `b` or `c` ``, with what cannot be seen escaped.
pub fn named(names: &[String], last: &str) -> String {
    let mut text = String::new();
    for (at, name) in names.iter().enumerate() {
        let before = match at {
            0 => "",
            at if at + 1 == names.len() => last,
            _ => ", ",
        };
        // Writing to a string does not fail.
        let _ = write!(text, "{before}`{}`", name.escape_debug());
    }
    text
}

/// `did you mean …?`; empty if nothing is near.
pub fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() {
        String::new()
    } else {
        format!(": did you mean {}?", named(near, " or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(name: &str) -> Vec<String> {
        let known = ["alpha", "alpha-web", "beta", "org/app", "Gamma"].map(String::from);
        nearest(name, &known)
    }

    #[test]
    fn slips_of_the_pen_are_near() {
        for (name, meant) in [
            ("alhpa", "alpha"),
            ("alpa", "alpha"),
            ("alphaa", "alpha"),
            ("Alpha", "alpha"),
            ("alpha\r", "alpha"),
            (" alpha ", "alpha"),
            ("al\u{200b}pha", "alpha"),
            ("gamma", "Gamma"),
            ("app", "org/app"),
            ("other/alpha", "alpha"),
        ] {
            assert_eq!(
                near(name).first().map(String::as_str),
                Some(meant),
                "{name:?}"
            );
        }
    }

    #[test]
    fn other_names_are_not_near() {
        for name in ["delta-service", "x", "", "zz"] {
            assert_eq!(near(name), Vec::<String>::new(), "{name:?}");
        }
    }

    #[test]
    fn a_long_name_costs_nothing() {
        assert_eq!(near(&"a".repeat(60_000)), Vec::<String>::new());
    }

    #[test]
    fn names_are_listed_as_people_say_them() {
        let names = ["a", "b\r", "c"].map(String::from);
        assert_eq!(named(&names, " or "), "`a`, `b\\r` or `c`");
    }
}
