//! Verdicts as documents, and where two answers to the same question differ.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Decision, Hold, Verdict};

/// The jobs that two answers differ about, in the order of their ids.
pub fn differing(
    before: &[Decision],
    after: &[Decision],
) -> impl Iterator<Item = (i64, Option<Verdict>, Option<Verdict>)> {
    let mut verdicts = BTreeMap::<i64, [Option<Verdict>; 2]>::new();
    for decision in before {
        let [before, _] = verdicts.entry(decision.job).or_default();
        *before = Some(decision.verdict.clone());
    }
    for decision in after {
        let [_, after] = verdicts.entry(decision.job).or_default();
        *after = Some(decision.verdict.clone());
    }
    verdicts
        .into_iter()
        .filter(|(_, [before, after])| before != after)
        .map(|(job, [before, after])| (job, before, after))
}

/// `"claim"`, or an object with the reasons of the hold.
pub fn verdict_to_json(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Claim => json!("claim"),
        Verdict::Hold(Hold {
            earlier_task,
            freeze,
            rule,
        }) => json!({"hold": {"earlier_task": earlier_task, "freeze": freeze, "rule": rule}}),
    }
}

/// A verdict as [`verdict_to_json`] writes it; none if it is not one.
pub fn verdict_from_json(document: &Value) -> Option<Verdict> {
    if document == "claim" {
        return Some(Verdict::Claim);
    }
    serde_json::from_value(document.get("hold")?.clone())
        .ok()
        .map(Verdict::Hold)
}
