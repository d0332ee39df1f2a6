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
use super::tree::{Comparison, Literal, Predicate, Row, Value};

/// A set of agents; `None` is a job without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agents {
    /// These.
    Only(Vec<Option<String>>),
    /// All but these.
    AllBut(Vec<Option<String>>),
}

impl Agents {
    /// Whether no agent is among them.
    pub fn are_none(&self) -> bool {
        *self == Agents::Only(Vec::new())
    }

    /// The condition on a job that its agent is not one of these.
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
        let names = agents.iter().flatten().cloned();
        let items: Vec<Literal> = names.map(Literal::Text).collect();
        let is_listed = match items.is_empty() {
            true => Predicate::Constant(negated),
            false => Predicate::InList {
                value: AGENT,
                items,
                negated,
            },
        };
        let named = Predicate::All(vec![is_listed, is_null(true)]);
        render::render(Some(&named), dialect)
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
        let names = agents.iter().map(|agent| match agent {
            Some(name) => format!("`{name}`"),
            None => "NULL".into(),
        });
        let names: Vec<String> = names.collect();
        write!(f, "{before}{}", names.join(", "))
    }
}

/// True or false, and never NULL.
fn is_one_of(agents: &[Option<String>]) -> Predicate {
    let terms = agents.iter().map(|agent| match agent {
        None => is_null(false),
        Some(name) => {
            let name = Value::Literal(Literal::Text(name.clone()));
            let is_name = Predicate::compare(AGENT, Comparison::Equal, name);
            Predicate::All(vec![is_name, is_null(true)])
        }
    });
    let terms = [Predicate::Constant(false)].into_iter().chain(terms);
    Predicate::Any(terms.collect())
}

fn is_null(negated: bool) -> Predicate {
    let value = AGENT;
    Predicate::IsNull { value, negated }
}

/// The agent of the job.
pub(super) const AGENT: Value = Row::Job.cell(Column::Agent);
