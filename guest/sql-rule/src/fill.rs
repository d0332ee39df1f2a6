//! Fills a clause: the parameters become literals, and freezes can be left out.
//!
//! Callers rely on this: the filled clause has the same lines as the file. Its columns may differ,
//! and [`Filled::column`] leads back.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, names};
use crate::parameters::Parameters;
use crate::scan::{Kind, Piece, pieces};

/// A clause without parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filled {
    pub text: String,
    replaced: Vec<Replaced>,
}

/// A part of a line that was replaced: where it starts in the filled line, and the lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Replaced {
    line: u32,
    column: u32,
    by: u32,
    length: u32,
}

impl Filled {
    /// The column in the file of a place in the filled clause.
    pub(crate) fn column(&self, line: u32, column: u32) -> u32 {
        let mut back = column;
        let on_line = self.replaced.iter().filter(|part| part.line == line);
        for part in on_line.filter(|part| part.column < column) {
            let inside = part.column + part.by > column;
            let end = if inside {
                column
            } else {
                part.column + part.by
            };
            back -= end - part.column;
            back += if inside { 0 } else { part.length };
        }
        back
    }
}

/// Fills a clause. Without freezes, its sub-selects over `repo_freeze` find nothing.
pub(crate) fn fill(
    clause: &str,
    parameters: &Parameters,
    has_freezes: bool,
) -> Result<Filled, Error> {
    let pieces = pieces(clause);
    let mut filling = Filling {
        rest: &pieces,
        before: None,
        at: Place::START,
        filled: Filled {
            text: String::with_capacity(clause.len()),
            replaced: Vec::new(),
        },
        filled_at: Place::START,
    };
    while !filling.rest.is_empty() {
        let (length, by) = match filling.next(parameters, has_freezes)? {
            Some(replacement) => replacement,
            None => (1, None),
        };
        filling.take(length, by);
    }
    Ok(filling.filled)
}

/// The parameters that a clause names, in the order of the text.
pub(crate) fn named(clause: &str) -> Vec<&str> {
    let pieces = pieces(clause);
    pieces.iter().filter_map(Piece::parameter).collect()
}

/// A line and a column in characters, both from 1.
#[derive(Debug, Clone, Copy)]
struct Place {
    line: u32,
    column: u32,
}

impl Place {
    const START: Place = Place { line: 1, column: 1 };

    fn behind(self, text: &str) -> Place {
        text.chars().fold(self, |at, c| match c {
            '\n' => Place {
                line: at.line + 1,
                column: 1,
            },
            _ => Place {
                column: at.column + 1,
                ..at
            },
        })
    }
}

struct Filling<'p, 't> {
    rest: &'p [Piece<'t>],
    /// The piece in front of the rest.
    before: Option<Piece<'t>>,
    at: Place,
    filled: Filled,
    filled_at: Place,
}

/// How many pieces are replaced, and by what.
type Replacement = (usize, Option<String>);

