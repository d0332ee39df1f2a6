//! The thread that changes the queue: it makes changes in groups, and gives jobs to waiting
//! workers.
//!
//! Owns the group: all waiting changes are made in one transaction, flushed to the disk once, and
//! then answered. When one statement ends the whole transaction (a trigger's `RAISE(ROLLBACK)`, a
//! full disk), each change is made again, alone. An engine without groups makes each alone at once.
//! Leaves the order of the workers to the queue's
//! waiters. Callers rely on this: an answered change is on the disk, and in the file that is now at
//! the path; a job that could not be handed over is back in the queue; many waiting workers delay a
//! change by no more than [`ROUND`].

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serial_gate::error::with_causes;
use serial_gate::gate::NotInForce;
use serial_gate::queue::{POLL, Queue, Round, Served, Waiters};
use serial_gate::store::{Actor, Claimed, NoRoom};
use tokio::sync::{Notify, oneshot};

use super::actor::{End, Refused, WAITING};
use super::change::{Change, Reply, change};
use super::shutdown::Shutdown;
use super::waiter::Waiter;

/// How long jobs are given out in one group.
const ROUND: Duration = Duration::from_millis(20);
/// The most changes in one group.
const GROUP: usize = 256;
/// How often to verify the claim index and to look at the files while there are no requests.
const IDLE: Duration = Duration::from_secs(1);

enum Request {
    Change(Box<dyn Change>),
    Claim(Waiter),
    Look(oneshot::Sender<Standing>),
}

/// The state of the thread. An answer also shows that it runs.
pub struct Standing {
    /// How many workers wait.
    pub waiting: usize,
    /// Why its changes do not reach the disk, if they do not.
    pub no_room: Option<NoRoom>,
    /// Why its claims do not use the active generation, if they do not.
    pub not_in_force: Option<NotInForce>,
}

/// Sends requests to the thread.
#[derive(Clone)]
pub struct Writer {
    requests: SyncSender<Request>,
}

impl Writer {
    /// Starts the thread. It ends when the last [`Writer`] is dropped, or by a panic; both notify
    /// `ended`. When `shutdown` begins, all waiting workers are answered.
    pub fn start(
        queue: Queue,
        lease: Duration,
        shutdown: Shutdown,
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
                    shutdown,
                    waiters: Waiters::default(),
                    tried: None,
                };
                thread.work(&waiting);
            })?;
        Ok((Writer { requests }, thread))
    }

    /// Makes a change and waits until it is acknowledged. The step may run twice; then the first
    /// change was undone.
    pub async fn change<T: Send + 'static, E: Send + 'static>(
        &self,
        step: impl FnMut(&mut Queue) -> Result<T, E> + Send + 'static,
    ) -> Reply<T, E> {
        let (change, result) = change(step);
        self.requests.try_send(Request::Change(change))?;
        result.await.map_err(|_| Refused::Stopped)?
    }

    /// Claims a job for a worker, or has it wait for one.
    pub fn claim(&self, waiter: Waiter) -> Result<(), Refused> {
        Ok(self.requests.try_send(Request::Claim(waiter))?)
    }

    pub async fn standing(&self) -> Result<Standing, Refused> {
        let (reply, standing) = oneshot::channel();
        self.requests.try_send(Request::Look(reply))?;
        standing.await.map_err(|_| Refused::Stopped)
    }
}

struct Thread {
    queue: Queue,
    lease: Duration,
    shutdown: Shutdown,
    waiters: Waiters<Waiter>,
    /// When the thread last tried to write after a failure of the disk.
    tried: Option<Instant>,
}

