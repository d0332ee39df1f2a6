//! Which agents' jobs a clause may hold.
//!
//! Owns a three-valued evaluation of the typed tree with the agent known and all else unknown.
//! Invariant: the clause is true for every job of an agent that is not gated, for all rows of the
//! tables.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::agents::{AGENT, Agents};
use super::tree::{Comparison, Literal, Part, Predicate, Value};

/// The agents whose jobs a clause may hold. Names with which the clause does not compare the agent
/// all fare alike, so one fresh name represents them.
pub(super) fn gated(predicate: &Predicate) -> Agents {
    let lists = Lists::of(predicate);
    let mut named = vec![None];
    named.extend(compared_with_agent(predicate).into_iter().map(Some));
    named.sort_unstable();
    named.dedup();
    let (gated, free): (Vec<_>, Vec<_>) = named.into_iter().partition(|name| {
        let agent = name.map_or(Agent::None, Agent::Named);
        fold(predicate, agent, &lists) != Outcomes::TRUE
    });
    let owned = |names: Vec<Option<&str>>| {
        let names = names.into_iter();
        names.map(|name| name.map(ToOwned::to_owned)).collect()
    };
    if fold(predicate, Agent::Fresh, &lists) == Outcomes::TRUE {
        Agents::Only(owned(gated))
    } else {
        Agents::AllBut(owned(free))
    }
}

/// The texts that the job's agent is compared with.
fn compared_with_agent(predicate: &Predicate) -> Vec<&str> {
    let mut texts = Vec::new();
    predicate.walk(&mut |part| match part {
        Part::Predicate(Predicate::Compare { left, right, .. }) => {
            add_texts([left, right], &mut texts);
        }
        Part::Predicate(Predicate::Between {
            value, low, high, ..
        }) => add_texts([value, low, high], &mut texts),
        Part::Predicate(Predicate::InList { value, items, .. }) if *value == AGENT => {
            texts.extend(items.iter().filter_map(text_of));
        }
        _ => {}
    });
    texts
}

/// The texts among the operands of a comparison, if the agent is one of them.
fn add_texts<'a, const N: usize>(operands: [&'a Value; N], texts: &mut Vec<&'a str>) {
    if operands.contains(&&AGENT) {
        let literals = operands.into_iter().filter_map(|operand| match operand {
            Value::Literal(literal) => Some(literal),
            Value::Cell(_) | Value::Extreme(_) => None,
        });
        texts.extend(literals.filter_map(text_of));
    }
}

fn text_of(literal: &Literal) -> Option<&str> {
    match literal {
        Literal::Text(text) => Some(text),
        Literal::Null | Literal::Integer(_) => None,
    }
}

/// The lists of the clause, each read once: one may have thousands of items, and is asked about each
/// of as many agents.
struct Lists<'a>(BTreeMap<*const Literal, List<'a>>);

struct List<'a> {
    /// In their order.
    texts: Vec<&'a str>,
    has_null: bool,
    has_others: bool,
}

impl<'a> Lists<'a> {
    fn of(predicate: &'a Predicate) -> Lists<'a> {
        let mut lists = BTreeMap::new();
        predicate.walk(&mut |part| {
            if let Part::Predicate(Predicate::InList { items, .. }) = part {
                let mut texts: Vec<&str> = items.iter().filter_map(text_of).collect();
                texts.sort_unstable();
                let has_null = items.contains(&Literal::Null);
                let has_others = items.iter().any(|item| *item != Literal::Null);
                let list = List {
                    texts,
                    has_null,
                    has_others,
                };
                lists.insert(items.as_ptr(), list);
            }
        });
        Lists(lists)
    }

    /// Whether a value is in a list.
    fn holds(&self, items: &[Literal], value: Known<'_>) -> Outcomes {
        let Some(list) = self.0.get(&items.as_ptr()) else {
            return Outcomes::ANY;
        };
        let or_null = |is_in: bool| match (is_in, list.has_null) {
            (true, _) => Outcomes::TRUE,
            (false, true) => Outcomes::NULL,
            (false, false) => Outcomes::FALSE,
        };
        match value {
            Known::Null => Outcomes::NULL,
            Known::Agent(name) | Known::Text(name) => {
                or_null(list.texts.binary_search(&name).is_ok())
            }
            Known::FreshAgent => or_null(false),
            Known::Integer(number) => or_null(items.contains(&Literal::Integer(number))),
            Known::Nothing => {
                let others = list.has_others.then_some(Outcomes::ANY);
                let null = list.has_null.then_some(Outcomes::NULL);
                all(others.into_iter().chain(null).map(Outcomes::not)).not()
            }
        }
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

fn fold(predicate: &Predicate, agent: Agent<'_>, lists: &Lists<'_>) -> Outcomes {
    match predicate {
        Predicate::Constant(known) => Outcomes::of(*known),
        Predicate::Not(inner) => fold(inner, agent, lists).not(),
        Predicate::All(terms) => all(terms.iter().map(|term| fold(term, agent, lists))),
        // De Morgan holds for three values too.
        Predicate::Any(terms) => all(terms.iter().map(|term| fold(term, agent, lists).not())).not(),
        Predicate::Compare {
            left,
            comparison,
            right,
        } => compare(left, *comparison, right, agent),
        Predicate::InList {
            value,
            items,
            negated,
        } => swapped(lists.holds(items, known(value, agent)), *negated),
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
            if fold(&select.filter, agent, lists).may_be(Outcomes::TRUE) {
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
