//! Where two answers to the same question differ.

use std::collections::BTreeMap;

use super::{Decision, Verdict};

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
