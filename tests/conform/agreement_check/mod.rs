//! The check finds where a policy's two answers differ: holes, lists of decisions, and what takes
//! too long.

mod cases;
mod decisions;
mod holes;
mod limits;

use serde_json::Value;

use crate::support::components::hole;
use crate::support::{Gate, Ran};

/// `policy check` of the policy with a hole where its rules say.
fn check(rules: &Value) -> Ran {
    let gate = Gate::folder();
    gate.write("policy.wasm", hole());
    let rules = rules.to_string();
    gate.run(&["policy", "check", "policy.wasm", "--rules", &rules])
}

/// That the check refuses it for disagreeing, and shows a state.
#[track_caller]
fn differs(rules: &Value) -> String {
    let ran = check(rules);
    let last = ran.stdout.lines().last().unwrap_or_default().to_owned();
    let is_found = last.starts_with("agreement") && last.contains("refused");
    assert!(ran.code == Some(1) && is_found, "{rules}: {}", ran.stdout);
    assert!(last.contains(", in the state {"), "{last}");
    last
}
