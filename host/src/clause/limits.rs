//! The sizes a clause may have, checked on its tokens before the parser sees them.
//!
//! Owns the limits, the balance of parentheses, and the two rules that are easiest to see in the token order: `IS` is for
//! `NULL` only, and a top-level `OR` may not follow a leading `AND`. Leaves the text and token counts to `tokens`, which
//! must stop reading there.
//! Invariant: what passes cannot overflow the stack of sqlparser, `lower`, `render`, SQLite or PostgreSQL.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::refusal::Refusal;
use super::tokens::Tokens;

/// 1,000 repos of 100 characters, as a policy would list them twice, take 0.2 MiB; SQLite takes 1 GB, a WIT string 4 GB.
pub(crate) const TEXT_BYTES: usize = 1 << 20;
/// Two full lists of 10,000 items would be 40,000: one list, and 5,000 tokens around it.
pub(crate) const TOKENS: usize = 25_000;
/// Ten times the design's scope of 1,000 repos.
pub(crate) const LIST_ITEMS: usize = 10_000;
/// Parentheses and `NOT` inside one another; the reference clause has 3. The tree's recursions are this deep.
pub(crate) const NESTING: usize = 32;
/// A chain of `AND` is a left-deep tree in SQLite, whose expression depth ends at 1,000; we leave half to the host.
pub(crate) const OPERATORS: usize = 500;
/// Each sub-select is a scan or a search per job; the reference clause has 2.
pub(crate) const SUB_SELECTS: usize = 16;
/// Each further level multiplies the cost by the rows of a repo.
pub(crate) const SUB_SELECT_DEPTH: usize = 2;

/// What is open between a parenthesis and its end.
#[derive(Default)]
struct Level {
    opened_at: Option<Location>,
    items: usize,
    nots: usize,
    is_select: bool,
}

/// Checks balance and sizes.
pub(crate) fn check(tokens: &Tokens) -> Result<(), Refusal> {
    let mut levels = vec![Level::default()];
    let (mut operators, mut sub_selects) = (0, 0);
    let leading_and = tokens
        .list
        .first()
        .is_some_and(|token| keyword(token) == Some(Keyword::AND));
    for (index, token) in tokens.list.iter().enumerate() {
        let at = token.span.start;
        let over = |construct, what: &str, limit: usize, remedy: &str| {
            Refusal::new(
                construct,
                format!("more than {limit} {what} are reached"),
                remedy,
                at,
            )
        };
        let is_top = levels.len() == 1;
        let Some(level) = levels.last_mut() else {
            return Err(unopened(at));
        };
        match &token.token {
            Token::LParen => levels.push(Level {
                opened_at: Some(at),
                items: 1,
                ..Level::default()
            }),
            Token::RParen if is_top => return Err(unopened(at)),
            Token::RParen => {
                levels.pop();
            }
            Token::Comma => {
                level.items += 1;
                if level.items > LIST_ITEMS {
                    return Err(over(
                        "long-list",
                        "list items",
                        LIST_ITEMS,
                        "split the list with `OR`",
                    ));
                }
            }
            _ => {}
        }
        match keyword(token) {
            Some(Keyword::OR) if is_top && leading_and => {
                let what = "a top-level `OR` behind the leading `AND` stands";
                return Err(Refusal::new(
                    "top-level-or",
                    what,
                    "write `AND (... OR ...)`",
                    at,
                ));
            }
            Some(keyword @ (Keyword::AND | Keyword::OR | Keyword::NOT)) => {
                operators += 1;
                if operators > OPERATORS {
                    let remedy = "write `IN (...)` for a chain of `OR`";
                    return Err(over(
                        "too-many-operators",
                        "of `AND`, `OR` and `NOT`",
                        OPERATORS,
                        remedy,
                    ));
                }
                if let Some(level) = levels.last_mut() {
                    level.nots = if keyword == Keyword::NOT {
                        level.nots + 1
                    } else {
                        0
                    };
                }
            }
            Some(Keyword::SELECT) => {
                sub_selects += 1;
                if sub_selects > SUB_SELECTS {
                    return Err(over(
                        "too-many-sub-selects",
                        "sub-selects",
                        SUB_SELECTS,
                        "merge some of them with `OR`",
                    ));
                }
                if let Some(level) = levels.last_mut() {
                    level.is_select = true;
                }
                if levels.iter().filter(|level| level.is_select).count() > SUB_SELECT_DEPTH {
                    let remedy = "write the inner one beside the outer one";
                    return Err(over(
                        "sub-select-depth",
                        "levels of sub-selects",
                        SUB_SELECT_DEPTH,
                        remedy,
                    ));
                }
            }
            Some(Keyword::IS)
                if !null_follows(tokens.list.get(index + 1..).unwrap_or_default()) =>
            {
                let remedy = "write `IS NULL`, `IS NOT NULL`, or a comparison with `=`";
                return Err(Refusal::new("is", "`IS` without `NULL` stands", remedy, at));
            }
            _ => {}
        }
        if levels.len() - 1 + levels.iter().map(|level| level.nots).sum::<usize>() > NESTING {
            let remedy = "remove parentheses or `NOT`s";
            return Err(over(
                "nesting",
                "levels of parentheses and `NOT`",
                NESTING,
                remedy,
            ));
        }
    }
    match levels.last().and_then(|level| level.opened_at) {
        Some(at) => Err(Refusal::new(
            "parenthesis",
            "`(` is never closed, it stands",
            "close it with `)`",
            at,
        )),
        None => Ok(()),
    }
}

fn unopened(at: Location) -> Refusal {
    Refusal::new(
        "parenthesis",
        "`)` closes a parenthesis that the clause did not open",
        "remove it",
        at,
    )
}

fn null_follows(rest: &[TokenWithSpan]) -> bool {
    let mut words = rest.iter().map(keyword);
    match words.next().flatten() {
        Some(Keyword::NOT) => words.next().flatten() == Some(Keyword::NULL),
        first => first == Some(Keyword::NULL),
    }
}

fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    }
}
