//! The line of workers that wait for a job.
//!
//! Owns the order: a job is given to the worker that has waited longest of those that it is for. It
//! knows for whom nothing was found since the last change, so that an idle line costs one look.
//! Callers rely on this: a worker is sent away only after it was tried, and a change of another
//! program is noticed with the next look.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use serial_gate::queue::{self, Claimant, Queue};
use serial_gate::store::Claimed;
use tokio::sync::{oneshot, watch};

use super::owner::Refused;

/// How long it may take to see what no change tells of: a lease that ran out, a clause that did.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);

/// What a claim gives.
pub type Answer = Result<Result<Option<Claimed>, queue::Error>, Refused>;

/// A worker that waits.
pub struct Waiter {
    worker: String,
    /// Whose jobs it does; none for those of all agents.
    agent: Option<String>,
    until: Instant,
    reply: oneshot::Sender<Answer>,
}

impl Waiter {
    /// A worker, and where its answer arrives.
    pub fn new(
        worker: String,
        agent: Option<String>,
        wait: Duration,
    ) -> (Waiter, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter {
            worker,
            agent,
            until: Instant::now() + wait,
            reply,
        };
        (waiter, answer)
    }

    /// For whom a job is claimed.
    pub fn claimant(&self) -> Claimant<'_> {
        Claimant {
            worker: &self.worker,
            agent: self.agent.as_deref(),
        }
    }

    /// Hands a job over. It comes back if the worker has gone.
    pub fn answer(self, job: Claimed) -> Option<Claimed> {
        let unsent = self.reply.send(Ok(Ok(Some(job)))).err()?;
        unsent.ok()?.ok()?
    }

    /// Says why there is no job.
    pub fn fail(self, error: queue::Error) {
        self.send(Ok(Err(error)));
    }

    /// Says that it is not known whether there is a job.
    pub fn refuse(self, refused: Refused) {
        self.send(Err(refused));
    }

    fn send(self, answer: Answer) {
        // A worker that has gone needs no answer.
        let _ = self.reply.send(answer);
    }
}

/// The line.
pub struct Waiters {
    line: VecDeque<Waiter>,
    /// Those of the line that were not tried in this round.
    untried: VecDeque<Waiter>,
    /// Whether everybody in the line was tried since the last change.
    is_settled: bool,
    /// The agents, or all of them, for which nothing was found since then.
    nothing_for: HashSet<Option<String>>,
    /// Whether somebody got a job since the line was gone through last.
    has_given: bool,
    /// The database's version before the line was last looked after.
    seen: Option<i64>,
    looked: Instant,
    stopping: watch::Receiver<bool>,
}

impl Waiters {
    /// From the moment that `stopping` is true, nobody waits any more.
    pub fn new(stopping: watch::Receiver<bool>) -> Waiters {
        Waiters {
            line: VecDeque::new(),
            untried: VecDeque::new(),
            is_settled: true,
            nothing_for: HashSet::new(),
            has_given: false,
            seen: None,
            looked: Instant::now(),
            stopping,
        }
    }

    /// A worker joins the line, at its end.
    pub fn add(&mut self, waiter: Waiter) {
        // Those who wait for the same have found nothing, and neither would this worker.
        if !self.has_nothing_for(&waiter.agent) {
            self.is_settled = false;
        }
        self.line.push_back(waiter);
    }

    /// A worker whose job was taken back is the next one again.
    pub fn return_to_front(&mut self, waiter: Waiter) {
        self.is_settled = false;
        self.line.push_front(waiter);
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.line.len() + self.untried.len()
    }

    /// Whether there is nothing to do until something changes.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Something has changed: there may be a job for anybody.
    pub fn forget(&mut self) {
        self.nothing_for.clear();
        self.is_settled = false;
    }

    /// Notices what others have changed. True if somebody is to be tried.
    pub fn look(&mut self, queue: &mut Queue) -> bool {
        if self.count() == 0 {
            return false;
        }
        // Read before the claims, so that a change after them is not missed.
        let version = queue.data_version().ok();
        if version.is_none()
            || version != self.seen
            || queue.is_changing()
            || self.looked.elapsed() >= LOOK_ANYWAY
        {
            self.seen = version;
            self.looked = Instant::now();
            self.forget();
        }
        if self.is_settled {
            return false;
        }
        let later = std::mem::take(&mut self.untried);
        self.untried = std::mem::take(&mut self.line);
        self.untried.extend(later);
        true
    }

    /// The next worker to try. None ends the round, when all were tried.
    pub fn next(&mut self) -> Option<Waiter> {
        while let Some(waiter) = self.untried.pop_front() {
            if waiter.reply.is_closed() {
                continue;
            }
            if !self.has_nothing_for(&waiter.agent) {
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

    /// There is nothing for a worker, which goes on waiting.
    pub fn found_nothing(&mut self, waiter: Waiter) {
        self.nothing_for.insert(waiter.agent.clone());
        self.line.push_back(waiter);
    }

    /// Somebody got a job.
    pub fn gave(&mut self) {
        self.has_given = true;
    }

    /// Sends away those who have waited long enough and were tried, or have gone. Those who were
    /// not tried come first in the next round.
    pub fn dismiss(&mut self) {
        let now = Instant::now();
        let stopping = *self.stopping.borrow();
        let tried = std::mem::take(&mut self.line);
        let untried = std::mem::take(&mut self.untried);
        for waiter in tried.into_iter().chain(untried) {
            let is_over = waiter.until <= now && self.has_nothing_for(&waiter.agent);
            if stopping || is_over {
                waiter.send(Ok(Ok(None)));
            } else if !waiter.reply.is_closed() {
                self.line.push_back(waiter);
            }
        }
    }

    fn has_nothing_for(&self, agent: &Option<String>) -> bool {
        self.nothing_for.contains(&None) || self.nothing_for.contains(agent)
    }
}