impl<'t> Filling<'_, 't> {
    fn next(
        &self,
        parameters: &Parameters,
        has_freezes: bool,
    ) -> Result<Option<Replacement>, Error> {
        if self
            .rest
            .first()
            .is_none_or(|piece| piece.kind == Kind::Space)
        {
            return Ok(None);
        }
        if !has_freezes && let Some(replacement) = self.freezes() {
            return Ok(Some(replacement));
        }
        if let Some((length, name, negated)) = self.membership() {
            let value = self.value(parameters, name)?;
            let list = value.membership(negated).ok_or_else(|| {
                self.fault(format!("`:{name}` is not a list: write `IN (:{name})`"))
            })?;
            return Ok(Some((length, Some(list))));
        }
        let Some(name) = self.rest.first().and_then(Piece::parameter) else {
            return Ok(None);
        };
        let next = self.rest.get(1);
        if [self.before, next.copied()]
            .into_iter()
            .flatten()
            .any(|piece| piece.is_of_a_value())
        {
            return Err(self.fault(format!(
                "`:{name}` touches another value: write a space or a comma between them"
            )));
        }
        let value = self.value(parameters, name)?;
        let literal = value.literal().ok_or_else(|| {
            self.fault(format!(
                "`:{name}` is a list: write `IN :{name}`, without parentheses"
            ))
        })?;
        Ok(Some((1, Some(literal))))
    }

    fn value<'v>(
        &self,
        parameters: &'v Parameters,
        name: &str,
    ) -> Result<&'v crate::parameters::Value, Error> {
        parameters.get(name).ok_or_else(|| {
            let known = names(parameters.names());
            self.fault(match known.is_empty() {
                true => format!(
                    "`:{name}` has no default: write a line `-- rules: {{\"{name}\": …}}` at the top"
                ),
                false => format!("`:{name}` has no default in `-- rules:`, which has {known}"),
            })
        })
    }

    fn fault(&self, what: String) -> Error {
        Error::Parameter {
            line: self.at.line,
            column: self.at.column,
            what,
        }
    }

    /// `IN :name` or `NOT IN :name`, if that is next.
    fn membership(&self) -> Option<(usize, &'t str, bool)> {
        let mut words = self.words();
        let (_, first) = words.next()?;
        let negated = first.is("NOT");
        if negated {
            words.next().filter(|(_, word)| word.is("IN"))?;
        } else if !first.is("IN") {
            return None;
        }
        let (at, parameter) = words.next()?;
        Some((at + 1, parameter.parameter()?, negated))
    }

    /// A sub-select over `repo_freeze`, if that is next, and what it is without rows.
    fn freezes(&self) -> Option<Replacement> {
        let mut words = self.words().map(|(_, word)| word);
        let first = words.next()?;
        let is_exists = first.is("EXISTS");
        let open = if is_exists { words.next()? } else { first };
        if open.kind != Kind::Open || !words.next()?.is("SELECT") {
            return None;
        }
        let item = words.next()?;
        let mut words = words.skip_while(|word| !word.is("FROM")).skip(1);
        if !words.next()?.is("repo_freeze") {
            return None;
        }
        let without_rows = match is_exists {
            true => "FALSE",
            false if item.is("count") => "0",
            false => "NULL",
        };
        Some((self.closed()?, Some(without_rows.into())))
    }

    /// How many pieces there are up to the parenthesis that closes the first one.
    fn closed(&self) -> Option<usize> {
        let mut open = 0_usize;
        for (at, piece) in self.rest.iter().enumerate() {
            match piece.kind {
                Kind::Open => open += 1,
                Kind::Close if open == 1 => return Some(at + 1),
                Kind::Close => open = open.checked_sub(1)?,
                _ => {}
            }
        }
        None
    }

    /// The next pieces without space, and where each is.
    fn words(&self) -> impl Iterator<Item = (usize, Piece<'t>)> {
        let pieces = self.rest.iter().copied().enumerate();
        pieces.filter(|(_, piece)| piece.kind != Kind::Space)
    }

    /// Takes pieces, and adds them as they are, or something else.
    fn take(&mut self, length: usize, by: Option<String>) {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, &[]));
        let (from, filled_from) = (self.at, self.filled_at);
        self.at = taken.iter().fold(from, |at, piece| at.behind(piece.text));
        self.rest = rest;
        self.before = taken.last().copied();
        let Some(by) = by else {
            for piece in taken {
                self.filled.text.push_str(piece.text);
                self.filled_at = self.filled_at.behind(piece.text);
            }
            return;
        };
        self.filled.text.push_str(&by);
        self.filled_at = self.filled_at.behind(&by);
        // What is behind the last line break stays in its column.
        for _ in from.line..self.at.line {
            self.filled.text.push('\n');
            self.filled_at = self.filled_at.behind("\n");
        }
        let length = match self.at.line == from.line {
            true => self.at.column - from.column,
            false => self.at.column - 1,
        };
        let (line, column, by) = match self.at.line == from.line {
            true => (
                from.line,
                filled_from.column,
                self.filled_at.column - filled_from.column,
            ),
            false => (self.at.line, 1, 0),
        };
        self.filled.replaced.push(Replaced {
            line,
            column,
            by,
            length,
        });
    }
}
