//! The fair line of workers that wait for a job.
//!
//! Owns the order: a job goes to the worker that has waited longest among those that it is for. The
//! line remembers the agents for which nothing was found since the last change, so an idle line
//! costs one look. Leaves to the caller how a job reaches its worker, and when it is on the disk.
//! Callers rely on this: a worker is dismissed only after it was tried, a change by another program
//! is noticed at the next look, and a long line takes no more time than the caller allows.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::changes::Changes;
use super::{Claimant, Error, Queue};
use crate::store::Claimed;

/// How often the database's version is looked at while workers wait: a look costs microseconds.
pub const POLL: Duration = Duration::from_millis(20);
/// How long a job may go unseen that becomes claimable without a change: when a lease or a clause
/// runs out.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);

/// A worker that waits for a job.
pub trait Waiter {
    /// Its name, and the agents whose jobs it does.
    fn claimant(&self) -> Claimant<'_>;
    /// Whether it has waited long enough.
    fn is_due(&self) -> bool;
    /// Whether it has gone, so that nobody would take its job.
    fn has_gone(&self) -> bool;
}

/// How claims are made for the line.
pub struct Round<'a> {
    /// The time of each claim.
    pub clock: &'a dyn Fn() -> Timestamp,
    /// How long each claim lasts.
    pub lease: Duration,
    /// How many workers are served at most.
    pub most: usize,
    /// How long the round may take.
    pub time: Duration,
}

/// A worker that was served: with a job, or the reason why its claim failed.
pub type Served<W> = (W, Result<Claimed, Error>);

/// The line.
pub struct Waiters<W> {
    line: VecDeque<W>,
    /// Whether every worker in the line was tried since the last change.
    is_settled: bool,
    /// The agents for which nothing was found since then.
    nothing_for: HashSet<String>,
    /// Whether no waiter was found a job.
    nothing_at_all: bool,
    /// Whether a worker got a job since the whole line was last tried.
    has_given: bool,
    changes: Changes,
}

impl<W> Default for Waiters<W> {
    fn default() -> Waiters<W> {
        Waiters {
            line: VecDeque::new(),
            is_settled: true,
            nothing_for: HashSet::new(),
            nothing_at_all: false,
            has_given: false,
            changes: Changes::new(LOOK_ANYWAY),
        }
    }
}

impl<W: Waiter> Waiters<W> {
    /// A worker joins the line at its end.
    pub fn add(&mut self, waiter: W) {
        // Those who wait for the same have found nothing, and neither would this worker.
        if !self.has_nothing_for(&waiter) {
            self.is_settled = false;
        }
        self.line.push_back(waiter);
    }

    /// Puts back at the front a worker whose job was taken back.
    pub fn return_to_front(&mut self, waiter: W) {
        self.is_settled = false;
        self.line.push_front(waiter);
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.line.len()
    }

    /// Whether there is nothing to do until something changes.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Something has changed: there may be a job for any waiter.
    pub fn forget(&mut self) {
        self.nothing_for.clear();
        self.nothing_at_all = false;
        self.is_settled = false;
    }

    /// Claims for the workers in their order. Ends when each of them was tried, or the round's
    /// limits are reached. Those who were not served keep their places.
    pub fn serve(&mut self, queue: &mut Queue, round: &Round<'_>) -> Vec<Served<W>> {
        let begun = Instant::now();
        let mut served = Vec::new();
        // What is claimed in a broken group is undone.
        if queue.store.group_is_broken() || !self.has_to_try(queue) {
            return served;
        }
        let mut untried = std::mem::take(&mut self.line);
        let mut busy: Vec<Vec<String>> = Vec::new();
        while served.len() < round.most
            && begun.elapsed() < round.time
            && let Some(waiter) = self.next(&mut untried)
        {
            let agents = waiter.claimant().agents.to_vec();
            if busy.contains(&agents) && !waiter.is_due() {
                self.line.push_back(waiter);
                continue;
            }
            match queue.claim((round.clock)(), waiter.claimant(), round.lease) {
                Ok(None) => self.found_nothing(waiter),
                // Others write what it needs. A worker that can still wait is tried in the next round.
                Err(error) if error.is_busy() && !waiter.is_due() => {
                    busy.push(agents);
                    self.line.push_back(waiter);
                }
                Ok(Some(job)) => {
                    self.has_given = true;
                    served.push((waiter, Ok(job)));
                }
                Err(error) => served.push((waiter, Err(error))),
            }
            if queue.store.group_is_broken() {
                break;
            }
        }
        self.line.append(&mut untried);
        self.is_settled &= busy.is_empty();
        served
    }

    /// Removes and returns the workers that have waited long enough and were tried, or with `all`
    /// every worker. Otherwise, workers that have gone are only removed.
    pub fn dismiss(&mut self, all: bool) -> Vec<W> {
        let mut dismissed = Vec::new();
        for waiter in std::mem::take(&mut self.line) {
            if all || (waiter.is_due() && self.has_nothing_for(&waiter)) {
                dismissed.push(waiter);
            } else if !waiter.has_gone() {
                self.line.push_back(waiter);
            }
        }
        dismissed
    }

    /// Sleeps until something may have changed, or it is cancelled. The next round tries every
    /// worker.
    pub fn wait(&mut self, queue: &mut Queue, cancelled: &dyn Fn() -> bool) {
        self.changes.wait(POLL, cancelled, &mut || version(queue));
        self.forget();
    }

    /// Notices changes. False if there is no worker to try.
    fn has_to_try(&mut self, queue: &mut Queue) -> bool {
        // Read before the claims, so that a change after them is not missed.
        if !self.line.is_empty() && self.changes.look(version(queue)) {
            self.forget();
        }
        !self.line.is_empty() && !self.is_settled
    }

    /// The next worker to try. None ends the round, when all were tried.
    fn next(&mut self, untried: &mut VecDeque<W>) -> Option<W> {
        while let Some(waiter) = untried.pop_front() {
            if waiter.has_gone() {
                continue;
            }
            if !self.has_nothing_for(&waiter) {
                return Some(waiter);
            }
            self.line.push_back(waiter);
        }
        self.is_settled = true;
        // A rule may let another job through because one was claimed.
        if std::mem::take(&mut self.has_given) {
            self.forget();
        }
        None
    }

    fn found_nothing(&mut self, waiter: W) {
        let agents = waiter.claimant().agents;
        self.nothing_at_all |= agents.is_empty();
        self.nothing_for.extend(agents.iter().cloned());
        self.line.push_back(waiter);
    }

    fn has_nothing_for(&self, waiter: &W) -> bool {
        let agents = waiter.claimant().agents;
        let has_nothing = |agent| self.nothing_for.contains(agent);
        self.nothing_at_all || !agents.is_empty() && agents.iter().all(has_nothing)
    }
}

/// The database's version. It is not known while another generation is being loaded.
fn version(queue: &mut Queue) -> Option<i64> {
    match queue.is_changing() {
        true => None,
        false => queue.data_version().ok(),
    }
}
