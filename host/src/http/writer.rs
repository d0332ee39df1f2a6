//! The thread that changes the queue: it makes the changes that wait in groups, and gives jobs to
//! the workers that wait.
//!
//! Owns the group: what waits is made in one transaction, flushed to the disk once, and told after
//! that. When one statement ends the whole transaction (a trigger's `RAISE(ROLLBACK)`, a full
//! disk), each change is made again, alone. Leaves the order of the workers to `waiters`. Callers
//! rely on this: what was answered is on the disk, and in the file that is at the path; a job that
//! could not be handed over is back in the queue; a long line of workers keeps no change waiting
//! for longer than [`ROUND`].

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serial_gate::error::with_causes;
use serial_gate::gate::NotInForce;
use serial_gate::queue::{self, Queue};
use serial_gate::store::{Act, Claimed, NoRoom};
use tokio::sync::{Notify, watch};

use super::change::{Change, Reply, change};
use super::owner::{End, Refused, WAITING};
use super::waiters::{Waiter, Waiters};

/// How often another program's changes are looked for while somebody waits: a look costs some
/// microseconds.
const LOOK: Duration = Duration::from_millis(20);
/// How long jobs are given out in one group. It is on the disk before the next one begins.
const ROUND: Duration = Duration::from_millis(20);
/// How many changes are made in one group.
const GROUP: usize = 256;
/// How often the candidates are compared and the files looked at while nobody does anything.
const IDLE: Duration = Duration::from_secs(1);

/// What the thread is asked for.
enum Request {
    Change(Box<dyn Change>),
    Claim(Waiter),
    /// How the thread is. An answer says that it lives, too.
    Look(tokio::sync::oneshot::Sender<Standing>),
}

/// How the thread is.
pub struct Standing {
    /// How many workers wait.
    pub waiting: usize,
    /// Why what it writes does not reach the disk, if that is so.
    pub no_room: Option<NoRoom>,
    /// Why its claims do not go by the active generation, if that is so.
    pub not_in_force: Option<NotInForce>,
}

/// The thread, for those who ask.
#[derive(Clone)]
pub struct Writer {
    requests: SyncSender<Request>,
}

impl Writer {
    /// Starts the thread. It ends when nobody is left to ask it, or by a panic; both times `ended`
    /// is told. From the moment that `stopping` is true, nobody waits any more.
    pub fn start(
        queue: Queue,
        lease: Duration,
        stopping: watch::Receiver<bool>,
        ended: Arc<Notify>,
    ) -> std::io::Result<(Writer, JoinHandle<()>)> {
        let (requests, waiting) = sync_channel(WAITING);
        let thread = thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                let _end = End(ended);
                let mut thread = Thread {
                    queue,
                    lease,
                    waiters: Waiters::new(stopping),
                    tried: None,
                };
                thread.work(&waiting);
            })?;
        Ok((Writer { requests }, thread))
    }

    /// Makes a change and waits until it is acknowledged. The step may be made twice, the first
    /// time being undone.
    pub async fn change<T: Send + 'static, E: Send + 'static>(
        &self,
        step: impl FnMut(&mut Queue) -> Result<T, E> + Send + 'static,
    ) -> Reply<T, E> {
        let (change, result) = change(step);
        self.ask(Request::Change(change))?;
        result.await.map_err(|_| Refused::Stopped)?
    }

    /// Claims a job for a worker, or has it wait for one.
    pub fn claim(&self, waiter: Waiter) -> Result<(), Refused> {
        self.ask(Request::Claim(waiter))
    }

    /// How the thread is.
    pub async fn standing(&self) -> Result<Standing, Refused> {
        let (reply, standing) = tokio::sync::oneshot::channel();
        self.ask(Request::Look(reply))?;
        standing.await.map_err(|_| Refused::Stopped)
    }

    fn ask(&self, request: Request) -> Result<(), Refused> {
        self.requests
            .try_send(request)
            .map_err(|error| match error {
                TrySendError::Full(_) => Refused::Busy,
                TrySendError::Disconnected(_) => Refused::Stopped,
            })
    }
}

struct Thread {
    queue: Queue,
    lease: Duration,
    waiters: Waiters,
    /// When it was last tried whether the disk takes a change again.
    tried: Option<Instant>,
}

/// What was done in a group, and is to be told once it is acknowledged.
#[derive(Default)]
struct Done {
    changes: Vec<Box<dyn Change>>,
    claims: Vec<(Waiter, Result<Claimed, queue::Error>)>,
}

