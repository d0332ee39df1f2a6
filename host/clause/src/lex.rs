//! The lexer: cuts a clause into tokens of an allow-list and refuses everything else by name.
//!
//! Owns characters and literals. Leaves words and symbols to `vocabulary`, sizes to `limits`, and
//! order to `parse`. Databases differ in comments, quotes, escapes and numbers, and a text that two
//! readers cut differently is how a fragment escapes its parentheses. So nothing that they read
//! differently is a token here.
//! Invariant: a string holds printable ASCII only, an integer fits 64 bits, and every token has its
//! position.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::limits::{TEXT, TOKENS};
use super::refusal::{Position, Refusal, echo};
use super::tree::Comparison;
use super::vocabulary::{self, Keyword};

/// A piece of the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'t> {
    pub kind: TokenKind,
    /// As it is written.
    pub text: &'t str,
    pub at: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Name,
    Keyword(Keyword),
    Integer(i64),
    String,
    Comparison(Comparison),
    Open,
    Close,
    Comma,
    Dot,
    /// The star of `count(*)`, the only one of the language.
    Star,
    /// The end of the text.
    End,
}

/// The tokens of a whole clause. The last one, and only that, is the end.
pub(crate) fn read(text: &str) -> Result<Vec<Token<'_>>, Refusal> {
    TEXT.check(text.len(), Position::START)?;
    let mut cursor = Cursor {
        rest: text,
        at: Position::START,
    };
    let mut tokens: Vec<Token<'_>> = Vec::new();
    loop {
        cursor.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
        let (from, at) = (cursor.rest, cursor.at);
        let kind = match cursor.peek() {
            None => TokenKind::End,
            Some(first) => {
                TOKENS.check(tokens.len() + 1, at)?;
                cursor.token(first, &tokens)?
            }
        };
        let text = cursor.since(from);
        tokens.push(Token { kind, text, at });
        if kind == TokenKind::End {
            return Ok(tokens);
        }
    }
}

struct Cursor<'t> {
    rest: &'t str,
    at: Position,
}

impl<'t> Cursor<'t> {
    fn token(&mut self, first: char, before: &[Token<'_>]) -> Result<TokenKind, Refusal> {
        let from = self.rest;
        match first {
            'a'..='z' | 'A'..='Z' | '_' => self.word(),
            '0'..='9' => self.integer(from),
            '\'' => self.string(),
            '-' if self.starts_integer(before) => {
                self.bump();
                self.integer(from)
            }
            '*' if self.starts_star(before) => {
                self.bump();
                Ok(TokenKind::Star)
            }
            _ => self.symbol(),
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let next = rest.next()?;
        self.rest = rest.as_str();
        self.at = self.at.behind(next);
        Some(next)
    }

    /// What was read since the rest was `from`.
    fn since(&self, from: &'t str) -> &'t str {
        let length = from.len().saturating_sub(self.rest.len());
        from.get(..length).unwrap_or_default()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let from = self.rest;
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
        self.since(from)
    }

    fn word(&mut self) -> Result<TokenKind, Refusal> {
        let at = self.at;
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if self.rest.starts_with('\'')
            || (word.eq_ignore_ascii_case("u") && self.rest.starts_with("&'"))
        {
            let what = format!("{} directly before a string", echo(word));
            let remedy = "write a plain string `'...'`, with a space before it";
            return Err(Refusal::new("prefixed-string", what, remedy, at));
        }
        if let Some((construct, remedy)) = vocabulary::refused_word(word) {
            let what = format!("{} is not in the language", echo(word));
            return Err(Refusal::new(construct, what, remedy, at));
        }
        Ok(vocabulary::keyword(word).map_or(TokenKind::Name, TokenKind::Keyword))
    }

    /// A minus is a sign only where a value can start; behind a value it would be a subtraction.
    fn starts_integer(&self, before: &[Token<'_>]) -> bool {
        let digit_follows = self.rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
        let is_behind_value = before.last().is_some_and(|token| match token.kind {
            TokenKind::Name | TokenKind::Integer(_) | TokenKind::String | TokenKind::Close => true,
            TokenKind::Keyword(keyword) => {
                matches!(keyword, Keyword::Null | Keyword::True | Keyword::False)
            }
            _ => false,
        });
        digit_follows && !is_behind_value
    }

    /// A star is a token in `count(*)` only, so no later step meets a product or a list of all
    /// columns.
    fn starts_star(&self, before: &[Token<'_>]) -> bool {
        match before {
            [.., name, open] => {
                open.kind == TokenKind::Open
                    && name.text.eq_ignore_ascii_case("count")
                    && !self.rest.starts_with("*/")
            }
            _ => false,
        }
    }

    fn integer(&mut self, from: &'t str) -> Result<TokenKind, Refusal> {
        let (digits_from, at) = (self.rest, self.at);
        self.take_while(|c| c.is_ascii_digit());
        let tail = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        if !tail.is_empty() {
            let what = format!("{} is not a decimal integer", echo(self.since(digits_from)));
            let remedy = "write decimal digits only, with a space behind them";
            return Err(Refusal::new("number", what, remedy, at));
        }
        let number = self.since(from);
        number.parse().map(TokenKind::Integer).map_err(|_| {
            let what = format!("{} does not fit 64 bits", echo(number));
            let remedy = format!("write {} to {}", i64::MIN, i64::MAX);
            Refusal::new("integer-range", what, remedy, at)
        })
    }

    fn string(&mut self) -> Result<TokenKind, Refusal> {
        let start = self.at;
        self.bump();
        loop {
            let at = self.at;
            match self.bump() {
                None => {
                    let remedy = "end it with `'`, and write a quote inside it as `''`";
                    let what = "string without an end";
                    return Err(Refusal::new("unterminated-string", what, remedy, start));
                }
                Some('\'') if self.peek() != Some('\'') => return Ok(TokenKind::String),
                Some('\'') => {
                    self.bump();
                }
                Some(' '..='~') => {}
                Some(other) => return Err(unprintable(other, at)),
            }
        }
    }

    fn symbol(&mut self) -> Result<TokenKind, Refusal> {
        let at = self.at;
        if let Some((symbol, construct, what, remedy)) = vocabulary::refused_symbol(self.rest) {
            let what = format!("{} {what}", echo(symbol));
            return Err(Refusal::new(construct, what, *remedy, at));
        }
        if let Some((symbol, kind)) = vocabulary::symbol(self.rest) {
            for _ in symbol.chars() {
                self.bump();
            }
            return Ok(kind);
        }
        Err(match self.peek() {
            Some(c @ '!'..='~') => {
                let what = format!("{} is not in the language", echo(&c.to_string()));
                Refusal::new("symbol", what, "remove it", at)
            }
            other => unprintable(other.unwrap_or_default(), at),
        })
    }
}

fn unprintable(c: char, at: Position) -> Refusal {
    let code = u32::from(c);
    let (construct, what, remedy) = match c {
        '\0' => ("nul", "NUL character".into(), "remove it"),
        c if c.is_ascii_control() => {
            let remedy = "remove it, a string is printable ASCII on one line";
            let what = format!("control character U+{code:04X}");
            ("control-character", what, remedy)
        }
        _ => {
            let remedy = "write the plain ASCII character, or remove it";
            (
                "non-ascii",
                format!("non-ASCII character U+{code:04X}"),
                remedy,
            )
        }
    };
    Refusal::new(construct, what, remedy, at)
}
