//! The agents that a clause gates, as a question to a job.
//!
//! Owns how they are named in SQL: they are those whose jobs the clause may hold. A job without an
//! agent has no name, so it is in no waiting line although the clause may hold it (reference
//! semantics 2). Leaves to `agents` which they are.

use super::Dialect;
use super::agents::{AGENT, Agents};
use super::render::{self, Rendered};
use super::tree::{Literal, Predicate};

impl Agents {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(agents: &Agents) -> String {
        agents.named(Dialect::Sqlite).to_string()
    }

    #[test]
    fn a_job_without_an_agent_is_none_of_them() {
        let some = |names: &[&str]| {
            names
                .iter()
                .map(|name| Some((*name).to_owned()))
                .collect::<Vec<_>>()
        };
        let with_none = [vec![None], some(&["a", "b'"])].concat();
        insta::assert_snapshot!(sql(&Agents::Only(with_none.clone())), @r#"(("jobs"."agent" IN ('a', 'b''')) AND ("jobs"."agent" IS NOT NULL))"#);
        insta::assert_snapshot!(sql(&Agents::AllBut(with_none)), @r#"(("jobs"."agent" NOT IN ('a', 'b''')) AND ("jobs"."agent" IS NOT NULL))"#);
        insta::assert_snapshot!(sql(&Agents::Only(Vec::new())), @r#"((FALSE) AND ("jobs"."agent" IS NOT NULL))"#);
        insta::assert_snapshot!(sql(&Agents::AllBut(vec![None])), @r#"((TRUE) AND ("jobs"."agent" IS NOT NULL))"#);
    }
}
