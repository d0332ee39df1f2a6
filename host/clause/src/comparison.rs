//! The parser's comparisons.
//!
//! Owns `=` and its like, `IN`, `BETWEEN` and `IS NULL`, their types, and what may follow them.
//! Leaves operands to `parse`. Invariant: no comparison is an operand of another without
//! parentheses. SQLite and PostgreSQL group `a = b < c` differently.

use alloc::format;
use alloc::vec::Vec;

use super::contract::Kind;
use super::lex::TokenKind;
use super::parse::{Expression, MOST_COUNTED, Parser, Term};
use super::refusal::{Position, Refusal};
use super::tokens::continues;
use super::tree::{Comparison, Literal, Predicate, Value};
use super::vocabulary::Keyword;

impl<'t> Parser<'t> {
    /// A comparison, or an operand that is not compared.
    pub(crate) fn comparison(&mut self) -> Result<Expression<'t>, Refusal> {
        let left = self.operand()?;
        let at = left.at;
        let can_be_negated = matches!(
            self.tokens.peek_second().kind,
            TokenKind::Keyword(Keyword::In | Keyword::Between)
        );
        let negated = can_be_negated && self.tokens.take(Keyword::Not).is_some();
        let operator = self.tokens.peek();
        let predicate = match operator.kind {
            TokenKind::Comparison(comparison) => {
                self.tokens.next();
                self.compared(left, comparison)?
            }
            TokenKind::Keyword(Keyword::Is) => {
                self.tokens.next();
                self.null_test(left, operator.at)?
            }
            TokenKind::Keyword(Keyword::In) => {
                self.tokens.next();
                self.in_list(left, negated)?
            }
            TokenKind::Keyword(Keyword::Between) => {
                self.tokens.next();
                self.between(left, negated)?
            }
            _ => {
                self.check_complete()?;
                return Ok(left);
            }
        };
        self.check_complete()?;
        Ok(Expression::of_condition(at, predicate))
    }

    fn compared(
        &mut self,
        left: Expression<'t>,
        comparison: Comparison,
    ) -> Result<Predicate, Refusal> {
        let at = left.at;
        if let Term::Count(select) = left.term {
            let number = self.number()?;
            return Ok(Predicate::Count {
                select,
                comparison,
                number,
            });
        }
        let (left, right) = (left.value()?, self.last_operand()?.value()?);
        same_type([left.kind(), right.kind()], at)?;
        Ok(Predicate::Compare {
            left,
            comparison,
            right,
        })
    }

    /// What a count is compared with: a number that is written out and small, so that the renderer
    /// can stop the count one row behind it.
    fn number(&mut self) -> Result<u16, Refusal> {
        let right = self.last_operand()?;
        let at = right.at;
        let number = match right.value()? {
            Value::Literal(Literal::Integer(integer)) => u16::try_from(integer).ok(),
            Value::Literal(_) | Value::Cell(_) | Value::Extreme(_) => None,
        };
        number
            .filter(|&number| number <= MOST_COUNTED)
            .ok_or_else(|| {
                let what = format!(
                    "count compared with something other than a number from 0 to {MOST_COUNTED}"
                );
                let remedy = "write the number out, as in `(SELECT count(*) FROM ...) >= 3`";
                Refusal::new("count", what, remedy, at)
            })
    }

    fn null_test(&mut self, left: Expression<'t>, is: Position) -> Result<Predicate, Refusal> {
        let negated = self.tokens.take(Keyword::Not).is_some();
        if self.tokens.take(Keyword::Null).is_none() {
            let remedy = "write `IS NULL`, `IS NOT NULL`, or a comparison with `=`";
            return Err(Refusal::new("is", "`IS` without `NULL`", remedy, is));
        }
        let value = left.value()?;
        Ok(Predicate::IsNull { value, negated })
    }

    fn in_list(&mut self, left: Expression<'t>, negated: bool) -> Result<Predicate, Refusal> {
        let at = left.at;
        let value = left.value()?;
        self.tokens.expect(TokenKind::Open)?;
        if self.tokens.inner_select().is_some() {
            let what = "`IN` without a list of literals";
            let remedy = "write `EXISTS (SELECT 1 FROM ... WHERE ...)` with the equality inside";
            return Err(Refusal::new("in-sub-select", what, remedy, at));
        }
        let mut items = Vec::new();
        loop {
            let item = self.expression()?;
            let at = item.at;
            let Value::Literal(literal) = item.value()? else {
                let remedy = "write literals, as in `jobs.repo IN ('a', 'b')`";
                let what = "list item that is not a literal";
                return Err(Refusal::new("in-list", what, remedy, at));
            };
            items.push(literal);
            if self.tokens.peek().kind != TokenKind::Comma {
                break;
            }
            self.tokens.next();
        }
        self.tokens.expect(TokenKind::Close)?;
        same_type(items.iter().map(Literal::kind).chain([value.kind()]), at)?;
        Ok(Predicate::InList {
            value,
            items,
            negated,
        })
    }

    fn between(&mut self, left: Expression<'t>, negated: bool) -> Result<Predicate, Refusal> {
        let at = left.at;
        let (value, low) = (left.value()?, self.last_operand()?.value()?);
        self.tokens.expect(TokenKind::Keyword(Keyword::And))?;
        let high = self.last_operand()?.value()?;
        same_type([value.kind(), low.kind(), high.kind()], at)?;
        Ok(Predicate::Between {
            value,
            low,
            high,
            negated,
        })
    }

    /// An operand that is not compared again.
    pub(crate) fn last_operand(&mut self) -> Result<Expression<'t>, Refusal> {
        let operand = self.operand()?;
        self.check_single()?;
        Ok(operand)
    }

    /// Refuses what may not follow a comparison, or an operand that is not compared.
    fn check_complete(&self) -> Result<(), Refusal> {
        self.check_single()?;
        match self.tokens.peek().kind {
            TokenKind::Keyword(Keyword::And | Keyword::Or)
            | TokenKind::Close
            | TokenKind::Comma
            | TokenKind::End => Ok(()),
            _ => Err(continues(self.tokens.peek())),
        }
    }

    /// Refuses a second comparison, and the `x NOT NULL` that only some databases read.
    fn check_single(&self) -> Result<(), Refusal> {
        let (next, second) = (self.tokens.peek(), self.tokens.peek_second());
        let again = match (next.kind, second.kind) {
            (TokenKind::Comparison(_), _) => next,
            (TokenKind::Keyword(Keyword::In | Keyword::Between | Keyword::Is), _) => next,
            (TokenKind::Keyword(Keyword::Not), TokenKind::Keyword(keyword)) => match keyword {
                Keyword::In | Keyword::Between => second,
                Keyword::Null => {
                    let (what, remedy) = ("`NOT NULL` without `IS`", "write `IS NOT NULL`");
                    return Err(Refusal::new("null-test", what, remedy, next.at));
                }
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        let (what, remedy) = (
            "a comparison is compared again",
            "connect two comparisons with `AND`",
        );
        Err(Refusal::new("chained-comparison", what, remedy, again.at))
    }
}

fn same_type(kinds: impl IntoIterator<Item = Option<Kind>>, at: Position) -> Result<(), Refusal> {
    let mut kinds = kinds.into_iter().flatten();
    let first = kinds.next();
    if kinds.all(|kind| Some(kind) == first) {
        return Ok(());
    }
    let what = "an integer is compared with a text";
    let remedy = "compare integers with integers and text with text";
    Err(Refusal::new("type", what, remedy, at))
}
