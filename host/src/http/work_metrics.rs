//! Figures about work: what runs, what failed, and what nobody was heard of.
//!
//! Owns their names. Leaves the rest of the figures to `metrics`. Callers rely on this: a repo that
//! is listed has a figure for what runs, failed and lapsed, also where it is 0, so that a rule for
//! an alarm sees it fall.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serial_gate::queue::{JobCounts, State};

use super::metrics::{InRepo, amount, seconds_since};

/// The figures of one repo.
#[derive(Default)]
struct Figures {
    running: Family<InRepo, Gauge>,
    failed: Family<InRepo, Gauge>,
    lapsed: Family<InRepo, Gauge>,
    foreign: Family<InRepo, Gauge>,
    put_off: Family<InRepo, Gauge>,
    oldest: Family<InRepo, Gauge>,
}

impl Figures {
    fn add(&self, repo: &str, jobs: &JobCounts) {
        let repo = || InRepo {
            repo: repo.to_owned(),
        };
        let set = |figure: &Family<InRepo, Gauge>, number: usize| {
            figure.get_or_create(&repo()).set(amount(number));
        };
        set(&self.running, jobs.running);
        set(&self.failed, jobs.failed);
        set(&self.lapsed, jobs.lapsed);
        // These are rare, and each line is kept by Prometheus.
        if jobs.foreign > 0 {
            set(&self.foreign, jobs.foreign);
        }
        if jobs.put_off > 0 {
            set(&self.put_off, jobs.put_off);
        }
        if let Some(since) = &jobs.oldest_running_since {
            let seconds = seconds_since(Some(since));
            self.oldest.get_or_create(&repo()).set(seconds);
        }
    }
}

/// Adds the figures of a state.
pub fn describe(state: &State, registry: &mut Registry) {
    let figures = Figures::default();
    for (repo, found) in &state.per_repo {
        if let Some(jobs) = &found.jobs {
            figures.add(repo, jobs);
        }
    }
    if state.others.jobs != JobCounts::default() {
        figures.add("", &state.others.jobs);
    }
    registry.register(
        "running_jobs",
        "Jobs that a worker has claimed and whose lease goes on, of each repo",
        figures.running,
    );
    registry.register(
        "failed_jobs",
        "Jobs that failed, while their task is unfinished and no later job of the same task and agent is there",
        figures.failed,
    );
    registry.register(
        "lapsed_jobs",
        "Claimed jobs whose lease is over: their worker was not heard of, and the next claim requeues them",
        figures.lapsed,
    );
    registry.register(
        "foreign_jobs",
        "Jobs that another program set to running without a lease, or to a status that the gate does not know: whether they are worked on is not known",
        figures.foreign,
    );
    registry.register(
        "put_off_jobs",
        "Claimed jobs whose branch could not be cut, and that are tried again later",
        figures.put_off,
    );
    registry.register(
        "running_oldest_seconds",
        "How long ago the first of the running jobs was claimed",
        figures.oldest,
    );
}
