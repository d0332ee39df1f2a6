//! The rule file: its head, and the checks of the whole.
//!
//! Callers rely on this: a file that was read has a clause of the language for its defaults, with
//! freezes and without, and every parameter is used.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use crate::clause;
use crate::error::{Error, names};
use crate::fill::named;
use crate::parameters::Parameters;
use crate::scan::pieces;

/// A rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// The policy's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The rule in one line.
    pub summary: String,
    pub(crate) defaults: Parameters,
    /// The file with its comments blanked, so that a place in it is a place in the file.
    pub(crate) clause: String,
}

/// What an operator has set: the contract's `settings`.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The kill switch.
    pub enabled: bool,
    /// The scope, with commas.
    pub repos: &'a str,
    /// Whether a freeze holds anything.
    pub freeze_enabled: bool,
    /// The parameters, as a JSON object.
    pub rules: Option<&'a str>,
}

/// The answer to `claim-clause`: the contract's `clause`, which depends on no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The clause, or an empty text.
    pub text: String,
    /// What an operator should know.
    pub notes: alloc::vec::Vec<String>,
}

impl RuleFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The first fault, with its line where it has one.
    pub fn read(text: &str) -> Result<RuleFile, Error> {
        if text.len() > crate::slot::ROOM {
            return Err(Error::TooLong);
        }
        // Some editors begin a file with it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut head = Head::default();
        let mut clause = String::with_capacity(text.len());
        for (line, number) in text.lines().zip(1..) {
            match line.trim_start().strip_prefix("--") {
                // Behind the first line of the clause, a comment is a comment.
                Some(comment) if clause.trim().is_empty() => head.read(comment, number)?,
                Some(_) => {}
                None => clause.push_str(line),
            }
            clause.push('\n');
        }
        let file = RuleFile {
            name: head.name.ok_or(Error::Missing { key: "name" })?,
            version: head.version.ok_or(Error::Missing { key: "version" })?,
            summary: head.summary.ok_or(Error::Missing { key: "summary" })?,
            defaults: head.rules.unwrap_or_default(),
            clause,
        };
        file.check()?;
        Ok(file)
    }

    /// The policy's answer to `claim-clause`.
    ///
    /// # Errors
    ///
    /// When the rules do not fit the file, or make a clause that the language refuses.
    pub fn claim_clause(&self, settings: Settings<'_>) -> Result<Answer, Error> {
        let set = clause::Set::read(self, settings)?;
        let text = match settings.enabled {
            true => clause::text(self, &set, settings.freeze_enabled)?,
            false => String::new(),
        };
        Ok(Answer {
            text,
            notes: set.scope.notes().to_vec(),
        })
    }

    fn check(&self) -> Result<(), Error> {
        if pieces(&self.clause)
            .iter()
            .all(|piece| piece.text.trim().is_empty())
        {
            return Err(Error::Empty);
        }
        for has_freezes in [true, false] {
            let own = clause::own(self, &self.defaults, has_freezes)?;
            clause::check_room(&own)?;
        }
        let used = named(&self.clause);
        let unused = self.defaults.names().filter(|name| !used.contains(name));
        let unused = names(unused);
        match unused.is_empty() {
            true => Ok(()),
            false => Err(Error::Rules(format!(
                "{unused} in `-- rules:` is not used by the clause: use it as `:name`, or leave it \
                 out"
            ))),
        }
    }
}

/// The lines of the head so far.
#[derive(Default)]
struct Head {
    name: Option<String>,
    version: Option<String>,
    summary: Option<String>,
    rules: Option<Parameters>,
}

impl Head {
    /// Reads a comment. It belongs to the head if it starts with one of the four words.
    fn read(&mut self, comment: &str, line: u32) -> Result<(), Error> {
        let Some((key, value)) = comment.split_once(':') else {
            return Ok(());
        };
        let value = value.trim().to_owned();
        let (key, is_twice) = match key.trim() {
            "name" if !is_kebab_case(&value) => {
                let what = "a name is lower-case words and digits with `-` between them, such as \
                            `two-at-once`";
                return Err(Error::Head { line, what });
            }
            "version" | "summary" if value.is_empty() || value.contains(char::is_control) => {
                let what = "nothing that can be read is behind the colon: write one line of text";
                return Err(Error::Head { line, what });
            }
            "name" => ("name", self.name.replace(value).is_some()),
            "version" => ("version", self.version.replace(value).is_some()),
            "summary" => ("summary", self.summary.replace(value).is_some()),
            "rules" => {
                let what = |what| Error::Defaults { line, what };
                let rules = Parameters::of_file(&value).map_err(what)?;
                ("rules", self.rules.replace(rules).is_some())
            }
            _ => return Ok(()),
        };
        match is_twice {
            true => Err(Error::Twice { key, line }),
            false => Ok(()),
        }
    }
}

fn is_kebab_case(name: &str) -> bool {
    let is_word = |word: &str| {
        let of_a_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !word.is_empty() && word.bytes().all(of_a_word)
    };
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(is_word)
}
