//! What the language of a policy does to it: ids that it rounds, and errors that it hides.
//!
//! Owns both findings and their words. Leaves the stages to `check`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Error;
use super::case::Document;
use super::world::World;
use crate::error::with_causes;
use crate::policy::{self, Policy};
use crate::queue;

/// The last whole number before a floating-point number leaves one out.
const LAST_WHOLE: i64 = 1 << 53;

pub(super) const ROUNDED: &str = "; ids beyond 2^53 are rounded, so that such a job has no verdict: claims follow the \
    clause, which rounds nothing";

/// Whether a row of a state has a number that a floating-point number may not keep.
pub(super) fn has_large_number(state: &Value) -> bool {
    match state {
        Value::Number(number) => number
            .as_i64()
            .is_some_and(|number| number.unsigned_abs() > LAST_WHOLE.unsigned_abs()),
        Value::Array(values) => values.iter().any(has_large_number),
        Value::Object(fields) => fields.values().any(has_large_number),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Whether the policy's language keeps an id in a number that is exact up to 2^53 only. The ids of a
/// queue do not grow that far, so the policy is not refused.
pub(super) fn rounds_ids(world: &mut World, now: Timestamp) -> Result<bool, Error> {
    let asked = LAST_WHOLE + 1;
    let job = json!({ "id": asked, "repo": "a", "agent": "analyst", "status": "queued" });
    let case: Document = serde_json::from_value(json!({ "jobs": [job] }))
        .map_err(|error| Error::Value(error.to_string()))?;
    world.load(&case)?;
    let reach = world.queue.footprint(now)?;
    let state = world
        .queue
        .store()
        .snapshot(&reach, None)
        .map_err(queue::Error::from)?;
    Ok(match world.queue.decide_in_its_words(now, &state) {
        Ok(decisions) => decisions.iter().any(|decision| decision.job == LAST_WHOLE),
        // A stage says so in its own words.
        Err(_) => false,
    })
}

/// Why a call failed. A policy that prints nothing hides its own error.
pub(super) fn why(policy: &Policy, error: &policy::Error) -> String {
    let said = with_causes(error);
    match error {
        policy::Error::Trap { printed: None, .. } if policy.imports() == 0 => {
            format!("{said}: {SILENT}")
        }
        _ => said,
    }
}

const SILENT: &str = "it imports nothing, so it cannot say why. If its language can build it with WASI, \
    without `--stub-wasi` or `-d all`, check that build: its own error is shown then";
