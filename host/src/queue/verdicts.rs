//! Verdicts in words, and where two answers to the same question differ.

use std::collections::BTreeMap;

use super::named_rows::Doubt;
use super::words::Show;
use crate::model::{Decision, Hold, Verdict};

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

/// The reasons of a hold in a few words. `first` says which task comes first, if it is to be said.
/// What is doubted is only named.
pub fn reasons(hold: &Hold, first: Option<String>, doubts: &[Doubt], show: Show<'_>) -> String {
    let doubt = |of_task: bool| {
        let mut doubts = doubts.iter();
        let doubt = doubts.find(|doubt| doubt.is_of_task() == of_task);
        doubt.map(|doubt| format!("the policy names {}", show(&doubt.to_string())))
    };
    // The policy names a freeze by its row. People know it by its number, where the repo is.
    let frozen = hold.freeze.map(|_| "the repo is frozen".to_owned());
    let rule = hold.rule.as_deref().map(show);
    [doubt(true).or(first), doubt(false).or(frozen), rule]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}
