//! The sizes a clause may have, checked on its tokens before the parser sees them.
//!
//! Owns the limits and the balance of parentheses. Leaves counting bytes and tokens to `lex`, which
//! must stop reading there, and everything about meaning to `parse`.
//! Invariant: what passes cannot overflow the stack of the parser, of `render`, of SQLite or of
//! PostgreSQL, and cannot close a parenthesis of the statement around it.

use alloc::format;
use alloc::vec::Vec;
use core::mem;

use super::lex::{Token, TokenKind};
use super::refusal::{Position, Refusal};
use super::vocabulary::Keyword;

/// A size that a clause may have, and the words of its refusal.
pub(crate) struct Limit {
    construct: &'static str,
    /// The largest size accepted.
    most: usize,
    what: &'static str,
    remedy: &'static str,
}

/// 1,000 repos with names of 100 characters take 0.1 MiB; SQLite and PostgreSQL take 1 GB.
pub(crate) const TEXT: Limit = Limit {
    construct: "too-long",
    most: 1 << 20,
    what: "bytes of text",
    remedy: "shorten the clause",
};

/// A full list takes 20,000; 5,000 are left for the rest of the clause.
pub(crate) const TOKENS: Limit = Limit {
    construct: "too-many-tokens",
    most: 25_000,
    what: "tokens",
    remedy: "shorten the clause",
};

/// Ten times the scope of 1,000 repos that the design asks for.
const LIST: Limit = Limit {
    construct: "long-list",
    most: 10_000,
    what: "list items",
    remedy: "split the list with `OR`",
};

/// The reference clause has 4. Every recursion over the clause is at most a few times this deep,
/// which needs about 0.6 MiB of stack in a build without optimisation.
pub(crate) const NESTING: Limit = Limit {
    construct: "nesting",
    most: 32,
    what: "levels of parentheses and `NOT`",
    remedy: "remove parentheses or `NOT`s that are not needed",
};

/// SQLite reads a chain of `AND` as a left-deep tree and stops at a depth of 1,000; half of it is
/// left to the host.
const OPERATORS: Limit = Limit {
    construct: "too-many-operators",
    most: 500,
    what: "of `AND`, `OR` and `NOT` together",
    remedy: "write `IN (...)` for a chain of `OR`",
};

/// Each is a search for every job that is looked at; the reference clause has 2.
const SUB_SELECTS: Limit = Limit {
    construct: "too-many-sub-selects",
    most: 16,
    what: "sub-selects",
    remedy: "merge those over the same table with `OR` inside",
};

/// One more level multiplies the cost of a search by the rows of a repo.
const SUB_SELECT_DEPTH: Limit = Limit {
    construct: "sub-select-depth",
    most: 2,
    what: "levels of sub-selects",
    remedy: "move the inner sub-select out of the outer one and join them with `AND` or `OR`",
};

impl Limit {
    /// Refuses a size over the limit.
    pub(crate) fn check(&self, size: usize, at: Position) -> Result<(), Refusal> {
        if size <= self.most {
            return Ok(());
        }
        let what = format!("more than {} {}", self.most, self.what);
        Err(Refusal::new(self.construct, what, self.remedy, at))
    }
}

/// Checks the balance of parentheses and every size but those of the text.
pub(crate) fn check(tokens: &[Token<'_>]) -> Result<(), Refusal> {
    let mut sizes = Sizes::default();
    for &Token { kind, at, .. } in tokens {
        match kind {
            TokenKind::Open => {
                let outer = mem::replace(&mut sizes.level, Level::opened(at));
                sizes.outer.push(outer);
            }
            TokenKind::Close => match sizes.outer.pop() {
                Some(outer) => sizes.level = outer,
                None => {
                    let what = "`)` closes a parenthesis that the clause did not open";
                    return Err(Refusal::new("parenthesis", what, "remove it", at));
                }
            },
            TokenKind::Comma => {
                sizes.level.commas += 1;
                LIST.check(sizes.level.commas + 1, at)?;
            }
            TokenKind::Keyword(keyword) => sizes.keyword(keyword, at)?,
            _ => {}
        }
        NESTING.check(sizes.nesting(), at)?;
    }
    match sizes.level.opened {
        Some(at) => {
            let what = "`(` is never closed";
            Err(Refusal::new("parenthesis", what, "close it with `)`", at))
        }
        None => Ok(()),
    }
}

/// The sizes so far, and what is open.
#[derive(Default)]
struct Sizes {
    operators: usize,
    sub_selects: usize,
    level: Level,
    outer: Vec<Level>,
}

/// The inside of one pair of parentheses, up to the current token.
#[derive(Default)]
struct Level {
    opened: Option<Position>,
    commas: usize,
    nots: usize,
    selects: usize,
}

impl Level {
    fn opened(at: Position) -> Level {
        Level {
            opened: Some(at),
            ..Level::default()
        }
    }
}

impl Sizes {
    fn keyword(&mut self, keyword: Keyword, at: Position) -> Result<(), Refusal> {
        match keyword {
            Keyword::And | Keyword::Or | Keyword::Not => {
                // A `NOT` reaches as far as the next `AND` or `OR`.
                let is_not = keyword == Keyword::Not;
                self.level.nots = if is_not { self.level.nots + 1 } else { 0 };
                self.operators += 1;
                OPERATORS.check(self.operators, at)
            }
            Keyword::Select => {
                self.level.selects = 1;
                self.sub_selects += 1;
                SUB_SELECTS.check(self.sub_selects, at)?;
                SUB_SELECT_DEPTH.check(self.levels().map(|level| level.selects).sum(), at)
            }
            _ => Ok(()),
        }
    }

    fn nesting(&self) -> usize {
        self.outer.len() + self.levels().map(|level| level.nots).sum::<usize>()
    }

    fn levels(&self) -> impl Iterator<Item = &Level> {
        self.outer.iter().chain([&self.level])
    }
}
