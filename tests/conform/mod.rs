//! Whether a policy is fit for use: the reference's cases, the agreement of its two answers, and
//! `policy check`.

mod agreement;
mod agreement_check;
mod conformance;
mod policies;
mod policy_check;
mod rule_files;

use serial_gate::conform::{Case, read_cases};
use serial_gate::model::{Decision, Settings, Snapshot};
use serial_gate_default_policy::rule::Rule;
use serial_gate_default_policy::serial::Serial;

use crate::support::fixtures;
use crate::support::native::{contract_decision, native_settings, native_state};

pub fn cases() -> Vec<Case> {
    let files = ["edge.jsonl", "random.jsonl"];
    files
        .iter()
        .flat_map(|name| read_cases(&fixtures(name)).unwrap())
        .collect()
}

/// The answer of the default rule, run natively.
fn decide_natively(settings: &Settings, state: &Snapshot) -> Result<Vec<Decision>, String> {
    let (settings, state) = (native_settings(settings)?, native_state(state));
    let decisions = Serial::decide(&settings, 0, &state)?;
    Ok(decisions.into_iter().map(contract_decision).collect())
}
