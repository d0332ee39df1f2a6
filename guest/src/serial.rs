//! The default rule, in both of its forms.
//!
//! A gated job is held while an earlier task of its repo is unfinished, or while its repo is
//! frozen. Owns the parameters and what holds a job. `decide` and `clause` own which jobs are
//! gated.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::clause;
use crate::decide::{GatedJob, Queue};
use crate::rule::Rule;
use crate::settings::Settings;
use crate::snapshot::{Decision, Hold, Snapshot, Timestamp};

/// The parameters of the default policy. Every other policy has them, too.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serial {
    /// The agents whose jobs the gate may hold. At least one.
    pub gated_agents: Vec<String>,
    /// The stages in which a task is finished. At least one.
    pub finished_stages: Vec<String>,
    /// The only repos in which the gate acts, by their exact names. At least one, or left out for
    /// all that the scope admits.
    pub repos: Option<Vec<String>>,
}

impl Default for Serial {
    fn default() -> Serial {
        Serial {
            gated_agents: vec!["analyst".to_owned()],
            finished_stages: vec!["done".to_owned()],
            repos: None,
        }
    }
}

impl Rule for Serial {
    const NAME: &'static str = crate::NAME;
    const VERSION: &'static str = crate::VERSION;
    const SUMMARY: &'static str =
        "a task starts when every earlier task of its repo is done and the repo is not frozen";

    fn gated_agents(&self) -> &[String] {
        &self.gated_agents
    }

    fn finished_stages(&self) -> &[String] {
        &self.finished_stages
    }

    fn repos(&self) -> Option<&[String]> {
        self.repos.as_deref()
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn decide<D: From<Decision>>(
        settings: &Settings<Serial>,
        _: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<Vec<D>, String> {
        Queue::read(settings, snapshot)?.decide(hold)
    }

    fn claim_clause(settings: &Settings<Serial>, _: Timestamp) -> String {
        clause::held_while(settings, reasons(settings))
    }
}

/// What holds a gated job. Other rules add to it.
pub fn hold(job: &GatedJob<'_>) -> Hold {
    Hold {
        earlier_task: job.first_earlier(),
        freeze: job.repo.freeze,
        rule: None,
    }
}

/// The same as conditions.
pub fn reasons<R: Rule>(settings: &Settings<R>) -> [Option<String>; 2] {
    [
        Some(clause::earlier_task(&settings.rules)),
        clause::frozen(settings),
    ]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::rule::parse;
    use crate::snapshot::{Symbol, Task};

    #[test]
    fn several_agents_and_stages_become_lists() {
        let rules = r#"{"gated_agents":["analyst","o'brien"],"finished_stages":["done","merged"]}"#;
        let settings = parse(true, "b,a", false, Some(rules)).unwrap();
        assert_eq!(
            Serial::claim_clause(&settings, 0),
            "AND NOT ( jobs.agent IN ('analyst', 'o''brien') AND jobs.repo IN ('a', 'b') AND ( \
             EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id \
             AND t2.stage NOT IN ('done', 'merged')) ) ) "
        );
    }

    #[test]
    fn a_symbol_out_of_range_is_refused() {
        let settings = parse(true, "", true, None).unwrap();
        let task = Task {
            id: 1,
            repo: Symbol::new(1),
            stage: Symbol::new(7),
            label: None,
        };
        let snapshot = Snapshot {
            symbols: ["alpha"].into_iter().collect(),
            tasks: [task].into_iter().collect(),
            ..Snapshot::default()
        };
        assert_eq!(
            Serial::decide::<Decision>(&settings, 0, &snapshot),
            Err("symbol 7 is not in `symbols`".into())
        );
    }
}
