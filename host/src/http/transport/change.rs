//! A change: made in a group with others, and answered when the group is on the disk.
//!
//! Owns a change's step and its result. The step can run again: when a group is undone, each of its
//! changes is made once more, alone. Leaves the groups to `writer`. Callers rely on this: no change
//! is answered before it is acknowledged.

use std::sync::Arc;

use serial_gate::queue::Queue;
use serial_gate::store;
use tokio::sync::oneshot;

use super::actor::Refused;

/// A change, for the thread that makes it.
pub trait Change: Send {
    /// Makes the change. If it was made before, that was undone.
    fn make(&mut self, queue: &mut Queue);

    /// Sends the result. With an error in `lost`, a change that was made may be lost; a refusal
    /// stays a refusal.
    fn tell(self: Box<Self>, lost: Option<&Arc<store::Error>>);
}

/// A step, and where its result is sent.
struct Step<F, T, E> {
    step: F,
    made: Option<Result<T, E>>,
    reply: oneshot::Sender<Reply<T, E>>,
}

/// The result of a change, if it was made.
pub type Reply<T, E> = Result<Result<T, E>, Refused>;

/// A change by a step that can run again, and where its result arrives.
pub fn change<T, E, F>(step: F) -> (Box<dyn Change>, oneshot::Receiver<Reply<T, E>>)
where
    T: Send + 'static,
    E: Send + 'static,
    F: FnMut(&mut Queue) -> Result<T, E> + Send + 'static,
{
    let (reply, result) = oneshot::channel();
    let change = Step {
        step,
        made: None,
        reply,
    };
    (Box::new(change), result)
}

impl<T: Send, E: Send, F: FnMut(&mut Queue) -> Result<T, E> + Send> Change for Step<F, T, E> {
    fn make(&mut self, queue: &mut Queue) {
        self.made = Some((self.step)(queue));
    }

    fn tell(self: Box<Self>, lost: Option<&Arc<store::Error>>) {
        let answer = match (lost, self.made) {
            (_, Some(Err(refused))) => Ok(Err(refused)),
            (Some(error), _) => Err(Refused::Lost(Arc::clone(error))),
            (None, Some(made)) => Ok(made),
            (None, None) => Err(Refused::Stopped),
        };
        // The client may have gone. The change stays.
        let _ = self.reply.send(answer);
    }
}
