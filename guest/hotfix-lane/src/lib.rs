//! A policy in which hotfixes go first.
//!
//! A task with the label `hotfix` is a hotfix. A freeze does not hold its gated job, which waits
//! only for earlier unfinished hotfixes of its repo. Every other gated job waits as in the default
//! rule, and also for every unfinished hotfix of its repo, earlier or later: nothing new starts on
//! code that a hotfix is about to change.
//!
//! A job belongs to the task with the id `task_id`, whatever that task's repo. A job without a
//! task, or of a task without the label, is ordinary. Everything else is as in the default policy:
//! the scope, the kill switch, freezes, and the parameters `gated_agents`, `finished_stages` and
//! `repos`.
//!
//! ```json
//! {"label": "urgent"}
//! ```
//!
//! The parameter is the label of a hotfix, in printable ASCII. The default is `hotfix`.

#![no_std]

extern crate alloc;

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serial_gate_default_policy::clause;
use serial_gate_default_policy::decide::{GatedJob, Queue};
use serial_gate_default_policy::rule::Rule;
use serial_gate_default_policy::serial::Serial;
use serial_gate_default_policy::settings::{self, Settings};
use serial_gate_default_policy::snapshot::{Decision, Hold, Snapshot, Symbol, TaskRef, Timestamp};

/// The rule's parameters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HotfixLane {
    /// The agents whose jobs the gate may hold. At least one.
    pub gated_agents: Vec<String>,
    /// The stages in which a task is finished. At least one.
    pub finished_stages: Vec<String>,
    /// The only repos in which the gate acts, by their exact names. At least one, or left out for
    /// all that the scope admits.
    pub repos: Option<Vec<String>>,
    /// The label of a hotfix.
    pub label: String,
}

impl Default for HotfixLane {
    fn default() -> HotfixLane {
        let Serial {
            gated_agents,
            finished_stages,
            repos,
        } = Serial::default();
        HotfixLane {
            gated_agents,
            finished_stages,
            repos,
            label: "hotfix".to_owned(),
        }
    }
}

impl Rule for HotfixLane {
    const NAME: &'static str = "hotfix-lane";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "a hotfix waits for earlier hotfixes of its repo only, \
         every other task also for every hotfix";

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
        if self.label.is_empty() {
            return Err(
                "`label` is empty: name the label of a hotfix, such as `hotfix`".to_owned(),
            );
        }
        settings::check_text("label", &self.label)
    }

    fn decide<D: From<Decision>>(
        settings: &Settings<HotfixLane>,
        _: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<Vec<D>, String> {
        let queue = Queue::read(settings, snapshot)?;
        let hotfixes = Hotfixes::read(&settings.rules.label, &queue, snapshot)?;
        queue.decide(|job| hotfixes.hold(job))
    }

    fn claim_clause(settings: &Settings<HotfixLane>, _: Timestamp) -> String {
        let label = clause::quoted(&settings.rules.label);
        let unfinished = clause::unfinished("t2", &settings.rules);
        let earlier_hotfix = format!(
            "EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id \
             AND {unfinished} AND t2.gate_label = {label})"
        );
        let is_ordinary = format!(
            "NOT EXISTS (SELECT 1 FROM tasks t1 WHERE t1.id = jobs.task_id \
             AND t1.gate_label = {label})"
        );
        let task_ahead = format!(
            "EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo \
             AND (t2.id < jobs.task_id OR t2.gate_label = {label}) AND {unfinished})"
        );
        let ordinary_holds = match clause::frozen(settings) {
            Some(frozen) => format!("({task_ahead} OR {frozen})"),
            None => task_ahead,
        };
        let reasons = [
            earlier_hotfix,
            format!("({is_ordinary} AND {ordinary_holds})"),
        ];
        clause::held_while(settings, reasons.map(Some))
    }
}

/// The hotfixes of a snapshot.
struct Hotfixes {
    /// All of them, finished ones included.
    ids: BTreeSet<i64>,
    /// The first unfinished one of each repo.
    first: BTreeMap<Symbol, i64>,
}

impl Hotfixes {
    fn read(label: &str, queue: &Queue<'_>, snapshot: &Snapshot) -> Result<Hotfixes, String> {
        let mut ids = BTreeSet::new();
        for task in snapshot.tasks.rows() {
            if let Some(symbol) = task.label
                && queue.text(symbol)? == label
            {
                ids.insert(task.id);
            }
        }
        let first = queue.repos().filter_map(|repo| {
            let first = repo.unfinished.iter().find(|id| ids.contains(id))?;
            Some((repo.symbol, *first))
        });
        Ok(Hotfixes {
            first: first.collect(),
            ids,
        })
    }

    fn hold(&self, job: &GatedJob<'_>) -> Hold {
        let first_hotfix = self.first.get(&job.repo.symbol).copied();
        let is_before_own = |id: &i64| job.task_id.is_some_and(|own| own.is_after(*id));
        let is_hotfix = matches!(job.task_id, Some(TaskRef::Id(own)) if self.ids.contains(&own));
        if is_hotfix {
            return Hold {
                earlier_task: first_hotfix.filter(is_before_own),
                ..Hold::default()
            };
        }
        let first_earlier = job.first_earlier();
        let overtaken = first_hotfix.is_some_and(|id| !is_before_own(&id));
        Hold {
            earlier_task: first_earlier.into_iter().chain(first_hotfix).min(),
            freeze: job.repo.freeze,
            rule: overtaken.then(|| "an unfinished hotfix of the repo goes first".to_owned()),
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod component {
    #![allow(unsafe_code, reason = "the generated exports are unsafe")]

    type Policy = serial_gate_default_policy::component::Exports<crate::HotfixLane>;
    serial_gate_default_policy::component::export!(Policy);
    serial_gate_default_policy::component::metadata!();
}

#[cfg(test)]
mod tests;
