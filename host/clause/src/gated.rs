//! Which agents' jobs a clause may hold.
//!
//! Owns a three-valued evaluation of the typed tree with the agent known and all else unknown.
//! Invariant: the clause is true for every job of an agent that is not gated, for all rows of the
//! tables.

use alloc::vec;
use alloc::vec::Vec;

use super::agents::{AGENT, Agents};
use super::tree::{Comparison, Literal, Predicate, Value};

/// The agents whose jobs a clause may hold. Names that the clause does not mention all fare alike,
/// so one fresh name represents them.
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

/// The truth values that a condition may have, a bit for each.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Outcomes(u8);

impl Outcomes {
    const FALSE: Outcomes = Outcomes(0b001);
    const NULL: Outcomes = Outcomes(0b010);
    const TRUE: Outcomes = Outcomes(0b100);
    const EITHER: Outcomes = Outcomes(0b101);
    const ANY: Outcomes = Outcomes(0b111);

    fn of(known: bool) -> Outcomes {
        match known {
            true => Outcomes::TRUE,
            false => Outcomes::FALSE,
        }
    }

    fn may_be(self, one: Outcomes) -> bool {
        self.0 & one.0 != 0
    }

    fn not(self) -> Outcomes {
        let Outcomes(bits) = self;
        Outcomes((bits & 0b001) << 2 | bits & 0b010 | bits >> 2)
    }

    /// Each outcome of one with each of the other: the lesser of both, from false to true.
    fn and(self, other: Outcomes) -> Outcomes {
        let mut bits = self.0 & other.0 | (self.0 | other.0) & Outcomes::FALSE.0;
        let is_null = |one: Outcomes, other: Outcomes| {
            one.may_be(Outcomes::NULL) && other.may_be(Outcomes::TRUE)
        };
        if is_null(self, other) || is_null(other, self) {
            bits |= Outcomes::NULL.0;
        }
        Outcomes(bits)
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
            let outcomes = match known(value, agent) {
                Known::Null => Outcomes::TRUE,
                Known::Nothing => Outcomes::EITHER,
                _ => Outcomes::FALSE,
            };
            swapped(outcomes, *negated)
        }
        Predicate::Exists(select) => {
            if fold(&select.filter, agent).may_be(Outcomes::TRUE) {
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

/// What is known of a value.
enum Known<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Agent(&'a str),
    FreshAgent,
    Nothing,
}

fn known<'a>(value: &'a Value, agent: Agent<'a>) -> Known<'a> {
    match value {
        Value::Literal(Literal::Null) => Known::Null,
        Value::Literal(Literal::Integer(integer)) => Known::Integer(*integer),
        Value::Literal(Literal::Text(text)) => Known::Text(text),
        Value::Cell(_) if *value == AGENT => match agent {
            Agent::None => Known::Null,
            Agent::Named(name) => Known::Agent(name),
            Agent::Fresh => Known::FreshAgent,
        },
        Value::Cell(_) | Value::Extreme(_) => Known::Nothing,
    }
}

fn compare(left: &Value, comparison: Comparison, right: &Value, agent: Agent<'_>) -> Outcomes {
    use Known::{Agent, FreshAgent, Integer, Null, Text};
    match (known(left, agent), known(right, agent)) {
        (Null, _) | (_, Null) => Outcomes::NULL,
        (Integer(left), Integer(right)) => Outcomes::of(comparison.holds(left.cmp(&right))),
        (Text(left), Text(right)) | (Text(left), Agent(right)) | (Agent(left), Text(right)) => {
            Outcomes::of(comparison.holds(left.cmp(right)))
        }
        // A fresh name differs from every literal; its place among them is not known.
        (Text(_), FreshAgent) | (FreshAgent, Text(_)) => match comparison {
            Comparison::Equal => Outcomes::FALSE,
            Comparison::NotEqual => Outcomes::TRUE,
            _ => Outcomes::EITHER,
        },
        _ => Outcomes::ANY,
    }
}