impl Thread {
    fn work(&mut self, requests: &Receiver<Request>) {
        let mut rest = self.rest();
        loop {
            let mut changes = Vec::new();
            match requests.recv_timeout(rest) {
                Ok(request) => self.take(request, &mut changes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while changes.len() < GROUP
                && let Ok(request) = requests.try_recv()
            {
                self.take(request, &mut changes);
            }
            self.round(changes);
            rest = self.rest();
        }
    }

    fn take(&mut self, request: Request, changes: &mut Vec<Box<dyn Change>>) {
        match request {
            Request::Change(change) => changes.push(change),
            Request::Claim(waiter) => self.waiters.add(waiter),
            Request::Look(reply) => {
                let standing = Standing {
                    waiting: self.waiters.count(),
                    no_room: self.queue.store().write_failed(),
                    not_in_force: self.queue.not_in_force(),
                };
                // The caller may have gone.
                let _ = reply.send(standing);
            }
        }
    }

    /// Makes what waits, as one group; if that is undone, each of it alone.
    fn round(&mut self, changes: Vec<Box<dyn Change>>) {
        if !changes.is_empty() {
            self.waiters.forget();
        }
        let mut done = Done {
            changes,
            ..Done::default()
        };
        self.queue.store().open_group();
        for change in &mut done.changes {
            change.make(&mut self.queue);
            if self.queue.store().group_is_broken() {
                break;
            }
        }
        self.give(&mut done, usize::MAX);
        self.end_group(done);
        self.waiters.dismiss();
    }

    /// Gives jobs to the workers that wait, as many as that, until each of them was tried or the
    /// time is up.
    fn give(&mut self, done: &mut Done, most: usize) {
        let begun = Instant::now();
        if self.queue.store().group_is_broken() || !self.waiters.look(&mut self.queue) {
            return;
        }
        while done.claims.len() < most
            && begun.elapsed() < ROUND
            && let Some(waiter) = self.waiters.next()
        {
            match self
                .queue
                .claim(Timestamp::now(), waiter.claimant(), self.lease)
            {
                Ok(None) => self.waiters.found_nothing(waiter),
                Ok(Some(job)) => {
                    self.waiters.gave();
                    done.claims.push((waiter, Ok(job)));
                }
                Err(error) => done.claims.push((waiter, Err(error))),
            }
            if self.queue.store().group_is_broken() {
                return;
            }
        }
    }

    /// Commits a group, waits for the disk, and tells what was done. Where nothing was kept, it is
    /// done again.
    fn end_group(&mut self, done: Done) {
        let lost = match self.queue.store().close_group() {
            Ok(None) => None,
            // From here on it is not known what is there, so nothing is tried again.
            Ok(Some(committed)) => committed.acknowledge().err(),
            Err(_) => return self.one_by_one(done),
        };
        let lost = lost.map(|error| {
            tracing::error!("changes were not kept: {}", with_causes(&error));
            Arc::new(error)
        });
        for change in done.changes {
            change.tell(lost.as_ref());
        }
        for (waiter, claimed) in done.claims {
            match (claimed, &lost) {
                (Err(error), _) => waiter.fail(error),
                (Ok(_), Some(error)) => waiter.refuse(Refused::Lost(Arc::clone(error))),
                (Ok(job), None) => self.hand_over(waiter, job),
            }
        }
    }

    /// Makes each change outside of a group. What is told then is what became of it: nothing that
    /// fails later, such as a line of the log after a claim, undoes it.
    fn one_by_one(&mut self, done: Done) {
        for (waiter, _) in done.claims.into_iter().rev() {
            self.waiters.return_to_front(waiter);
        }
        for mut change in done.changes {
            change.make(&mut self.queue);
            change.tell(None);
        }
        let begun = Instant::now();
        while begun.elapsed() < ROUND {
            let mut alone = Done::default();
            self.give(&mut alone, 1);
            if alone.claims.is_empty() {
                return;
            }
            for (waiter, claimed) in alone.claims {
                match claimed {
                    Ok(job) => self.hand_over(waiter, job),
                    Err(error) => waiter.fail(error),
                }
            }
        }
    }

    fn hand_over(&mut self, waiter: Waiter, job: Claimed) {
        let Some(job) = waiter.answer(job) else {
            return;
        };
        // The worker went away before it heard of the job, so nobody will do it.
        let act = Act {
            now: Timestamp::now(),
            who: &job.worker,
            why: "",
        };
        if let Err(error) = self.queue.release(act, job.claim(), None) {
            tracing::warn!(
                "job {} comes back when its lease runs out: {}",
                job.id,
                with_causes(&error)
            );
        }
        self.waiters.forget();
    }

    /// What there is to do besides the requests, and how long the thread may wait for the next one.
    fn rest(&mut self) -> Duration {
        self.queue.store().let_go_of_moved_files();
        self.try_the_disk();
        match self.queue.reconcile(Timestamp::now()) {
            Ok(false) => {}
            Ok(true) => self.waiters.forget(),
            Err(error) => {
                tracing::warn!("the candidates were not compared: {}", with_causes(&error))
            }
        }
        match (self.waiters.count(), self.waiters.is_settled()) {
            (0, _) => IDLE,
            (_, false) => Duration::ZERO,
            (_, true) => LOOK,
        }
    }

    /// After a change that the disk did not take: makes one of its own now and then, so that a
    /// service which is told to be away until there is room comes back without a request.
    fn try_the_disk(&mut self) {
        if self.queue.store().write_failed().is_none()
            || self.tried.is_some_and(|tried| tried.elapsed() < IDLE)
        {
            return;
        }
        self.tried = Some(Instant::now());
        match self.queue.store().try_to_write() {
            Ok(()) => tracing::info!("the disk takes changes again"),
            Err(error) => tracing::warn!("the disk does not take changes: {}", with_causes(&error)),
        }
    }
}
