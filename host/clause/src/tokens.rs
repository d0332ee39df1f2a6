//! The tokens that the parser has not read yet.
//!
//! Owns looking ahead and the refusal of a token in the wrong place. Leaves every meaning to
//! `parse`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::lex::{Token, TokenKind};
use super::refusal::{Position, Refusal, echo};
use super::vocabulary::Keyword;

/// The rest of a clause. Its end is never read past, for its position.
pub(crate) struct Tokens<'t>(&'t [Token<'t>]);

impl<'t> Tokens<'t> {
    /// The lexer's tokens, of which the last one is the end.
    pub(crate) fn new(tokens: &'t [Token<'t>]) -> Tokens<'t> {
        Tokens(tokens)
    }

    /// The words of a name, which its dots join.
    pub(crate) fn path(&mut self, first: Token<'t>) -> Result<Vec<Token<'t>>, Refusal> {
        let mut path = vec![first];
        while self.peek().kind == TokenKind::Dot {
            self.next();
            path.push(self.word()?);
        }
        Ok(path)
    }

    /// A word where only a name can be, so that keywords are names too.
    pub(crate) fn word(&mut self) -> Result<Token<'t>, Refusal> {
        let token = self.next();
        match token.kind {
            TokenKind::Name | TokenKind::Keyword(_) => Ok(token),
            _ => Err(unexpected(token)),
        }
    }

    pub(crate) fn peek(&self) -> Token<'t> {
        self.0.first().copied().unwrap_or(END)
    }

    pub(crate) fn peek_second(&self) -> Token<'t> {
        self.0.get(1).copied().unwrap_or(END)
    }

    pub(crate) fn next(&mut self) -> Token<'t> {
        let next = self.peek();
        if let [_, rest @ ..] = self.0
            && !rest.is_empty()
        {
            self.0 = rest;
        }
        next
    }

    pub(crate) fn take(&mut self, keyword: Keyword) -> Option<Token<'t>> {
        (self.peek().kind == TokenKind::Keyword(keyword)).then(|| self.next())
    }

    pub(crate) fn expect(&mut self, kind: TokenKind) -> Result<Token<'t>, Refusal> {
        let token = self.next();
        match token.kind == kind {
            true => Ok(token),
            false => Err(unexpected(token)),
        }
    }

    /// The `SELECT` that comes next, in any number of parentheses.
    pub(crate) fn inner_select(&self) -> Option<Token<'t>> {
        let mut inner = self.0.iter().copied();
        let first = inner.find(|token| token.kind != TokenKind::Open)?;
        (first.kind == TokenKind::Keyword(Keyword::Select)).then_some(first)
    }
}

/// Behind the end.
const END: Token<'_> = Token {
    kind: TokenKind::End,
    text: "",
    at: Position::START,
};

pub(crate) fn dotted(path: &[Token<'_>]) -> String {
    let words: Vec<&str> = path.iter().map(|token| token.text).collect();
    words.join(".")
}

pub(crate) fn unexpected(token: Token<'_>) -> Refusal {
    let what = match token.kind {
        TokenKind::End => "the clause ends too early".to_owned(),
        _ => format!("{} is not expected", echo(token.text)),
    };
    let remedy = "write one boolean expression such as `jobs.agent <> 'analyst'`";
    Refusal::new("syntax", what, remedy, token.at)
}

pub(crate) fn continues(token: Token<'_>) -> Refusal {
    let what = format!("{} continues a complete expression", echo(token.text));
    let remedy = "connect expressions with `AND` or `OR`";
    Refusal::new("syntax", what, remedy, token.at)
}
