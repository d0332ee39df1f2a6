//! Which agents a clause may hold, as a condition in its functions.
//!
//! Owns the condition, with the agents as literals. Leaves the functions to `claim`.

use super::claim::ClauseFunctions;
use crate::clause::Agents;

impl ClauseFunctions<'_> {
    /// The condition that an agent, which is a variable, is gated.
    pub(super) fn is_gated(&self, agent: &str) -> String {
        let (listed, negated) = self.listed();
        let names: Vec<String> = listed.iter().flatten().map(|name| literal(name)).collect();
        let is_listed = match names.is_empty() {
            true => String::from("FALSE"),
            false => format!("{agent} IN ({})", names.join(", ")),
        };
        let no_agent = listed.contains(&None);
        let is_one = format!("CASE WHEN {agent} IS NULL THEN {no_agent} ELSE {is_listed} END");
        if negated {
            format!("(NOT {is_one})")
        } else {
            format!("({is_one})")
        }
    }

    /// Whether a job without an agent is gated.
    pub(super) fn no_agent_is_gated(&self) -> bool {
        let (listed, negated) = self.listed();
        listed.contains(&None) != negated
    }

    /// The agents that the set lists, and whether these are the ones outside of it.
    fn listed(&self) -> (&[Option<String>], bool) {
        match self.gated {
            Agents::Only(agents) => (agents, false),
            Agents::AllBut(agents) => (agents, true),
        }
    }
}

/// A text as a literal, whatever `standard_conforming_strings` says.
fn literal(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{text}'")
}
