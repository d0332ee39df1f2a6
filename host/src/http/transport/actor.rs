//! An actor: a thread that owns something only one may use at a time, such as a queue.
//!
//! Owns the order: steps are made in turn, so nobody waits for a lock inside this process, and the
//! thread never waits for the network. Callers rely on this: a step that was begun runs to its end
//! even if its caller has gone; a step that nobody waits for any more is not begun.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serial_gate::store;
use tokio::sync::{Notify, oneshot};

/// How many requests may wait. Each takes microseconds to milliseconds, so a later one would wait
/// for longer than is of use.
pub const WAITING: usize = 4_096;

/// What a thread owns.
pub trait Actor: Send + 'static {
    /// What there is to do between the steps: called after each of them, and after the time that it
    /// returned.
    fn idle(&mut self) -> Duration;
}

type Step<T> = Box<dyn FnOnce(&mut T) + Send>;

/// The actor, for those who ask it.
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

/// A step that was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    /// Too many wait.
    #[error("too many requests wait already: try again in a second")]
    Busy,
    /// The thread has ended.
    #[error("the service is stopping: try again when it is back")]
    Stopped,
    /// It was made, and may be lost.
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
    /// Starts a thread. It ends when nobody is left to ask it, or by a panic; both notify `ended`.
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

    /// Asks for a step and waits for its result.
    pub async fn run<R: Send + 'static>(
        &self,
        step: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, Refused> {
        let (reply, result) = oneshot::channel();
        self.steps.try_send(Box::new(move |actor| {
            if !reply.is_closed() {
                // The caller may go meanwhile.
                let _ = reply.send(step(actor));
            }
        }))?;
        result.await.map_err(|_| Refused::Stopped)
    }
}

/// Notifies that a thread has ended, however it did.
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
