//! Lowers counts: `(SELECT count(*) FROM tasks t WHERE ...) >= 3`.
//!
//! Owns where a count may stand and the numbers that it is compared with. Leaves its sub-select to
//! `select`. Invariant: a count is compared with a number that is written out and small, so that
//! the renderer can stop counting one row behind it, and a count is never a value: no other
//! condition holds one.

use sqlparser::ast::{Expr, SelectItem, SetExpr};
use sqlparser::tokenizer::Location;

use super::parse;
use super::refusal::Refusal;
use super::scope::Scopes;
use super::select::counted;
use super::tree::{Comparison, Literal, Predicate, Select, Value};
use super::value::operand;

/// How many rows a policy may tell apart: far more than the tasks that one repo works on at once.
const MOST: u16 = 1_000;

/// Whether an operand is a count of any shape, in parentheses or not, also one that is refused
/// later.
pub(crate) fn stands(operand: &Expr) -> bool {
    let query = match operand {
        Expr::Nested(inner) => return stands(inner),
        Expr::Subquery(query) => query,
        _ => return false,
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(Expr::Function(function))] => {
            function.name.to_string().eq_ignore_ascii_case("count")
        }
        _ => false,
    }
}

/// Lowers the comparison of a count with what stands on its right.
pub(crate) fn compared(
    scopes: &mut Scopes,
    count: Expr,
    comparison: Comparison,
    right: Expr,
) -> Result<Predicate, Refusal> {
    let select = select(scopes, count)?;
    let at = parse::start(&right);
    let number = match operand(scopes, right)? {
        Value::Literal(Literal::Integer(integer)) => u16::try_from(integer).ok(),
        Value::Literal(_) | Value::Cell(_) | Value::Extreme(_) => None,
    };
    match number {
        Some(number @ ..=MOST) => Ok(Predicate::Count {
            select,
            comparison,
            number,
        }),
        _ => Err(Refusal::new(
            "count",
            format!("a count is compared with something else than a number from 0 to {MOST}"),
            "write the number out, as in `(SELECT count(*) FROM ...) >= 3`",
            at,
        )),
    }
}

fn select(scopes: &mut Scopes, count: Expr) -> Result<Select, Refusal> {
    match count {
        Expr::Nested(inner) => select(scopes, *inner),
        Expr::Subquery(query) => counted(scopes, *query),
        other => Err(misplaced(parse::start(&other))),
    }
}

/// The refusal of a count anywhere else than on the left of a comparison.
pub(crate) fn misplaced(at: Location) -> Refusal {
    let what = "a count that is not the left side of a comparison stands";
    let remedy = format!(
        "write the count on the left and a number from 0 to {MOST} on the right, as in `(SELECT count(*) FROM ...) >= 3`"
    );
    Refusal::new("count", what, remedy, at)
}
