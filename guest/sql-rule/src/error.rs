//! Why a rule file or its parameters are refused.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;

use serial_gate_clause::Refusal;

/// Why a rule file, or the parameters of a call, are refused. The text names a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A line such as `-- name: two-at-once` is missing.
    Missing {
        /// The word in front of the colon.
        key: &'static str,
    },
    /// A line of the head is there twice.
    Twice {
        /// The word in front of the colon.
        key: &'static str,
        /// The line of the second one, from 1.
        line: u32,
    },
    /// The defaults in the line `-- rules:` cannot be meant.
    Defaults {
        /// The line, from 1.
        line: u32,
        /// What is wrong, and what to write.
        what: String,
    },
    /// The clause does not use its parameters as they are.
    Parameter {
        /// The line in the file, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: u32,
        /// What is wrong, and what to write.
        what: String,
    },
    /// The clause is outside the language.
    Clause {
        /// The line in the file, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: u32,
        /// What was found there.
        what: String,
        /// What to write instead.
        remedy: String,
    },
    /// The clause is so large that none of a scope fits around it.
    NoRoom {
        /// Which limit is broken.
        what: String,
        /// What to write instead.
        remedy: String,
    },
    /// A line of the head has a value that cannot be meant.
    Head {
        /// The line, from 1.
        line: u32,
        /// What is wrong, and what to write.
        what: &'static str,
    },
    /// The document `rules` of the settings does not fit the file.
    Rules(String),
    /// The file has no clause.
    Empty,
    /// The file is larger than a component has room for.
    TooLong,
}

impl Error {
    /// A refusal of the filled clause, at its place in the file.
    pub(crate) fn of_clause(refusal: &Refusal, column: u32) -> Error {
        Error::Clause {
            line: refusal.line(),
            column,
            what: refusal.what().to_owned(),
            remedy: refusal.remedy().to_owned(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Missing { key } => {
                let example = match *key {
                    "name" => "two-at-once",
                    "version" => "1.0.0",
                    _ => "two tasks of a repo at once",
                };
                write!(
                    f,
                    "`-- {key}:` is missing: write a line such as `-- {key}: {example}`"
                )
            }
            Error::Twice { key, line } => {
                write!(
                    f,
                    "line {line}: `-- {key}:` is there twice: keep one of them"
                )
            }
            Error::Defaults { line, what } => write!(f, "line {line}: {what}"),
            Error::Parameter { line, column, what } => {
                write!(f, "line {line}, column {column}: {what}")
            }
            Error::Clause {
                line,
                column,
                what,
                remedy,
            } => write!(f, "line {line}, column {column}: {what}: {remedy}"),
            Error::NoRoom { what, remedy } => {
                write!(
                    f,
                    "with a scope of repos around it, the clause has {what}: {remedy}"
                )
            }
            Error::Head { line, what } => write!(f, "line {line}: {what}"),
            Error::Rules(what) => f.write_str(what),
            Error::Empty => f.write_str(
                "there is no clause: write one such as `AND jobs.agent <> 'analyst'` below the \
                 comments",
            ),
            Error::TooLong => {
                let most = crate::slot::ROOM;
                write!(
                    f,
                    "a rule file has {most} bytes at most: shorten it, or write the policy in \
                           another language"
                )
            }
        }
    }
}

impl core::error::Error for Error {}

/// The names of some parameters, for a sentence.
pub(crate) fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: alloc::vec::Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
