//! The lexer: cuts a clause into tokens of an allow-list and refuses everything else by name.
//!
//! Owns characters and literals. Leaves words to `words`, symbols to `symbols`, sizes to `limits`,
//! and order to `parse`. sqlparser's tokenizer is never used: dialects differ in comments, quotes,
//! escapes and numbers, and a text that two readers cut differently is how a fragment escapes its
//! parentheses. Invariant: a string holds printable ASCII only, an integer fits 64 bits, and every
//! token has its position.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Word};

use super::limits::{TEXT, TOKENS};
use super::refusal::{Refusal, echo};
use super::{symbols, words};

/// The tokens of a clause and the position just behind its text.
pub(crate) struct Tokens {
    pub list: Vec<TokenWithSpan>,
    pub end: Location,
}

/// Reads a whole clause.
pub(crate) fn read(text: &str) -> Result<Tokens, Refusal> {
    let start = Location::new(1, 1);
    TEXT.check(text.len(), start)?;
    let mut cursor = Cursor {
        rest: text,
        at: start,
    };
    let mut list: Vec<TokenWithSpan> = Vec::new();
    loop {
        cursor.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
        let at = cursor.at;
        let Some(first) = cursor.peek() else { break };
        TOKENS.check(list.len() + 1, at)?;
        let token = match first {
            'a'..='z' | 'A'..='Z' | '_' => cursor.word()?,
            '0'..='9' => cursor.integer("")?,
            '\'' => cursor.string()?,
            '-' if cursor.starts_integer(list.last()) => {
                cursor.bump();
                cursor.integer("-")?
            }
            '*' if cursor.starts_star(&list) => {
                cursor.bump();
                Token::Mul
            }
            _ => cursor.symbol()?,
        };
        list.push(TokenWithSpan {
            token,
            span: Span::new(at, cursor.at),
        });
    }
    Ok(Tokens {
        list,
        end: cursor.at,
    })
}

struct Cursor<'a> {
    rest: &'a str,
    at: Location,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let next = rest.next()?;
        self.rest = rest.as_str();
        self.at = match next {
            '\n' => Location::new(self.at.line + 1, 1),
            _ => Location::new(self.at.line, self.at.column + 1),
        };
        Some(next)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let before = self.rest;
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
        before.strip_suffix(self.rest).unwrap_or_default()
    }

    fn word(&mut self) -> Result<Token, Refusal> {
        let at = self.at;
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if self.rest.starts_with('\'')
            || (word.eq_ignore_ascii_case("u") && self.rest.starts_with("&'"))
        {
            let what = format!("{} stands directly before a string", echo(word));
            return Err(Refusal::new(
                "prefixed-string",
                what,
                "write a plain string `'...'`, with a space before it",
                at,
            ));
        }
        if let Some(family) = words::refused(word) {
            return Err(Refusal::new(
                family.construct,
                format!("{} is not in the language", echo(word)),
                family.remedy,
                at,
            ));
        }
        let keyword = words::keyword(word).unwrap_or(Keyword::NoKeyword);
        Ok(Token::Word(Word {
            value: word.to_owned(),
            quote_style: None,
            keyword,
        }))
    }

    /// A minus is a sign only where a value can start; behind a value it would be a subtraction.
    fn starts_integer(&self, before: Option<&TokenWithSpan>) -> bool {
        let digit_follows = self.rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
        let behind_value = before.is_some_and(ends_value);
        digit_follows && !behind_value
    }

    /// A star is a token in `count(*)` only, so that no later step meets a product or a list of all
    /// columns.
    fn starts_star(&self, before: &[TokenWithSpan]) -> bool {
        let is_count = |token: &TokenWithSpan| match &token.token {
            Token::Word(word) => word.value.eq_ignore_ascii_case("count"),
            _ => false,
        };
        match before {
            [.., name, open] => {
                open.token == Token::LParen && is_count(name) && !self.rest.starts_with("*/")
            }
            _ => false,
        }
    }

    fn integer(&mut self, sign: &str) -> Result<Token, Refusal> {
        let at = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit());
        if self
            .peek()
            .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        {
            let tail = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
            let what = format!(
                "{} is not a decimal integer",
                echo(&format!("{digits}{tail}"))
            );
            return Err(Refusal::new(
                "number",
                what,
                "write decimal digits only, with a space behind them",
                at,
            ));
        }
        let number = format!("{sign}{digits}");
        if number.parse::<i64>().is_err() {
            let what = format!("{} does not fit 64 bits", echo(&number));
            return Err(Refusal::new(
                "integer-range",
                what,
                format!("write {} to {}", i64::MIN, i64::MAX),
                at,
            ));
        }
        Ok(Token::Number(number, false))
    }

    fn string(&mut self) -> Result<Token, Refusal> {
        let start = self.at;
        self.bump();
        let mut value = String::new();
        loop {
            let at = self.at;
            match self.bump() {
                None => {
                    let remedy = "end it with `'`, and write a quote inside it as `''`";
                    return Err(Refusal::new(
                        "unterminated-string",
                        "the string that starts",
                        remedy,
                        start,
                    ));
                }
                Some('\'') if self.peek() != Some('\'') => {
                    return Ok(Token::SingleQuotedString(value));
                }
                Some('\'') => {
                    self.bump();
                    value.push('\'');
                }
                Some(c @ ' '..='~') => value.push(c),
                Some(other) => return Err(unprintable(other, at)),
            }
        }
    }

    fn symbol(&mut self) -> Result<Token, Refusal> {
        let at = self.at;
        if let Some(refused) = symbols::refused(self.rest) {
            let what = format!("{} {}", echo(refused.symbol), refused.what);
            return Err(Refusal::new(refused.construct, what, refused.remedy, at));
        }
        if let Some((symbol, token)) = symbols::allowed(self.rest) {
            for _ in symbol.chars() {
                self.bump();
            }
            return Ok(token.clone());
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

/// Whether a value can end with this token, so that what follows it is an operator and not the
/// start of a value.
pub(crate) fn ends_value(token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen => true,
        Token::Word(word) => {
            matches!(
                word.keyword,
                Keyword::NoKeyword | Keyword::NULL | Keyword::TRUE | Keyword::FALSE
            )
        }
        _ => false,
    }
}

fn unprintable(c: char, at: Location) -> Refusal {
    let code = u32::from(c);
    match c {
        '\0' => Refusal::new(
            "nul",
            "a NUL character stands",
            "remove it, a clause is printable ASCII",
            at,
        ),
        c if c.is_ascii_control() => {
            let what = format!("the control character U+{code:04X} stands");
            Refusal::new(
                "control-character",
                what,
                "remove it, a string is printable ASCII on one line",
                at,
            )
        }
        _ => {
            let what = format!("the non-ASCII character U+{code:04X} stands");
            Refusal::new(
                "non-ascii",
                what,
                "write the plain ASCII character, or remove it",
                at,
            )
        }
    }
}