impl Thread {
    fn work(&mut self, requests: &Receiver<Request>) {
        loop {
            let mut changes = Vec::new();
            match requests.recv_timeout(self.idle()) {
                Ok(request) => self.take(request, &mut changes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while changes.len() < GROUP
                && let Ok(request) = requests.try_recv()
            {
                self.take(request, &mut changes);
            }
            self.group(changes);
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

    /// Makes all changes as one group, or, if the group is undone, each alone.
    fn group(&mut self, mut changes: Vec<Box<dyn Change>>) {
        if !changes.is_empty() {
            self.waiters.forget();
        }
        if !self.queue.store().open_group() {
            self.each_alone(changes);
            let served = self.serve(usize::MAX);
            self.answer(Vec::new(), served, None);
            return self.dismiss();
        }
        for change in &mut changes {
            change.make(&mut self.queue);
            if self.queue.store().group_is_broken() {
                break;
            }
        }
        let served = self.serve(usize::MAX);
        match self.queue.store().close_group() {
            Ok(None) => self.answer(changes, served, None),
            // After a failed acknowledgement the outcome is unknown, so nothing is tried again.
            Ok(Some(committed)) => {
                let lost = committed.acknowledge().err();
                self.answer(changes, served, lost.map(Arc::new));
            }
            Err(_) => self.one_by_one(changes, served),
        }
        self.dismiss();
    }

    /// Answers the workers that have waited for long enough, or all at the end.
    fn dismiss(&mut self) {
        for waiter in self.waiters.dismiss(self.shutdown.is_cancelled()) {
            waiter.send(Ok(Ok(None)));
        }
    }

    fn serve(&mut self, most: usize) -> Vec<Served<Waiter>> {
        let round = Round {
            clock: &Timestamp::now,
            lease: self.lease,
            most,
            time: ROUND,
        };
        self.waiters.serve(&mut self.queue, &round)
    }

    /// Answers all requests of a group that has ended.
    fn answer(
        &mut self,
        changes: Vec<Box<dyn Change>>,
        served: Vec<Served<Waiter>>,
        lost: Option<Arc<serial_gate::store::Error>>,
    ) {
        if let Some(error) = &lost {
            tracing::error!("changes may be lost: {}", with_causes(error));
        }
        for change in changes {
            change.tell(lost.as_ref());
        }
        for (waiter, claimed) in served {
            match (claimed, &lost) {
                (Err(error), _) => waiter.send(Ok(Err(error))),
                (Ok(_), Some(error)) => waiter.send(Err(Refused::Lost(Arc::clone(error)))),
                (Ok(job), None) => self.hand_over(waiter, job),
            }
        }
    }

    /// Makes each change without a group. Its answer is final: no later failure undoes it.
    fn one_by_one(&mut self, changes: Vec<Box<dyn Change>>, served: Vec<Served<Waiter>>) {
        for (waiter, _) in served.into_iter().rev() {
            self.waiters.return_to_front(waiter);
        }
        self.each_alone(changes);
        let begun = Instant::now();
        while begun.elapsed() < ROUND {
            let served = self.serve(1);
            if served.is_empty() {
                return;
            }
            self.answer(Vec::new(), served, None);
        }
    }

    fn each_alone(&mut self, changes: Vec<Box<dyn Change>>) {
        for mut change in changes {
            change.make(&mut self.queue);
            change.tell(None);
        }
    }

    fn hand_over(&mut self, waiter: Waiter, job: Claimed) {
        let Some(job) = waiter.hand_over(job) else {
            return;
        };
        // The worker went away before it got the answer, so it does not know of the job.
        let actor = Actor {
            now: Timestamp::now(),
            who: &job.worker,
            why: "",
        };
        if let Err(error) = self.queue.release(actor, job.claim(), None) {
            tracing::warn!(
                "job {} comes back when its lease expires: {}",
                job.id,
                with_causes(&error)
            );
        }
        self.waiters.forget();
    }

    /// Work between the requests. Returns how long to wait for the next request.
    fn idle(&mut self) -> Duration {
        self.queue.store().let_go_of_moved_files();
        self.try_the_disk();
        match self.queue.reconcile(Timestamp::now()) {
            Ok(false) => {}
            Ok(true) => self.waiters.forget(),
            Err(error) => {
                tracing::warn!("the claim index was not verified: {}", with_causes(&error))
            }
        }
        match (self.waiters.count(), self.waiters.is_settled()) {
            (0, _) => IDLE,
            (_, false) => Duration::ZERO,
            (_, true) => POLL,
        }
    }

    /// After a failed write, tries a small change now and then, so that the service becomes ready
    /// again without a request.
    fn try_the_disk(&mut self) {
        if self.queue.store().write_failed().is_none()
            || self.tried.is_some_and(|tried| tried.elapsed() < IDLE)
        {
            return;
        }
        self.tried = Some(Instant::now());
        match self.queue.store().try_to_write() {
            Ok(()) => tracing::info!("the disk takes changes again"),
            Err(error) => {
                tracing::warn!("the disk does not take changes: {}", with_causes(&error));
            }
        }
    }
}
