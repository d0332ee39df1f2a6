//! A set of agents, as a clause gates them.
//!
//! Owns its conditions on a job and its words. Leaves to `gated` which agents a clause gates.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::Dialect;
use super::contract::Column;
use super::render::{self, Rendered};
use super::tree::{Cell, Comparison, Literal, Predicate, Row, Value};

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

    /// The condition on a job that it has an agent, and that it is one of these.
    pub fn named(&self, dialect: Dialect) -> Rendered {
        let (agents, negated) = match self {
            Agents::Only(agents) => (agents, false),
            Agents::AllBut(agents) => (agents, true),
        };
        let items: Vec<Literal> = agents
            .iter()
            .flatten()
            .cloned()
            .map(Literal::Text)
            .collect();
        let is_listed = match items.is_empty() {
            true => Predicate::Constant(negated),
            false => Predicate::InList {
                value: AGENT,
                items,
                negated,
            },
        };
        let has_one = Predicate::IsNull {
            value: AGENT,
            negated: true,
        };
        render::render(Some(&Predicate::All(vec![is_listed, has_one])), dialect)
    }

    /// Whether this agent is one of these.
    pub fn contain(&self, name: &[u8]) -> bool {
        let is_listed = |agents: &[Option<String>]| {
            let mut names = agents.iter().flatten();
            names.any(|agent| agent.as_bytes() == name)
        };
        match self {
            Agents::Only(agents) => is_listed(agents),
            Agents::AllBut(agents) => !is_listed(agents),
        }
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
        core::iter::once(Predicate::Constant(false))
            .chain(terms)
            .collect(),
    )
}

/// The agent of the job.
pub(super) const AGENT: Value = Value::Cell(Cell {
    row: Row::Job,
    column: Column::Agent,
});
