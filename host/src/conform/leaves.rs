//! The leaves of a clause's tree, and comparisons that are negated or turned round.

use crate::clause::tree::{Comparison, Literal, Predicate, Value};

/// How many conditions a predicate has that can decide it, sub-selects as a whole and their
/// filters' conditions included.
pub(super) fn leaves(predicate: &Predicate) -> usize {
    match predicate {
        Predicate::Not(inner) => leaves(inner),
        Predicate::All(terms) | Predicate::Any(terms) => terms.iter().map(leaves).sum(),
        Predicate::Exists(select) | Predicate::Count { select, .. } => 1 + leaves(&select.filter),
        Predicate::Compare { left, right, .. } => 1 + leaves_of(left) + leaves_of(right),
        Predicate::Constant(_)
        | Predicate::InList { .. }
        | Predicate::Between { .. }
        | Predicate::IsNull { .. } => 1,
    }
}

pub(super) fn leaves_of(value: &Value) -> usize {
    match value {
        Value::Extreme(extreme) => leaves(&extreme.select.filter),
        Value::Literal(_) | Value::Cell(_) => 0,
    }
}

/// The comparison of a count changes its truth value at its number plus this.
pub(super) fn turn(comparison: Comparison) -> usize {
    match comparison {
        Comparison::Greater | Comparison::LessOrEqual => 1,
        _ => 0,
    }
}

/// Whether a comparison is true of the count at that turn, and not of the one before.
pub(super) fn is_of_many(comparison: Comparison) -> bool {
    matches!(
        comparison,
        Comparison::Greater | Comparison::GreaterOrEqual | Comparison::Equal
    )
}

pub(super) fn opposite(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterOrEqual,
        Comparison::LessOrEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessOrEqual,
        Comparison::GreaterOrEqual => Comparison::Less,
    }
}

pub(super) fn is_true(left: &Literal, comparison: Comparison, right: &Literal) -> bool {
    let order = match (left, right) {
        (Literal::Integer(left), Literal::Integer(right)) => left.cmp(right),
        (Literal::Text(left), Literal::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        _ => return false,
    };
    comparison.holds(order)
}

/// A leaf of a predicate, by its number.
pub(super) fn leaf_at<'a>(predicate: &'a Predicate, leaf: usize) -> Option<&'a Predicate> {
    let of_value = |value: &'a Value| match value {
        Value::Extreme(extreme) => Some(&*extreme.select.filter),
        _ => None,
    };
    let inner: Vec<&Predicate> = match predicate {
        Predicate::Not(inner) => return leaf_at(inner, leaf),
        Predicate::All(terms) | Predicate::Any(terms) => terms.iter().collect(),
        _ if leaf == 0 => return Some(predicate),
        Predicate::Exists(select) | Predicate::Count { select, .. } => vec![&*select.filter],
        Predicate::Compare { left, right, .. } => {
            [left, right].into_iter().filter_map(of_value).collect()
        }
        _ => return None,
    };
    let mut first = usize::from(!matches!(predicate, Predicate::All(_) | Predicate::Any(_)));
    for inner in inner {
        let next = first + leaves(inner);
        if (first..next).contains(&leaf) {
            return leaf_at(inner, leaf - first);
        }
        first = next;
    }
    None
}
