//! An actor: a thread that owns something which only one thread may use, such as a queue.
//!
//! Owns the order: steps run one after the other, so nothing waits for a lock in this process.
//! Callers rely on this: a step that has begun runs to its end even if its caller has gone; a step
//! whose caller has gone is not begun.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serial_gate::store;
use tokio::sync::{Notify, oneshot};

/// How many steps may wait. Each takes microseconds to milliseconds, so one more would wait for too
/// long.
pub const WAITING: usize = 4_096;

/// The thing that a thread owns.
pub trait Actor: Send + 'static {
    /// Work between the steps. Called before each wait for a step; returns how long to wait.
    fn idle(&mut self) -> Duration;
}

type Step<T> = Box<dyn FnOnce(&mut T) + Send>;

/// Sends steps to the actor.
pub struct Handle<T> {
    steps: SyncSender<Step<T>>,
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Handle<T> {
        Handle {
            steps: self.steps.clone(),
        }
    }
}

/// A step that did not run, or whose change may be lost.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    /// Too many steps wait.
    #[error("too many requests wait already: try again in a second")]
    Busy,
    /// The thread has ended.
    #[error("the service is stopping: try again when it is back")]
    Stopped,
    /// Its change was made, but may not be on the disk.
    #[error(transparent)]
    Lost(Arc<store::Error>),
}

impl<T> From<TrySendError<T>> for Refused {
    fn from(error: TrySendError<T>) -> Refused {
        match error {
            TrySendError::Full(_) => Refused::Busy,
            TrySendError::Disconnected(_) => Refused::Stopped,
        }
    }
}

impl<T: Actor> Handle<T> {
    /// Starts a thread. It ends when the last handle is dropped, or by a panic; both notify
    /// `ended`.
    pub fn spawn(
        name: &str,
        mut actor: T,
        ended: Arc<Notify>,
    ) -> std::io::Result<(Handle<T>, JoinHandle<()>)> {
        let (steps, waiting) = sync_channel(WAITING);
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            let _end = End(ended);
            work(&mut actor, &waiting);
        })?;
        Ok((Handle { steps }, thread))
    }

    /// Sends a step and waits for its result.
    pub async fn run<R: Send + 'static>(
        &self,
        step: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, Refused> {
        let (reply, result) = oneshot::channel();
        self.steps.try_send(Box::new(move |actor| {
            if !reply.is_closed() {
                // The caller may go in the meantime.
                let _ = reply.send(step(actor));
            }
        }))?;
        result.await.map_err(|_| Refused::Stopped)
    }
}

/// Notifies that a thread has ended, also by a panic.
pub struct End(pub Arc<Notify>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn work<T: Actor>(actor: &mut T, steps: &Receiver<Step<T>>) {
    loop {
        match steps.recv_timeout(actor.idle()) {
            Ok(step) => step(actor),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
