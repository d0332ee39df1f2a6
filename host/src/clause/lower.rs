//! Lowers sqlparser's syntax tree into our own, or refuses.
//!
//! Owns conditions and the types of their operands. Leaves values to `value`, sub-selects to
//! `select`, counts to `count`, names to `scope`. sqlparser's structs are taken apart without `..`:
//! a field that a later version adds does not compile until somebody has decided what it means
//! here. An expression not listed is refused. Invariant: as in `tree`.

use sqlparser::ast::{
    BinaryOperator, Expr, InTarget, UnaryOperator, Value as Constant, ValueWithSpan,
};
use sqlparser::tokenizer::Location;

use super::contract::{Kind, Table};
use super::count;
use super::parse;
use super::refusal::{Refusal, echo};
use super::scope::Scopes;
use super::select::exists;
use super::tree::{Comparison, Literal, Predicate, Value};
use super::value::{operand, value};

/// Lowers a whole clause; also returns the table of each sub-select, in the order of the text.
pub(crate) fn lower(expression: Expr) -> Result<(Predicate, Vec<Table>), Refusal> {
    let mut scopes = Scopes::default();
    let predicate = predicate(&mut scopes, expression)?;
    Ok((predicate, scopes.into_reads()))
}

/// Lowers a condition.
pub(crate) fn predicate(scopes: &mut Scopes, expression: Expr) -> Result<Predicate, Refusal> {
    let at = parse::start(&expression);
    match expression {
        Expr::Nested(inner) => predicate(scopes, *inner),
        Expr::Value(ValueWithSpan {
            value: Constant::Boolean(constant),
            span: _,
        }) => Ok(Predicate::Constant(constant)),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            let terms = chain(&BinaryOperator::And, *left, *right);
            let terms = terms.into_iter().map(|term| predicate(scopes, term));
            Ok(Predicate::all(terms.collect::<Result<_, _>>()?))
        }
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Or,
            right,
        } => {
            let terms = chain(&BinaryOperator::Or, *left, *right);
            let terms = terms.into_iter().map(|term| predicate(scopes, term));
            Ok(Predicate::any(terms.collect::<Result<_, _>>()?))
        }
        Expr::BinaryOp { left, op, right } if count::stands(&left) => {
            count::compared(scopes, *left, comparison(&op, at)?, *right)
        }
        Expr::BinaryOp { left, op, right } => {
            let comparison = comparison(&op, at)?;
            let (left, right) = (operand(scopes, *left)?, operand(scopes, *right)?);
            same_type([left.kind(), right.kind()], at)?;
            Ok(Predicate::Compare {
                left,
                comparison,
                right,
            })
        }
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => Ok(Predicate::Not(Box::new(predicate(scopes, *expr)?))),
        Expr::Exists { subquery, negated } => {
            let exists = Predicate::Exists(exists(scopes, *subquery)?);
            Ok(if negated {
                Predicate::Not(Box::new(exists))
            } else {
                exists
            })
        }
        Expr::IsNull(inner) => Ok(Predicate::IsNull {
            value: operand(scopes, *inner)?,
            negated: false,
        }),
        Expr::IsNotNull(inner) => Ok(Predicate::IsNull {
            value: operand(scopes, *inner)?,
            negated: true,
        }),
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let (value, low, high) = (
                operand(scopes, *expr)?,
                operand(scopes, *low)?,
                operand(scopes, *high)?,
            );
            same_type([value.kind(), low.kind(), high.kind()], at)?;
            Ok(Predicate::Between {
                value,
                low,
                high,
                negated,
            })
        }
        Expr::In {
            expr,
            target,
            negated,
            global: false,
        } => {
            let value = operand(scopes, *expr)?;
            let items = literals(scopes, target, at)?;
            same_type(items.iter().map(Literal::kind).chain([value.kind()]), at)?;
            Ok(Predicate::InList {
                value,
                items,
                negated,
            })
        }
        // Whatever else it is, lowering it as a value finds the more exact refusal.
        other => {
            value(scopes, other)?;
            let remedy = "compare it, as in `jobs.agent <> 'analyst'`";
            Err(Refusal::new(
                "value-as-boolean",
                "a value stands in the place of a condition",
                remedy,
                at,
            ))
        }
    }
}

/// The terms of a left-deep chain of one operator, in the order of the text. A loop, since the
/// chain may be 500 deep.
fn chain(operator: &BinaryOperator, left: Expr, right: Expr) -> Vec<Expr> {
    let (mut rest, mut terms) = (left, vec![right]);
    loop {
        match rest {
            Expr::BinaryOp { left, op, right } if op == *operator => {
                terms.push(*right);
                rest = *left;
            }
            first => {
                terms.push(first);
                terms.reverse();
                return terms;
            }
        }
    }
}

fn comparison(operator: &BinaryOperator, at: Location) -> Result<Comparison, Refusal> {
    match operator {
        BinaryOperator::Eq => Ok(Comparison::Equal),
        BinaryOperator::NotEq => Ok(Comparison::NotEqual),
        BinaryOperator::Lt => Ok(Comparison::Less),
        BinaryOperator::LtEq => Ok(Comparison::LessOrEqual),
        BinaryOperator::Gt => Ok(Comparison::Greater),
        BinaryOperator::GtEq => Ok(Comparison::GreaterOrEqual),
        other => {
            let what = format!(
                "the operator {} is not in the language",
                echo(&other.to_string())
            );
            Err(Refusal::new(
                "operator",
                what,
                "write `=`, `<>`, `<`, `<=`, `>` or `>=`",
                at,
            ))
        }
    }
}

fn literals(scopes: &mut Scopes, target: InTarget, at: Location) -> Result<Vec<Literal>, Refusal> {
    let remedy = "write literals, as in `jobs.repo IN ('a', 'b')`";
    let InTarget::List(items) = target else {
        let remedy = "write `EXISTS (SELECT 1 FROM ... WHERE ...)` with the equality inside";
        return Err(Refusal::new(
            "in-sub-select",
            "`IN` without a list of literals stands",
            remedy,
            at,
        ));
    };
    let literals = items.into_iter().map(|item| {
        let at = parse::start(&item);
        match value(scopes, item)? {
            Value::Literal(literal) => Ok(literal),
            Value::Cell(_) | Value::Extreme(_) => Err(Refusal::new(
                "in-list",
                "a list item that is no literal stands",
                remedy,
                at,
            )),
        }
    });
    let literals = literals.collect::<Result<Vec<_>, _>>()?;
    if literals.is_empty() {
        return Err(Refusal::new("in-list", "an empty list stands", remedy, at));
    }
    Ok(literals)
}

fn same_type(kinds: impl IntoIterator<Item = Option<Kind>>, at: Location) -> Result<(), Refusal> {
    let mut kinds = kinds.into_iter().flatten();
    let first = kinds.next();
    if kinds.all(|kind| Some(kind) == first) {
        return Ok(());
    }
    let remedy = "compare integers with integers and text with text";
    Err(Refusal::new(
        "type",
        "an integer is compared with a text",
        remedy,
        at,
    ))
}
