//! Hands our tokens to sqlparser and takes one expression back.
//!
//! Owns the choice of dialect, the end of input, and the position of an expression. Leaves every
//! meaning to `lower`. Precedence, loosest first, is `OR`, `AND`, `NOT`, `IS`, then comparisons
//! with `IN` and `BETWEEN`. SQLite and PostgreSQL differ from it, and from each other, only where
//! one comparison is an operand of another without parentheses; `lower` refuses those. Invariant:
//! the expression covers every token.

use sqlparser::ast::{Expr, Query, SetExpr, Spanned};
use sqlparser::dialect::AnsiDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};

use super::limits::NESTING;
use super::refusal::{Refusal, echo};
use super::tokens::Tokens;

/// sqlparser takes up to three of its levels (expression, query, table) for one of ours.
const RECURSION: usize = 4 * NESTING.most;

/// Parses one boolean expression, without its leading `AND`; `None` if there is no token at all.
pub(crate) fn expression(tokens: Tokens) -> Result<Option<Expr>, Refusal> {
    let Tokens { mut list, end } = tokens;
    match list.first().map(|first| &first.token) {
        None => return Ok(None),
        Some(Token::Word(word)) if word.keyword == Keyword::AND => {
            list.remove(0);
        }
        Some(_) => {}
    }
    // Nothing is special in this dialect: it turns none of sqlparser's extensions of the expression
    // grammar on.
    let dialect = AnsiDialect {};
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(RECURSION)
        .with_tokens_with_locations(list);
    let expression = parser
        .parse_expr()
        .map_err(|error| unexpected(&parser, &error, end))?;
    let rest = parser.peek_token_ref();
    if rest.token == Token::EOF {
        return Ok(Some(expression));
    }
    let what = format!(
        "{} continues a complete expression",
        echo(&rest.token.to_string())
    );
    Err(Refusal::new(
        "syntax",
        what,
        "connect expressions with `AND` or `OR`",
        rest.span.start,
    ))
}

/// sqlparser's errors are text; only the position is taken from it, so that its wording is not part
/// of our contract.
fn unexpected(parser: &Parser, error: &ParserError, end: Location) -> Refusal {
    let at = position(&error.to_string()).unwrap_or(end);
    let mut tokens = (0..)
        .map(|index| parser.token_at(index))
        .take_while(|token| token.token != Token::EOF);
    let found = tokens.find(|token| token.span.start == at);
    let what = match found {
        Some(token) => format!("{} is not expected", echo(&token.token.to_string())),
        None => "the clause ends too early".to_owned(),
    };
    Refusal::new(
        "syntax",
        what,
        "write one boolean expression such as `jobs.agent <> 'analyst'`",
        at,
    )
}

fn position(message: &str) -> Option<Location> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location::new(line.parse().ok()?, column.parse().ok()?))
}

/// Where an expression starts. Walks down its left side in a loop, as a chain of `AND` may be 500
/// deep.
pub(crate) fn start(expression: &Expr) -> Location {
    let mut leftmost = expression;
    loop {
        leftmost = match leftmost {
            Expr::BinaryOp { left, .. } => left,
            Expr::In { expr, .. } | Expr::Between { expr, .. } | Expr::UnaryOp { expr, .. } => expr,
            Expr::IsNull(inner) | Expr::IsNotNull(inner) | Expr::Nested(inner) => inner,
            Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => {
                return query_start(subquery);
            }
            Expr::Function(function) => return function.name.span().start,
            Expr::Tuple(items) => match items.first() {
                Some(first) => first,
                None => return Location::empty(),
            },
            other => return other.span().start,
        }
    }
}

/// Where a query starts: its first `SELECT`.
pub(crate) fn query_start(query: &Query) -> Location {
    match query.body.as_ref() {
        SetExpr::Select(select) => select.select_token.0.span.start,
        SetExpr::Query(inner) => query_start(inner),
        _ => Location::empty(),
    }
}
