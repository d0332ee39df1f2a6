//! A thread that owns something that only one may use at a time, such as a queue, and is asked for
//! it.
//!
//! Owns the order: what is asked for is done in turn, so nobody waits for a lock inside this
//! process, and the thread never waits for the network. Callers rely on this: a step that was begun
//! runs to its end even if the one who asked has gone; one that nobody waits for any more is not
//! begun.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serial_gate::store;
use tokio::sync::{Notify, oneshot};

/// How many steps may wait. Each takes some microseconds to milliseconds, so whoever comes later
/// would wait for longer than is of use.
pub const WAITING: usize = 4_096;

/// What a thread can own.
pub trait Owned: Send + 'static {
    /// What there is to do besides the steps: called after each of them, and after the time that it
    /// returned. None waits for the next step.
    fn rest(&mut self) -> Option<Duration>;
}

type Step<T> = Box<dyn FnOnce(&mut T) + Send>;

/// The thread, for those who ask.
pub struct Owner<T> {
    steps: SyncSender<Step<T>>,
}

impl<T> Clone for Owner<T> {
    fn clone(&self) -> Owner<T> {
        Owner {
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

impl<T: Owned> Owner<T> {
    /// Starts a thread. It ends when nobody is left to ask it, or by a panic; both times `ended` is
    /// told.
    pub fn spawn(
        name: &str,
        mut owned: T,
        ended: Arc<Notify>,
    ) -> std::io::Result<(Owner<T>, JoinHandle<()>)> {
        let (steps, waiting) = sync_channel(WAITING);
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            let _end = End(ended);
            work(&mut owned, &waiting);
        })?;
        Ok((Owner { steps }, thread))
    }

    /// Asks for a step and waits for its result.
    pub async fn run<R: Send + 'static>(
        &self,
        step: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, Refused> {
        let (reply, result) = oneshot::channel();
        self.ask(move |owned| {
            if !reply.is_closed() {
                // The one who asked may go meanwhile.
                let _ = reply.send(step(owned));
            }
        })?;
        result.await.map_err(|_| Refused::Stopped)
    }

    /// Asks for a step.
    pub fn ask(&self, step: impl FnOnce(&mut T) + Send + 'static) -> Result<(), Refused> {
        self.steps
            .try_send(Box::new(step))
            .map_err(|error| match error {
                TrySendError::Full(_) => Refused::Busy,
                TrySendError::Disconnected(_) => Refused::Stopped,
            })
    }
}

/// Tells that a thread has ended, however it did.
pub struct End(pub Arc<Notify>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn work<T: Owned>(owned: &mut T, steps: &Receiver<Step<T>>) {
    let mut rest = owned.rest();
    loop {
        let step = match rest {
            Some(time) => steps.recv_timeout(time),
            None => steps.recv().map_err(RecvTimeoutError::from),
        };
        match step {
            Ok(step) => step(owned),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        rest = owned.rest();
    }
}
