//! Why a clause was refused: the construct, its position, and what to write instead.
//!
//! Owns the error of this crate and its text. Leaves the choice of construct and remedy to the file
//! that refuses.
//! Invariant: every refusal has a line and a column of at least 1. Its text is printable ASCII on
//! one line of bounded length, so it can be logged as it is.

use alloc::format;
use alloc::string::String;
use core::fmt;

/// Names and literals are echoed up to this many characters: the text is untrusted and may be 1 MiB
/// of one word.
const ECHO: usize = 40;

/// A place in the policy's text: line and column, in characters from 1. A text is at most 1 MiB
/// long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub line: u32,
    pub column: u32,
}

impl Position {
    pub(crate) const START: Position = Position { line: 1, column: 1 };

    /// The place behind a character.
    pub(crate) fn behind(self, c: char) -> Position {
        let (line, column) = match c {
            '\n' => (self.line + 1, 1),
            _ => (self.line, self.column + 1),
        };
        Position { line, column }
    }
}

/// A clause that is not in the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    construct: &'static str,
    what: String,
    remedy: String,
    at: Position,
}

impl Refusal {
    pub(crate) fn new(
        construct: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
        at: Position,
    ) -> Self {
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

    /// What was found.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What the policy author can write instead.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// Line of the construct in the policy's text, from 1.
    pub fn line(&self) -> u32 {
        self.at.line
    }

    /// Column of the construct in its line, in characters from 1.
    pub fn column(&self) -> u32 {
        self.at.column
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal {
            construct,
            what,
            remedy,
            at: Position { line, column },
        } = self;
        write!(
            f,
            "[{construct}] {what} at line {line}, column {column}: {remedy}"
        )
    }
}

impl core::error::Error for Refusal {}

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
