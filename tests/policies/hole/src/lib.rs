//! A policy for tests: the default rule, with a defect.
//!
//! Owns the ways in which a policy's two answers can differ. Each is a key of `rules`, so that a
//! test writes its defect as text. Without such a key it is the default policy, whose parameters it
//! has, too.
//!
//! ```json
//! {"hole": "jobs.repo = 'prod'", "from": 1800000000}
//! ```

#![no_std]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

use serde::Deserialize;
use serial_gate_default_policy::clause;
use serial_gate_default_policy::decide::Queue;
use serial_gate_default_policy::rule::Rule;
use serial_gate_default_policy::serial::{self, Serial};
use serial_gate_default_policy::settings::Settings;
use serial_gate_default_policy::snapshot::{Decision, Snapshot, Timestamp, Verdict};

/// The parameters: the default rule's, and the holes.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hole {
    /// The agents whose jobs the gate may hold. At least one.
    pub gated_agents: Vec<String>,
    /// The stages in which a task is finished. At least one.
    pub finished_stages: Vec<String>,
    /// The only repos in which the gate acts.
    pub repos: Option<Vec<String>>,
    /// The clause lets a job through when this condition is true, and `decide` knows nothing of it.
    pub hole: Option<String>,
    /// The clause holds a job unless this condition is true, and `decide` knows nothing of it.
    pub extra: Option<String>,
    /// The clause, instead of the default rule's.
    pub clause: Option<String>,
    /// When `hole`, `extra`, `clause` and `claim_all` come into force, in seconds since 1970. They
    /// are always in force if it is left out.
    pub from: Option<i64>,
    /// The same by the hour of the day, in UTC.
    pub hour: Option<i64>,
    /// Until when the clause says that it is valid.
    pub valid_until: Option<i64>,
    /// `decide` lets every job through, and the clause knows nothing of it.
    pub claim_all: bool,
    /// What is wrong with the list of decisions.
    pub decisions: Decisions,
    /// How many steps `decide` does before it answers.
    pub spin: u64,
}

/// What is wrong with a list of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decisions {
    /// Nothing.
    Right,
    /// The list is empty.
    None,
    /// The last decision is missing.
    Missing,
    /// A job that does not exist may be claimed, too.
    NotThere,
    /// A job that is not queued may be claimed, too.
    NotQueued,
    /// Each decision is there twice.
    Twice,
    /// The last decision comes first.
    Reversed,
}

impl Default for Hole {
    fn default() -> Hole {
        let Serial {
            gated_agents,
            finished_stages,
            repos,
        } = Serial::default();
        Hole {
            gated_agents,
            finished_stages,
            repos,
            hole: None,
            extra: None,
            clause: None,
            from: None,
            hour: None,
            valid_until: None,
            claim_all: false,
            decisions: Decisions::Right,
            spin: 0,
        }
    }
}

impl Hole {
    fn is_open(&self, now: Timestamp) -> bool {
        let hour = now.rem_euclid(86_400) / 3_600;
        self.from.is_none_or(|from| from <= now) && self.hour.is_none_or(|open| open == hour)
    }
}

impl Rule for Hole {
    const NAME: &'static str = "hole";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "the default rule, with a hole";

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
        settings: &Settings<Hole>,
        now: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<Vec<D>, String> {
        let rules = &settings.rules;
        for step in 0..rules.spin {
            black_box(step);
        }
        let mut decisions: Vec<Decision> = Queue::read(settings, snapshot)?.decide(serial::hold)?;
        if rules.claim_all && rules.is_open(now) {
            for decision in &mut decisions {
                decision.verdict = Verdict::Claim;
            }
        }
        let claim = |job| Decision {
            job,
            verdict: Verdict::Claim,
        };
        match rules.decisions {
            Decisions::Right => {}
            Decisions::None => decisions.clear(),
            Decisions::Missing => drop(decisions.pop()),
            Decisions::NotThere => decisions.push(claim(i64::MAX)),
            Decisions::NotQueued => {
                let is_queued = |id| decisions.iter().any(|decision| decision.job == id);
                let other = snapshot.jobs.id.iter().find(|id| !is_queued(**id));
                decisions.extend(other.copied().map(claim));
            }
            Decisions::Twice => {
                let each = decisions.into_iter();
                decisions = each
                    .flat_map(|decision| [decision.clone(), decision])
                    .collect();
            }
            Decisions::Reversed => decisions.reverse(),
        }
        Ok(decisions.into_iter().map(D::from).collect())
    }

    fn claim_clause(settings: &Settings<Hole>, now: Timestamp) -> String {
        let rules = &settings.rules;
        let whole = clause::held_while(settings, serial::reasons(settings));
        let Some(right) = whole.strip_prefix("AND ").filter(|_| rules.is_open(now)) else {
            return whole;
        };
        if let Some(clause) = &rules.clause {
            return clause.clone();
        }
        match (&rules.hole, &rules.extra) {
            (Some(hole), _) => format!("AND ( {right} OR ( {hole} ) )"),
            (None, Some(extra)) => format!("AND {right} AND ( {extra} )"),
            (None, None) => whole,
        }
    }

    fn valid_until(settings: &Settings<Hole>, _: Timestamp) -> Option<Timestamp> {
        settings.rules.valid_until
    }
}

#[cfg(target_arch = "wasm32")]
mod component {
    #![allow(unsafe_code, reason = "the generated exports are unsafe")]

    type Policy = serial_gate_default_policy::component::Exports<crate::Hole>;
    serial_gate_default_policy::component::export!(Policy);
}
