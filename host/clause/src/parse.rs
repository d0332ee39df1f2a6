//! The parser: builds the typed tree of a clause by recursive descent, or refuses.
//!
//! Owns conditions and values, their precedence and types. Leaves sub-selects to `select` and names
//! to `scope`. Precedence, loosest first, is `OR`, `AND`, `NOT`, then comparisons with `IN`,
//! `BETWEEN` and `IS`. SQLite and PostgreSQL group `a = b < c` differently, so a comparison is
//! never compared again without parentheses.
//! Invariant: as in `tree`. The first fault of the text is refused, and every
//! recursion passes through `expression`, which stops at the limit of nesting.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::contract::Table;
use super::lex::{Token, TokenKind};
use super::limits::NESTING;
use super::refusal::{Position, Refusal, echo, shorten};
use super::scope::Scopes;
use super::tokens::{Tokens, continues, dotted, unexpected};
use super::tree::{Literal, Predicate, Select, Value};
use super::vocabulary::Keyword;

/// How many rows a policy may tell apart: far more than the tasks that one repo works on at once.
pub(crate) const MOST_COUNTED: u16 = 1_000;

/// Parses the tokens of a clause, with or without a leading `AND`. Returns the condition and the
/// table of each sub-select in the order of the text, or `None` if there is no token but the end.
pub(crate) fn clause(tokens: &[Token<'_>]) -> Result<Option<(Predicate, Vec<Table>)>, Refusal> {
    let mut parser = Parser {
        tokens: Tokens::new(tokens),
        has_leading_and: false,
        depth: 0,
        scopes: Scopes::default(),
    };
    if parser.tokens.peek().kind == TokenKind::End {
        return Ok(None);
    }
    parser.has_leading_and = parser.tokens.take(Keyword::And).is_some();
    let expression = parser.expression()?;
    if parser.tokens.peek().kind != TokenKind::End {
        return Err(continues(parser.tokens.peek()));
    }
    let predicate = expression.condition()?;
    Ok(Some((predicate, parser.scopes.into_reads())))
}

pub(crate) struct Parser<'t> {
    pub(crate) tokens: Tokens<'t>,
    has_leading_and: bool,
    /// How many expressions are open: this one and those around it.
    depth: usize,
    pub(crate) scopes: Scopes,
}

/// An expression whose use is not known yet.
pub(crate) struct Expression<'t> {
    /// Where its first operand starts.
    pub at: Position,
    pub term: Term<'t>,
}

pub(crate) enum Term<'t> {
    Condition(Predicate),
    Value(Value),
    /// The rows that a `(SELECT count(*) ...)` counts.
    Count(Select),
    /// A name without a row.
    Name(&'t str),
}

impl Expression<'_> {
    pub(crate) fn of_condition(at: Position, predicate: Predicate) -> Self {
        let term = Term::Condition(predicate);
        Expression { at, term }
    }

    fn condition(self) -> Result<Predicate, Refusal> {
        let at = self.at;
        if let Term::Condition(predicate) = self.term {
            return Ok(predicate);
        }
        self.value()?;
        let remedy = "compare it, as in `jobs.agent <> 'analyst'`";
        let what = "value in the place of a condition";
        Err(Refusal::new("value-as-boolean", what, remedy, at))
    }

    pub(crate) fn value(self) -> Result<Value, Refusal> {
        let (construct, what, remedy) = match self.term {
            Term::Value(value) => return Ok(value),
            Term::Condition(_) => return Err(condition_as_value(self.at)),
            Term::Count(_) => (
                "count",
                "count that is not the left side of a comparison".to_owned(),
                format!(
                    "write the count on the left and a number from 0 to {MOST_COUNTED} on the \
                     right, as in `(SELECT count(*) FROM ...) >= 3`"
                ),
            ),
            Term::Name(name) => (
                "unqualified-column",
                format!("the column {} is not qualified", echo(name)),
                format!(
                    "write `jobs.{0}`, or `alias.{0}` inside a sub-select",
                    shorten(name)
                ),
            ),
        };
        Err(Refusal::new(construct, what, remedy, self.at))
    }
}

