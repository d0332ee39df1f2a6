//! Who changes the queue: one queue for all requests that write, and the line of workers that wait for a job.
//!
//! Owns the line. A job goes to whoever has waited longest. Callers rely on this: a worker that waits hears of a
//! change in the step that made it, and of another program's within [`LOOK`]; and a job that could not be
//! handed over is back in the queue.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serial_gate::queue::{self, Queue};
use serial_gate::store::{Act, Claimed};
use tokio::sync::oneshot;

use super::owner::Owned;

/// How often another program's changes are looked for while somebody waits: a look costs some microseconds.
const LOOK: Duration = Duration::from_millis(20);
/// How long it may take to see what no change tells of: a lease that ran out, a clause that did.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);
/// How often the candidates are compared while nobody does anything. The queue keeps its own time, too.
const RECONCILE: Duration = Duration::from_secs(10);

/// What a claim gives.
pub type Answer = Result<Option<Claimed>, queue::Error>;

pub struct Writer {
    pub queue: Queue,
    lease: Duration,
    line: VecDeque<Waiting>,
    /// The database's version before the line was last looked after.
    seen: Option<i64>,
    looked: Instant,
    stopping: bool,
}

struct Waiting {
    worker: String,
    until: Instant,
    reply: oneshot::Sender<Answer>,
}

impl Writer {
    pub fn new(queue: Queue, lease: Duration) -> Writer {
        Writer {
            queue,
            lease,
            line: VecDeque::new(),
            seen: None,
            looked: Instant::now(),
            stopping: false,
        }
    }

    /// Claims a job, or waits for one.
    pub fn claim(&mut self, worker: String, wait: Duration, reply: oneshot::Sender<Answer>) {
        self.line.push_back(Waiting {
            worker,
            until: Instant::now() + wait,
            reply,
        });
        // Whoever waits before this one has found nothing, and neither would this one; but it may be the first.
        if self.line.len() == 1 {
            self.seen = None;
        }
    }

    /// Nobody waits any more, now or later.
    pub fn stop_waiting(&mut self) {
        self.stopping = true;
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// The queue, for a change. Whoever waits is looked after once it is made.
    pub fn change(&mut self) -> &mut Queue {
        self.seen = None;
        &mut self.queue
    }

    /// Gives jobs to those who wait, as long as there are any.
    fn serve(&mut self) {
        self.looked = Instant::now();
        // Read before the claims, so that a change after them is not missed.
        self.seen = self.queue.store().data_version().ok();
        while let Some(first) = self.line.pop_front() {
            if first.reply.is_closed() {
                continue;
            }
            match self
                .queue
                .claim(Timestamp::now(), first.worker.as_str(), self.lease)
            {
                Ok(None) => {
                    self.line.push_front(first);
                    return;
                }
                Ok(Some(job)) => self.hand_over(first, job),
                Err(error) => {
                    let _ = first.reply.send(Err(error));
                }
            }
        }
    }

    fn hand_over(&mut self, to: Waiting, job: Claimed) {
        let (id, worker) = (job.id, to.worker);
        if to.reply.send(Ok(Some(job))).is_ok() {
            return;
        }
        // Nobody has heard of the job, so nobody will do it.
        let act = Act {
            now: Timestamp::now(),
            who: &worker,
            why: "the worker went away before it heard of the job",
        };
        if let Err(error) = self.queue.store().requeue(act, id) {
            tracing::warn!("job {id} comes back when its lease runs out: {error}");
        }
    }

    /// Sends away those who have waited long enough or have gone.
    fn dismiss(&mut self) {
        let now = Instant::now();
        let stopping = self.stopping;
        let line = std::mem::take(&mut self.line);
        for waiting in line {
            if stopping || waiting.until <= now {
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
            let version = self.queue.store().data_version().ok();
            let is_other = version.is_none() || version != self.seen;
            if is_other || self.queue.is_changing() || self.looked.elapsed() >= LOOK_ANYWAY {
                self.serve();
            }
            self.dismiss();
        }
        if let Err(error) = self.queue.reconcile(Timestamp::now()) {
            tracing::warn!("the candidates were not compared: {error}");
        }
        if self.line.is_empty() {
            return Some(RECONCILE);
        }
        Some(LOOK)
    }
}
