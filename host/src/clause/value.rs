//! Lowers values: columns, literals and the smallest or largest value of a sub-select.
//!
//! Owns what may stand where a value is expected, and says which condition or call stands there
//! instead. Leaves names to `scope`, sub-selects to `select` and counts to `count`. Invariant: an
//! integer of the tree fits 64 bits, a text is printable ASCII, as `tokens` has checked.

use sqlparser::ast::{Expr, UnaryOperator, Value as Constant, ValueWithSpan};

use super::count;
use super::parse;
use super::refusal::{Refusal, echo, shorten};
use super::scope::Scopes;
use super::select::extreme;
use super::tree::{Literal, Value};
use super::words;

/// An operand of a comparison. SQLite and PostgreSQL group `a = b < c` differently, so a condition
/// as an operand is told apart from one in parentheses.
pub(crate) fn operand(scopes: &mut Scopes, expression: Expr) -> Result<Value, Refusal> {
    let at = parse::start(&expression);
    match expression {
        Expr::BinaryOp { .. }
        | Expr::Between { .. }
        | Expr::In { .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_) => {
            let remedy = "connect two comparisons with `AND`";
            Err(Refusal::new(
                "chained-comparison",
                "a comparison is compared again",
                remedy,
                at,
            ))
        }
        other => value(scopes, other),
    }
}

/// A value in any place.
pub(crate) fn value(scopes: &mut Scopes, expression: Expr) -> Result<Value, Refusal> {
    let at = parse::start(&expression);
    let refuse =
        |construct, what: &str, remedy: &str| Err(Refusal::new(construct, what, remedy, at));
    match expression {
        expression if count::stands(&expression) => Err(count::misplaced(at)),
        Expr::Nested(inner) => value(scopes, *inner),
        Expr::CompoundIdentifier(path) => Ok(Value::Cell(scopes.cell(&path, at)?)),
        Expr::Subquery(query) => Ok(Value::Extreme(Box::new(extreme(scopes, *query)?))),
        Expr::Value(ValueWithSpan {
            value: Constant::Null,
            span: _,
        }) => Ok(Value::Literal(Literal::Null)),
        Expr::Value(ValueWithSpan {
            value: Constant::SingleQuotedString(text),
            span: _,
        }) => Ok(Value::Literal(Literal::Text(text))),
        Expr::Value(ValueWithSpan {
            value: Constant::Number(digits, false),
            span: _,
        }) => match digits.parse() {
            Ok(integer) => Ok(Value::Literal(Literal::Integer(integer))),
            Err(_) => refuse(
                "integer-range",
                "the integer does not fit 64 bits",
                "write a smaller one",
            ),
        },
        // sqlparser takes a keyword for a name where no expression of that keyword can start.
        Expr::Identifier(name) if words::keyword(&name.value).is_some() => {
            let what = format!("{} is not expected", echo(&name.value));
            refuse("syntax", &what, "write a condition before and behind it")
        }
        Expr::Function(function) if words::keyword(&function.name.to_string()).is_some() => {
            let what = format!("{} is not expected", echo(&function.name.to_string()));
            refuse("syntax", &what, "write a condition before and behind it")
        }
        Expr::Identifier(name) => {
            let what = format!("the column {} is not qualified", echo(&name.value));
            let remedy = format!(
                "write `jobs.{0}`, or `alias.{0}` inside a sub-select",
                shorten(&name.value)
            );
            Err(Refusal::new("unqualified-column", what, remedy, at))
        }
        Expr::Function(function) => {
            let what = format!(
                "the function {} is not in the language",
                echo(&function.name.to_string())
            );
            let remedy = "compare columns and literals; `min`, `max` and `count(*)` stand in `(SELECT min(alias.column) FROM ...)`";
            Err(Refusal::new("function", what, remedy, at))
        }
        Expr::Tuple(_) => refuse(
            "row-value",
            "a row value stands",
            "compare the columns one by one with `AND`",
        ),
        Expr::Value(ValueWithSpan {
            value: Constant::Boolean(_),
            span: _,
        })
        | Expr::BinaryOp { .. }
        | Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: _,
        }
        | Expr::Between { .. }
        | Expr::In { .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::Exists { .. } => {
            let remedy = "use it as a condition, or negate it with `NOT`";
            refuse(
                "boolean-as-value",
                "a condition stands in the place of a value",
                remedy,
            )
        }
        _ => {
            let remedy = "write a qualified column, an integer, a string or `NULL`";
            refuse(
                "expression",
                "an expression outside the language stands",
                remedy,
            )
        }
    }
}