impl<'t> Parser<'t> {
    /// A whole expression: what parentheses, a `WHERE` or an item of a list may hold.
    pub(crate) fn expression(&mut self) -> Result<Expression<'t>, Refusal> {
        NESTING.check(self.depth, self.tokens.peek().at)?;
        self.depth += 1;
        let expression = self.chain(Keyword::Or, Self::conjunction, Predicate::any)?;
        self.depth -= 1;
        Ok(expression)
    }

    /// A whole expression that is a condition.
    pub(crate) fn predicate(&mut self) -> Result<Predicate, Refusal> {
        self.expression()?.condition()
    }

    fn conjunction(&mut self) -> Result<Expression<'t>, Refusal> {
        self.chain(Keyword::And, Self::negation, Predicate::all)
    }

    fn chain(
        &mut self,
        operator: Keyword,
        term: fn(&mut Self) -> Result<Expression<'t>, Refusal>,
        join: fn(Vec<Predicate>) -> Predicate,
    ) -> Result<Expression<'t>, Refusal> {
        let first = term(self)?;
        if self.tokens.peek().kind != TokenKind::Keyword(operator) {
            return Ok(first);
        }
        let at = first.at;
        let mut terms = vec![first.condition()?];
        while let Some(joined) = self.tokens.take(operator) {
            if operator == Keyword::Or && self.depth == 1 && self.has_leading_and {
                let what = "top-level `OR` behind the leading `AND`";
                let remedy = "write `AND (... OR ...)`";
                return Err(Refusal::new("top-level-or", what, remedy, joined.at));
            }
            terms.push(term(self)?.condition()?);
        }
        Ok(Expression::of_condition(at, join(terms)))
    }

    fn negation(&mut self) -> Result<Expression<'t>, Refusal> {
        let nots = self.take_nots();
        let inner = self.comparison()?;
        if nots == 0 {
            return Ok(inner);
        }
        let at = inner.at;
        let mut predicate = inner.condition()?;
        for _ in 0..nots {
            predicate = Predicate::Not(Box::new(predicate));
        }
        Ok(Expression::of_condition(at, predicate))
    }

    fn take_nots(&mut self) -> usize {
        let mut nots = 0;
        while self.tokens.take(Keyword::Not).is_some() {
            nots += 1;
        }
        nots
    }

    pub(crate) fn operand(&mut self) -> Result<Expression<'t>, Refusal> {
        let token = self.tokens.next();
        let at = token.at;
        let literal = |literal| Ok(Term::Value(Value::Literal(literal)));
        let term = match token.kind {
            TokenKind::Integer(integer) => literal(Literal::Integer(integer)),
            TokenKind::String => literal(Literal::Text(unquoted(token.text))),
            TokenKind::Keyword(Keyword::Null) => literal(Literal::Null),
            TokenKind::Keyword(Keyword::True) => Ok(Term::Condition(Predicate::Constant(true))),
            TokenKind::Keyword(Keyword::False) => Ok(Term::Condition(Predicate::Constant(false))),
            TokenKind::Keyword(Keyword::Exists) => return self.exists_select(),
            TokenKind::Keyword(Keyword::Not) => Err(self.negated_operand()?),
            TokenKind::Open => return self.parenthesised(),
            TokenKind::Name => self.named(token),
            _ => Err(unexpected(token)),
        }?;
        Ok(Expression { at, term })
    }

    fn parenthesised(&mut self) -> Result<Expression<'t>, Refusal> {
        if let Some(select) = self.tokens.take(Keyword::Select) {
            return self.select(select.at, false);
        }
        let inner = self.expression()?;
        if self.tokens.peek().kind == TokenKind::Comma {
            let remedy = "compare the columns one by one with `AND`";
            return Err(Refusal::new("row-value", "row value", remedy, inner.at));
        }
        self.tokens.expect(TokenKind::Close)?;
        Ok(inner)
    }

    /// Why a `NOT` may not follow a comparison.
    fn negated_operand(&mut self) -> Result<Refusal, Refusal> {
        self.take_nots();
        let operand = self.last_operand()?;
        Ok(condition_as_value(operand.at))
    }

    fn named(&mut self, first: Token<'t>) -> Result<Term<'t>, Refusal> {
        let path = self.tokens.path(first)?;
        if self.tokens.peek().kind == TokenKind::Open {
            let what = format!(
                "the function {} is not in the language",
                echo(&dotted(&path))
            );
            let remedy = "compare columns and literals; write `min`, `max` and `count(*)` as \
                          `(SELECT min(alias.column) FROM ...)`";
            return Err(Refusal::new("function", what, remedy, first.at));
        }
        match path.as_slice() {
            [name] => Ok(Term::Name(name.text)),
            path => Ok(Term::Value(Value::Cell(self.scopes.cell(path, first.at)?))),
        }
    }
}

fn unquoted(string: &str) -> String {
    let inner = string
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''));
    inner.unwrap_or_default().replace("''", "'")
}

fn condition_as_value(at: Position) -> Refusal {
    let what = "condition in the place of a value";
    let remedy = "use it as a condition, or negate it with `NOT`";
    Refusal::new("boolean-as-value", what, remedy, at)
}
