//! Why a clause was refused: the construct, where it stands, and what to write instead.
//!
//! Owns the error of this room and its text. Leaves the choice of construct and remedy to the file
//! that refuses. Invariant: every refusal has a line and a column of at least 1, and its text is
//! printable ASCII on one line of bounded length, so that it can be logged as it is.

use sqlparser::tokenizer::Location;

/// Names and literals are echoed up to this many characters: the text is untrusted and may be 1 MiB
/// of one word.
const ECHO: usize = 40;

/// A clause that is not in the language of DESIGN section 8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[{construct}] {what} at line {}, column {}; {remedy}", at.line, at.column)]
pub struct Refusal {
    construct: &'static str,
    what: String,
    remedy: String,
    at: Location,
}

impl Refusal {
    pub(crate) fn new(
        construct: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
        at: Location,
    ) -> Self {
        let at = Location::new(at.line.max(1), at.column.max(1));
        Self {
            construct,
            what: what.into(),
            remedy: remedy.into(),
            at,
        }
    }

    /// The refused construct as a short slug for programs and tests, such as `comment` or
    /// `untied-sub-select`.
    pub fn construct(&self) -> &'static str {
        self.construct
    }

    /// What the policy author can write instead.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// Line of the construct in the policy's text, from 1.
    pub fn line(&self) -> u64 {
        self.at.line
    }

    /// Column of the construct in its line, in characters from 1.
    pub fn column(&self) -> u64 {
        self.at.column
    }
}

/// A piece of the policy's text in backticks, made printable and short.
pub(crate) fn echo(text: &str) -> String {
    format!("`{}`", shorten(text))
}

/// The start of a piece of the policy's text, made printable.
pub(crate) fn shorten(text: &str) -> String {
    let printable = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    let mut shown: String = text.chars().take(ECHO).map(printable).collect();
    if text.chars().nth(ECHO).is_some() {
        shown.push_str("...");
    }
    shown
}
