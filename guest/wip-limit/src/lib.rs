//! A policy that lets several tasks of a repo run at once, up to a limit.
//!
//! A gated job is held while at least `limit` earlier tasks of its repo are unfinished, or while
//! its repo is frozen. A limit of 1 is the default rule. Everything else is as in the default
//! policy: the scope, the kill switch, freezes, and the parameters `gated_agents`,
//! `finished_stages` and `repos`.
//!
//! ```json
//! {"limit": 3}
//! ```
//!
//! The parameter is a number from 1 to 1000. The default is 2.

#![no_std]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serial_gate_default_policy::clause;
use serial_gate_default_policy::decide::Queue;
use serial_gate_default_policy::rule::Rule;
use serial_gate_default_policy::serial::{self, Serial};
use serial_gate_default_policy::settings::Settings;
use serial_gate_default_policy::snapshot::{Decision, Hold, Snapshot, Timestamp};

/// The largest number that a clause may compare a count with.
const MOST: usize = 1000;

/// The rule's parameters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WipLimit {
    /// The agents whose jobs the gate may hold. At least one.
    pub gated_agents: Vec<String>,
    /// The stages in which a task is finished. At least one.
    pub finished_stages: Vec<String>,
    /// The only repos in which the gate acts, by their exact names. At least one, or left out for
    /// all that the scope admits.
    pub repos: Option<Vec<String>>,
    /// How many unfinished tasks a repo may have before the next one waits.
    pub limit: usize,
}

impl Default for WipLimit {
    fn default() -> WipLimit {
        let Serial {
            gated_agents,
            finished_stages,
            repos,
        } = Serial::default();
        WipLimit {
            gated_agents,
            finished_stages,
            repos,
            limit: 2,
        }
    }
}

impl Rule for WipLimit {
    const NAME: &'static str = "wip-limit";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "a task starts when fewer than `limit` earlier tasks of its repo \
         are unfinished and the repo is not frozen";

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
        if (1..=MOST).contains(&self.limit) {
            return Ok(());
        }
        let remedy = format!("write a number from 1 to {MOST}");
        Err(format!("`limit` is {}: {remedy}", self.limit))
    }

    /// The hold names only the first unfinished task. When it is finished, the job may still wait
    /// for the next.
    fn decide<D: From<Decision>>(
        settings: &Settings<WipLimit>,
        _: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<Vec<D>, String> {
        let queue = Queue::read(settings, snapshot)?;
        queue.decide(|job| {
            let earlier = job.earlier();
            let first = earlier.first().copied();
            Hold {
                earlier_task: first.filter(|_| earlier.len() >= settings.rules.limit),
                ..serial::hold(job)
            }
        })
    }

    fn claim_clause(settings: &Settings<WipLimit>, _: Timestamp) -> String {
        let reasons = [
            Some(too_many_earlier_tasks(&settings.rules)),
            clause::frozen(settings),
        ];
        clause::held_while(settings, reasons)
    }
}

/// A count is never NULL: rows for which the condition is NULL are not counted.
fn too_many_earlier_tasks(rules: &WipLimit) -> String {
    if rules.limit == 1 {
        return clause::earlier_task(rules);
    }
    let (unfinished, limit) = (clause::unfinished("t2", rules), rules.limit);
    format!(
        "(SELECT count(*) FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id \
         AND {unfinished}) >= {limit}"
    )
}

#[cfg(target_arch = "wasm32")]
mod component {
    #![allow(unsafe_code, reason = "the generated exports are unsafe")]

    type Policy = serial_gate_default_policy::component::Exports<crate::WipLimit>;
    serial_gate_default_policy::component::export!(Policy);
    serial_gate_default_policy::component::metadata!();
}

#[cfg(test)]
mod tests;
