//! Rules that are easiest to see in the order of the tokens, before the parser hides it.
//!
//! Owns three of them: a comparison is not compared again (SQLite and PostgreSQL group `a = b < c`
//! differently, and a long chain would be a tree too deep to drop); `IS` and `NULL` go together
//! (sqlparser accepts `x NOT NULL` and `x IS TRUE`, which the databases read differently or not at
//! all); a top-level `OR` does not stand behind a leading `AND`. Leaves the rest to `lower`, such
//! as the comparison behind the `AND` of a `BETWEEN`. Invariant: without its leading `AND` a clause
//! means what a reader of `status = 'queued' AND ...` takes it to mean.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::refusal::Refusal;
use super::tokens::ends_value;

/// Checks the order of balanced tokens.
pub(crate) fn check(tokens: &[TokenWithSpan]) -> Result<(), Refusal> {
    let has_leading_and = tokens.first().and_then(keyword) == Some(Keyword::AND);
    // For each open parenthesis: whether a comparison stands since the last `AND`, `OR` or comma.
    let mut outer: Vec<bool> = Vec::new();
    let mut is_compared = false;
    let mut rest = tokens;
    let mut before: Option<&TokenWithSpan> = None;
    while let Some((token, behind)) = rest.split_first() {
        let at = token.span.start;
        if is_comparison(token) {
            if is_compared {
                let what = "a comparison is compared again";
                let remedy = "connect two comparisons with `AND`";
                return Err(Refusal::new("chained-comparison", what, remedy, at));
            }
            is_compared = true;
        }
        match &token.token {
            Token::LParen => outer.push(std::mem::replace(&mut is_compared, false)),
            Token::RParen => is_compared = outer.pop().unwrap_or_default(),
            Token::Comma => is_compared = false,
            _ => {}
        }
        let null_follows = behind.first().and_then(keyword) == Some(Keyword::NULL);
        match keyword(token) {
            Some(Keyword::OR) if outer.is_empty() && has_leading_and => {
                let what = "a top-level `OR` behind the leading `AND` stands";
                return Err(Refusal::new(
                    "top-level-or",
                    what,
                    "write `AND (... OR ...)`",
                    at,
                ));
            }
            Some(Keyword::AND | Keyword::OR) => is_compared = false,
            Some(Keyword::NOT) if null_follows && before.is_some_and(ends_value) => {
                let what = "`NOT NULL` without `IS` stands";
                return Err(Refusal::new("null-test", what, "write `IS NOT NULL`", at));
            }
            Some(Keyword::IS) if !null_follows && !not_null_follows(behind) => {
                let remedy = "write `IS NULL`, `IS NOT NULL`, or a comparison with `=`";
                return Err(Refusal::new("is", "`IS` without `NULL` stands", remedy, at));
            }
            _ => {}
        }
        (rest, before) = (behind, Some(token));
    }
    Ok(())
}

fn is_comparison(token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => true,
        Token::Word(word) => matches!(word.keyword, Keyword::IN | Keyword::BETWEEN | Keyword::IS),
        _ => false,
    }
}

fn not_null_follows(rest: &[TokenWithSpan]) -> bool {
    let mut words = rest.iter().map(keyword);
    words.next().flatten() == Some(Keyword::NOT) && words.next().flatten() == Some(Keyword::NULL)
}

fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    }
}
