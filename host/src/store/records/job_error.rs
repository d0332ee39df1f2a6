//! A job's error, as it is stored.
//!
//! Owns its limits: a worker may send any text, which is then copied into alerts and shown in
//! lists. Callers rely on this: other programs can read the stored text whole.

use std::borrow::Cow;

/// How many characters are kept.
const LONGEST: usize = 10_000;

/// An error of bounded length without a NUL.
pub(crate) fn kept(error: &str) -> Cow<'_, str> {
    let end = error.char_indices().nth(LONGEST).map(|(at, _)| at);
    if end.is_none() && !error.contains('\0') {
        return error.into();
    }
    let begin = error.get(..end.unwrap_or(error.len())).unwrap_or_default();
    let end = if end.is_some() { "…" } else { "" };
    // Other programs take a NUL for the end of the text.
    Cow::Owned(begin.replace('\0', "\u{fffd}") + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_error_is_kept_as_it_is() {
        assert_eq!(kept("tests are red\n\tin ä"), "tests are red\n\tin ä");
    }

    #[test]
    fn a_long_error_has_an_end() {
        let text = kept(&"ä".repeat(LONGEST + 1)).into_owned();
        assert_eq!(text.chars().count(), LONGEST + 1);
        assert!(text.ends_with("ä…"));
        assert_eq!(kept(&"ä".repeat(LONGEST)).chars().count(), LONGEST);
    }

    #[test]
    fn nothing_in_it_ends_it_for_other_programs() {
        assert_eq!(kept("a\0b"), "a\u{fffd}b");
    }
}
