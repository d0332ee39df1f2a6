//! What another policy would have decided over recorded states.
//!
//! Owns the reading of a decision log. Leaves its format to `observe`. A line without its state
//! cannot be decided again; such lines are counted.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use jiff::Timestamp;

use super::Error;
use crate::gate::Overrides;
use crate::model::{Decision, Verdict, differing, verdict_from_json};
use crate::observe::Entry;
use crate::policy::{Allowance, Policy, Runtime, texts};

/// The result of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many recorded states were decided anew.
    pub states: usize,
    /// How many decisions that were.
    pub decisions: usize,
    /// How many lines have no state.
    pub without_state: usize,
    /// Every decision that has changed.
    pub differing: Vec<Differing>,
}

/// A decision that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// When it was recorded.
    pub time: Timestamp,
    /// The job.
    pub job: i64,
    /// What was recorded.
    pub recorded: Option<Verdict>,
    /// What the policy says.
    pub now: Option<Verdict>,
}

/// Runs a policy over a decision log, each state with its time and its settings, unless others are
/// given. An error names the line.
pub fn replay(
    component: &[u8],
    allowance: Allowance,
    overrides: &Overrides,
    log: &Path,
    runtime: &Runtime,
) -> Result<Replayed, Error> {
    let policy = runtime
        .load(component, allowance)
        .map_err(Error::NoPolicy)?;
    let cannot_read = |cause| Error::ReadLog {
        path: log.into(),
        cause,
    };
    let file = File::open(log).map_err(cannot_read)?;
    let mut replayed = Replayed::default();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(cannot_read)?;
        if line.trim().is_empty() {
            continue;
        }
        let entry: Entry = serde_json::from_str(&line).map_err(|cause| Error::LogLine {
            path: log.into(),
            line: number + 1,
            cause,
        })?;
        decide_anew(&policy, overrides, entry, &mut replayed).map_err(|cause| Error::Replay {
            path: log.into(),
            line: number + 1,
            cause,
        })?;
    }
    Ok(replayed)
}

fn decide_anew(
    policy: &Policy,
    overrides: &Overrides,
    entry: Entry,
    replayed: &mut Replayed,
) -> Result<(), crate::policy::Error> {
    let Some(state) = entry.snapshot else {
        replayed.without_state += 1;
        return Ok(());
    };
    let decisions = policy.decide(&overrides.over(entry.settings), entry.time, &state)?;
    let decisions = texts::fit_reasons(decisions);
    let recorded: Vec<Decision> = entry
        .decisions
        .iter()
        .filter_map(|decision| {
            Some(Decision {
                job: decision.job,
                verdict: verdict_from_json(&decision.verdict)?,
            })
        })
        .collect();
    replayed.states += 1;
    replayed.decisions += decisions.len();
    let found = differing(&recorded, &decisions).map(|(job, recorded, now)| Differing {
        time: entry.time,
        job,
        recorded,
        now,
    });
    replayed.differing.extend(found);
    Ok(())
}
