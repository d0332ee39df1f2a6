//! The figures of the queue, each with its name and its meaning.
//!
//! Owns the tables. Leaves the reading to `metrics`. Callers rely on this: every listed repo has a
//! figure for waiting, running, failed and lapsed jobs, even if it is 0, so that an alert rule sees
//! it fall. Rarer figures are left out when they are 0, because Prometheus keeps every series.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serial_gate::model::{Hold, Verdict};
use serial_gate::policy::Calls;
use serial_gate::queue::{JobCounts, RepoState, State};
use serial_gate::store::Outbox;

use super::age::{age, age_of};
use crate::http::transport::counters::amount;

/// A figure's name, its meaning, and its value, if there is one.
type Figure<T> = (&'static str, &'static str, fn(&T) -> Option<i64>);

const OF_REPO: [Figure<RepoState>; 6] = [
    (
        "waiting_jobs",
        "Queued jobs of the agents that the policy gates, of each repo",
        |repo| Some(amount(repo.waiting.len())),
    ),
    (
        "head_seconds",
        "How long the first of them has been in the queue, if that is known",
        |repo| seconds(repo.waiting.first()?.since),
    ),
    (
        "held_jobs",
        "Those of them that may not be claimed",
        |repo| some(holds(repo).count()),
    ),
    (
        "undecided_jobs",
        "Those of them for which the policy gives no verdict",
        |repo| {
            some(
                repo.waiting
                    .iter()
                    .filter(|job| job.verdict.is_none())
                    .count(),
            )
        },
    ),
    ("frozen", "1 for each repo that is frozen", |repo| {
        repo.frozen.then_some(1)
    }),
    (
        "frozen_seconds",
        "How long a repo has been frozen, if that is known",
        |repo| seconds(repo.frozen_since.filter(|_| repo.frozen)),
    ),
];

/// The work in each repo. Jobs without a repo are under an empty name.
const OF_WORK: [Figure<JobCounts>; 6] = [
    (
        "running_jobs",
        "Claimed jobs whose lease is running, of each repo",
        |jobs| Some(amount(jobs.running)),
    ),
    (
        "failed_jobs",
        "Failed jobs of unfinished tasks without a later job of the same task and agent",
        |jobs| Some(amount(jobs.failed)),
    ),
    (
        "lapsed_jobs",
        "Claimed jobs whose lease expired: the next claim requeues them",
        |jobs| Some(amount(jobs.lapsed)),
    ),
    (
        "foreign_jobs",
        "Jobs that another program set to running without a lease, or to an unknown status",
        |jobs| some(jobs.foreign),
    ),
    (
        "put_off_jobs",
        "Claimed jobs whose branch could not be cut, or whose attempt failed; they are tried again later",
        |jobs| some(jobs.put_off),
    ),
    (
        "running_oldest_seconds",
        "How long ago the first of the running jobs was claimed",
        |jobs| Some(seconds_since(Some(jobs.oldest_running_since.as_ref()?))),
    ),
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InRepo {
    repo: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HeldBy {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Function {
    function: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    function: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sending {
    state: &'static str,
}

/// The figures of a state.
pub fn of_queue(state: &State, registry: &mut Registry) {
    let repos = || {
        state
            .per_repo
            .iter()
            .map(|(name, repo)| (name.as_str(), repo))
    };
    in_repos(&OF_REPO, repos(), registry);
    let reasons = Family::<HeldBy, Gauge>::default();
    let others = state.others.held.iter();
    let others = others.filter_map(|other| held(other.verdict.as_ref()));
    for hold in repos().flat_map(|(_, repo)| holds(repo)).chain(others) {
        for (reason, is_given) in [
            ("earlier_task", hold.earlier_task.is_some()),
            ("freeze", hold.freeze.is_some()),
            ("rule", hold.rule.is_some()),
        ] {
            if is_given {
                reasons.get_or_create(&HeldBy { reason }).inc();
            }
        }
    }
    registry.register(
        "holds",
        "Queued jobs that may not be claimed, by reason; one may have several",
        reasons,
    );
    let others = &state.others.jobs;
    let others = (*others != JobCounts::default()).then_some(("", others));
    let work = repos().filter_map(|(name, repo)| Some((name, repo.jobs.as_ref()?)));
    in_repos(&OF_WORK, work.chain(others), registry);
}

/// The figures of alerts that are to be sent.
pub fn of_outbox(outbox: &Outbox, registry: &mut Registry) {
    let alerts = Family::<Sending, Gauge>::default();
    for (state, count) in [("pending", outbox.pending), ("failed", outbox.failed)] {
        alerts.get_or_create(&Sending { state }).set(count);
    }
    registry.register(
        "outbox_alerts",
        "Alerts to a channel that are pending or have failed",
        alerts,
    );
    gauge(
        registry,
        "outbox_oldest_seconds",
        "How long the oldest alert has been pending",
        seconds_since(outbox.oldest_pending.as_deref()),
    );
}

/// The figures of this process's calls of policies.
pub fn of_calls(calls: BTreeMap<&'static str, Calls>, registry: &mut Registry) {
    let count = Family::<Function, Counter>::default();
    let seconds = Family::<Function, Counter<f64>>::default();
    let failures = Family::<Failed, Counter>::default();
    for (function, calls) in calls {
        let label = Function { function };
        count.get_or_create(&label).inc_by(calls.count);
        seconds
            .get_or_create(&label)
            .inc_by(calls.time.as_secs_f64());
        for (reason, times) in calls.failures {
            let label = Failed { function, reason };
            failures.get_or_create(&label).inc_by(times);
        }
    }
    registry.register("policy_calls", "Calls of policies, by function", count);
    registry.register(
        "policy_call_seconds",
        "Time spent in calls of policies",
        seconds,
    );
    registry.register(
        "policy_call_failures",
        "Calls of policies that broke a limit or trapped",
        failures,
    );
}

pub fn gauge<T: TryInto<i64>>(registry: &mut Registry, name: &str, help: &str, value: T) {
    let gauge = Gauge::<i64>::default();
    gauge.set(amount(value));
    registry.register(name, help, gauge);
}

pub fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

fn in_repos<'a, T: 'a>(
    figures: &[Figure<T>],
    repos: impl Iterator<Item = (&'a str, &'a T)>,
    registry: &mut Registry,
) {
    let repos: Vec<(&str, &T)> = repos.collect();
    for (name, help, of) in figures {
        let family = Family::<InRepo, Gauge>::default();
        for (repo, found) in &repos {
            let repo = (*repo).to_owned();
            if let Some(value) = of(found) {
                family.get_or_create(&InRepo { repo }).set(value);
            }
        }
        registry.register(*name, *help, family);
    }
}

fn some(number: usize) -> Option<i64> {
    (number > 0).then(|| amount(number))
}

/// An unknown age has no figure.
fn seconds(since: Option<Timestamp>) -> Option<i64> {
    age_of(since, Timestamp::now()).map(|age| age.as_secs())
}

/// An unknown age counts as 0.
fn seconds_since(since: Option<&str>) -> i64 {
    age(since, Timestamp::now()).map_or(0, |age| age.as_secs())
}

fn holds(repo: &RepoState) -> impl Iterator<Item = &Hold> {
    repo.waiting
        .iter()
        .filter_map(|job| held(job.verdict.as_ref()))
}

fn held(verdict: Option<&Verdict>) -> Option<&Hold> {
    match verdict {
        Some(Verdict::Hold(hold)) => Some(hold),
        _ => None,
    }
}
