//! Which agents' jobs a clause may hold.
//!
//! Owns a three-valued folding of the typed tree with the agent known and all else unknown.
//! Invariant: the clause is true for every job of an agent that is not gated, for all rows of the
//! tables.

use alloc::vec;
use alloc::vec::Vec;

use super::agents::{AGENT, Agents};
use super::tree::{Comparison, Literal, Predicate, Value};

/// The agents whose jobs a clause may hold. Names that the clause does not mention all fare alike,
/// so one fresh name stands for them.
pub(super) fn gated(predicate: &Predicate) -> Agents {
    let mut mentioned = vec![None];
    predicate.literals(&mut |literal| {
        if let Literal::Text(text) = literal {
            mentioned.push(Some(text.clone()));
        }
    });
    mentioned.sort();
    mentioned.dedup();
    let (gated, free): (Vec<_>, Vec<_>) = mentioned.into_iter().partition(|name| {
        let agent = name.as_deref().map_or(Agent::None, Agent::Named);
        fold(predicate, agent) != Outcomes::TRUE
    });
    if fold(predicate, Agent::Fresh) == Outcomes::TRUE {
        Agents::Only(gated)
    } else {
        Agents::AllBut(free)
    }
}

/// What is known of a job's agent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Agent<'a> {
    None,
    Named(&'a str),
    /// A name that the clause does not mention.
    Fresh,
}

/// The truth values that a condition may have.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Outcomes {
    is_false: bool,
    is_null: bool,
    is_true: bool,
}

impl Outcomes {
    const FALSE: Outcomes = Outcomes {
        is_false: true,
        is_null: false,
        is_true: false,
    };
    const NULL: Outcomes = Outcomes {
        is_false: false,
        is_null: true,
        is_true: false,
    };
    const TRUE: Outcomes = Outcomes {
        is_false: false,
        is_null: false,
        is_true: true,
    };
    const EITHER: Outcomes = Outcomes {
        is_false: true,
        is_null: false,
        is_true: true,
    };
    const ANY: Outcomes = Outcomes {
        is_false: true,
        is_null: true,
        is_true: true,
    };

    fn of(known: bool) -> Outcomes {
        if known {
            Outcomes::TRUE
        } else {
            Outcomes::FALSE
        }
    }

    fn not(self) -> Outcomes {
        Outcomes {
            is_false: self.is_true,
            is_null: self.is_null,
            is_true: self.is_false,
        }
    }

    fn and(self, other: Outcomes) -> Outcomes {
        Outcomes {
            is_false: self.is_false || other.is_false,
            is_null: (self.is_null && (other.is_null || other.is_true))
                || (other.is_null && self.is_true),
            is_true: self.is_true && other.is_true,
        }
    }
}

fn fold(predicate: &Predicate, agent: Agent<'_>) -> Outcomes {
    match predicate {
        Predicate::Constant(known) => Outcomes::of(*known),
        Predicate::Not(inner) => fold(inner, agent).not(),
        Predicate::All(terms) => all(terms.iter().map(|term| fold(term, agent))),
        // De Morgan holds for three values too.
        Predicate::Any(terms) => all(terms.iter().map(|term| fold(term, agent).not())).not(),
        Predicate::Compare {
            left,
            comparison,
            right,
        } => compare(left, *comparison, right, agent),
        Predicate::InList {
            value,
            items,
            negated,
        } => {
            let is_none_of = items.iter().map(|item| {
                compare(
                    value,
                    Comparison::Equal,
                    &Value::Literal(item.clone()),
                    agent,
                )
                .not()
            });
            swapped(all(is_none_of).not(), *negated)
        }
        Predicate::Between {
            value,
            low,
            high,
            negated,
        } => {
            let low = compare(value, Comparison::GreaterOrEqual, low, agent);
            let high = compare(value, Comparison::LessOrEqual, high, agent);
            swapped(low.and(high), *negated)
        }
        Predicate::IsNull { value, negated } => {
            let outcomes = match value {
                _ if is_agent(value) => Outcomes::of(agent == Agent::None),
                Value::Literal(literal) => Outcomes::of(*literal == Literal::Null),
                Value::Cell(_) | Value::Extreme(_) => Outcomes::EITHER,
            };
            swapped(outcomes, *negated)
        }
        Predicate::Exists(select) => {
            if fold(&select.filter, agent).is_true {
                Outcomes::EITHER
            } else {
                Outcomes::FALSE
            }
        }
        Predicate::Count { .. } => Outcomes::EITHER,
    }
}

fn all(terms: impl Iterator<Item = Outcomes>) -> Outcomes {
    terms.fold(Outcomes::TRUE, Outcomes::and)
}

fn swapped(outcomes: Outcomes, negated: bool) -> Outcomes {
    if negated { outcomes.not() } else { outcomes }
}

fn is_agent(value: &Value) -> bool {
    *value == AGENT
}

fn compare(left: &Value, comparison: Comparison, right: &Value, agent: Agent<'_>) -> Outcomes {
    let is_null = |value: &Value| {
        *value == Value::Literal(Literal::Null) || (is_agent(value) && agent == Agent::None)
    };
    if is_null(left) || is_null(right) {
        return Outcomes::NULL;
    }
    let ordering = match (left, right, agent) {
        (Value::Literal(Literal::Text(text)), value, Agent::Named(name)) if is_agent(value) => {
            text.as_bytes().cmp(name.as_bytes())
        }
        (value, Value::Literal(Literal::Text(text)), Agent::Named(name)) if is_agent(value) => {
            name.as_bytes().cmp(text.as_bytes())
        }
        (Value::Literal(Literal::Text(text)), Value::Literal(Literal::Text(other)), _) => {
            text.as_bytes().cmp(other.as_bytes())
        }
        (Value::Literal(Literal::Integer(number)), Value::Literal(Literal::Integer(other)), _) => {
            number.cmp(other)
        }
        // A fresh name differs from every literal; where it stands among them is not known.
        (Value::Literal(_), value, Agent::Fresh) | (value, Value::Literal(_), Agent::Fresh)
            if is_agent(value) =>
        {
            return match comparison {
                Comparison::Equal => Outcomes::FALSE,
                Comparison::NotEqual => Outcomes::TRUE,
                _ => Outcomes::EITHER,
            };
        }
        _ => return Outcomes::ANY,
    };
    Outcomes::of(match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::NotEqual => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    })
}
