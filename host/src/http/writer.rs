//! Who changes the queue: one queue for all requests that write, and the line of workers that wait for a job.
//!
//! Owns the line. A job goes to whoever has waited longest of those that it is for. Callers rely on this: a worker that
//! waits hears of a change in the step that made it, and of another program's within [`LOOK`]; a job that could not be
//! handed over is back in the queue; and a long line keeps no step waiting for longer than [`ROUND`].

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serial_gate::queue::{self, Claimant, Queue};
use serial_gate::store::{Claim, Claimed};
use tokio::sync::{oneshot, watch};

use super::owner::Owned;

/// How often another program's changes are looked for while somebody waits: a look costs some microseconds.
const LOOK: Duration = Duration::from_millis(20);
/// How long it may take to see what no change tells of: a lease that ran out, a clause that did.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);
/// How long jobs are handed out before other steps have their turn.
const ROUND: Duration = Duration::from_millis(20);
/// How often the candidates are compared while nobody does anything. The queue keeps its own time, too.
const RECONCILE: Duration = Duration::from_secs(10);

/// What a claim gives.
pub type Answer = Result<Option<Claimed>, queue::Error>;

pub struct Writer {
    pub queue: Queue,
    lease: Duration,
    line: VecDeque<Waiting>,
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

struct Waiting {
    worker: String,
    /// Whose jobs it does; none for those of all agents.
    agent: Option<String>,
    until: Instant,
    reply: oneshot::Sender<Answer>,
}

impl Writer {
    /// From the moment that `stopping` is true, nobody waits any more.
    pub fn new(queue: Queue, lease: Duration, stopping: watch::Receiver<bool>) -> Writer {
        Writer {
            queue,
            lease,
            line: VecDeque::new(),
            is_settled: true,
            nothing_for: HashSet::new(),
            has_given: false,
            seen: None,
            looked: Instant::now(),
            stopping,
        }
    }

    /// Claims a job, or waits for one.
    pub fn claim(
        &mut self,
        worker: String,
        agent: Option<String>,
        wait: Duration,
        reply: oneshot::Sender<Answer>,
    ) {
        // Whoever waits for the same has found nothing, and neither would this one.
        if !self.has_nothing_for(&agent) {
            self.is_settled = false;
        }
        self.line.push_back(Waiting {
            worker,
            agent,
            until: Instant::now() + wait,
            reply,
        });
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// The queue, for a change. Whoever waits is looked after once it is made.
    pub fn change(&mut self) -> &mut Queue {
        self.forget();
        &mut self.queue
    }

    /// There may be a job for anybody.
    fn forget(&mut self) {
        self.nothing_for.clear();
        self.is_settled = false;
    }

    fn has_nothing_for(&self, agent: &Option<String>) -> bool {
        self.nothing_for.contains(&None) || self.nothing_for.contains(agent)
    }

    /// Notices what others have changed.
    fn look(&mut self) {
        // Read before the claims, so that a change after them is not missed.
        let version = self.queue.data_version().ok();
        if version.is_none()
            || version != self.seen
            || self.queue.is_changing()
            || self.looked.elapsed() >= LOOK_ANYWAY
        {
            self.seen = version;
            self.looked = Instant::now();
            self.forget();
        }
    }

    /// Gives jobs to those who wait, until everybody was tried or it is the turn of other steps. Then it goes on where it
    /// ended: what was found out is kept until something changes.
    fn serve(&mut self) {
        let begun = Instant::now();
        let mut line = std::mem::take(&mut self.line);
        while let Some(first) = line.pop_front() {
            if first.reply.is_closed() {
                continue;
            }
            if self.has_nothing_for(&first.agent) {
                self.line.push_back(first);
                continue;
            }
            if begun.elapsed() >= ROUND {
                self.line.push_back(first);
                self.line.append(&mut line);
                return;
            }
            let claimant = Claimant {
                worker: &first.worker,
                agent: first.agent.as_deref(),
            };
            match self.queue.claim(Timestamp::now(), claimant, self.lease) {
                Ok(None) => {
                    self.nothing_for.insert(first.agent.clone());
                    self.line.push_back(first);
                }
                Ok(Some(job)) => {
                    self.has_given = true;
                    self.hand_over(first, job);
                }
                Err(error) => {
                    let _ = first.reply.send(Err(error));
                }
            }
        }
        self.is_settled = true;
        // A rule may let another job through because one was claimed.
        if std::mem::take(&mut self.has_given) {
            self.forget();
        }
    }

    fn hand_over(&mut self, to: Waiting, job: Claimed) {
        let (id, token) = (job.id, job.token);
        if to.reply.send(Ok(Some(job))).is_ok() {
            return;
        }
        // The worker went away before it heard of the job, so nobody will do it.
        let claim = Claim { job: id, token };
        if let Err(error) = self.queue.store().put_back(claim, None) {
            tracing::warn!("job {id} comes back when its lease runs out: {error}");
        }
    }

    /// Sends away those who have waited long enough and were tried, or have gone.
    fn dismiss(&mut self) {
        let now = Instant::now();
        let stopping = *self.stopping.borrow();
        let line = std::mem::take(&mut self.line);
        for waiting in line {
            let is_over = waiting.until <= now && self.has_nothing_for(&waiting.agent);
            if stopping || is_over {
                let _ = waiting.reply.send(Ok(None));
            } else if !waiting.reply.is_closed() {
                self.line.push_back(waiting);
            }
        }
    }
}

impl Owned for Writer {
    fn rest(&mut self) -> Option<Duration> {
        if !self.line.is_empty() {
            self.look();
            if !self.is_settled {
                self.serve();
            }
            self.dismiss();
        }
        match self.queue.reconcile(Timestamp::now()) {
            Ok(false) => {}
            Ok(true) => self.forget(),
            Err(error) => tracing::warn!(
                "the candidates were not compared: {}",
                queue::with_causes(&error)
            ),
        }
        Some(match (self.line.is_empty(), self.is_settled) {
            (true, _) => RECONCILE,
            (false, false) => Duration::ZERO,
            (false, true) => LOOK,
        })
    }
}
