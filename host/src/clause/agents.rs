//! Which agents' jobs a clause may hold (DESIGN section 6, a).
//!
//! Owns a three-valued folding of the typed tree with the agent known and all else unknown.
//! Invariant: the clause is true for every job of an agent that is not gated, whatever the tables
//! hold.

use super::Dialect;
use std::fmt;

use super::contract::Column;
use super::render::{self, Rendered};
use super::tree::{Cell, Comparison, Literal, Part, Predicate, Row, Value};

/// A set of agents; `None` stands for a job without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agents {
    /// These.
    Only(Vec<Option<String>>),
    /// All but these.
    AllBut(Vec<Option<String>>),
}

impl Agents {
    /// Whether there are none.
    pub fn are_none(&self) -> bool {
        *self == Agents::Only(Vec::new())
    }

    /// The condition on a job that its agent is none of these.
    pub fn others(&self, dialect: Dialect) -> Rendered {
        let others = match self {
            Agents::Only(agents) => Predicate::Not(Box::new(is_one_of(agents))),
            Agents::AllBut(agents) => is_one_of(agents),
        };
        render::render(Some(&others), dialect)
    }
}

impl fmt::Display for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, agents) = match self {
            Agents::Only(agents) if agents.is_empty() => return f.write_str("no agent"),
            Agents::AllBut(agents) if agents.is_empty() => return f.write_str("every agent"),
            Agents::Only(agents) => ("", agents),
            Agents::AllBut(agents) => ("every agent but ", agents),
        };
        let names: Vec<String> = agents
            .iter()
            .map(|agent| match agent {
                Some(name) => format!("`{name}`"),
                None => "NULL".into(),
            })
            .collect();
        write!(f, "{before}{}", names.join(", "))
    }
}

/// True or false, and never NULL.
fn is_one_of(agents: &[Option<String>]) -> Predicate {
    let terms = agents.iter().map(|agent| match agent {
        None => Predicate::IsNull {
            value: AGENT,
            negated: false,
        },
        Some(name) => Predicate::All(vec![
            Predicate::Compare {
                left: AGENT,
                comparison: Comparison::Equal,
                right: Value::Literal(Literal::Text(name.clone())),
            },
            Predicate::IsNull {
                value: AGENT,
                negated: true,
            },
        ]),
    });
    Predicate::Any(
        std::iter::once(Predicate::Constant(false))
            .chain(terms)
            .collect(),
    )
}

/// The agent of the job.
pub(super) const AGENT: Value = Value::Cell(Cell {
    row: Row::Job,
    column: Column::Agent,
});

/// The agents whose jobs a clause may hold. Names that the clause does not mention all fare alike,
/// so one fresh name stands for them.
pub(super) fn gated(predicate: &Predicate) -> Agents {
    let mut mentioned = vec![None];
    predicate.walk(&mut |part| {
        let mut mention = |literal: &Literal| {
            if let Literal::Text(text) = literal {
                mentioned.push(Some(text.clone()));
            }
        };
        match part {
            Part::Predicate(Predicate::InList { items, .. }) => items.iter().for_each(mention),
            Part::Value(Value::Literal(literal)) => mention(literal),
            _ => {}
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
