//! Whether a list of decisions is about the queued jobs: each once, in the order of their ids, and
//! no other job.

use std::collections::BTreeSet;

use crate::model::Decision;

/// What is wrong with a list of decisions; none if nothing is.
pub(super) fn fault(queued: &[i64], decisions: &[Decision]) -> Option<String> {
    let decided = || decisions.iter().map(|decision| decision.job);
    if decided().eq(queued.iter().copied()) {
        return None;
    }
    let are_queued: BTreeSet<i64> = queued.iter().copied().collect();
    let mut seen = BTreeSet::new();
    for job in decided() {
        if !are_queued.contains(&job) {
            return Some(format!(
                "`decide` has a decision for job {job}, which is not queued: decide about queued jobs only"
            ));
        }
        if !seen.insert(job) {
            return Some(format!(
                "`decide` has two decisions for job {job}: write one for each queued job"
            ));
        }
    }
    let missing = queued.iter().find(|job| !seen.contains(job));
    Some(match missing {
        Some(job) => format!(
            "`decide` has no decision for job {job}, which is queued: write one for each queued job"
        ),
        None => "`decide` has its decisions in another order than that of the jobs' ids: write them in the order of the snapshot's jobs".into(),
    })
}
