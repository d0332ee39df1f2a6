//! A change that a request asks for: made in a group with others, and told once the group is on the disk.
//!
//! Owns that a change can be made again: when a group is undone, each of its changes is made once more, alone. Leaves the
//! groups to `writer`. Callers rely on this: nobody is told of a change before it is acknowledged.

use std::sync::Arc;

use serial_gate::queue::Queue;
use serial_gate::store;
use tokio::sync::oneshot;

use super::owner::Refused;

/// A change, for the thread that makes it.
pub trait Change: Send {
    /// Makes the change. What it made before was undone.
    fn make(&mut self, queue: &mut Queue);

    /// Tells what came of it. With an error, what was made may be lost.
    fn tell(self: Box<Self>, lost: Option<&Arc<store::Error>>);
}

/// A step, and who waits for what it returns.
struct Step<F, T> {
    step: F,
    made: Option<T>,
    reply: oneshot::Sender<Result<T, Refused>>,
}

/// A change by a step that can be repeated, and where its result arrives.
pub fn change<T, F>(step: F) -> (Box<dyn Change>, oneshot::Receiver<Result<T, Refused>>)
where
    T: Send + 'static,
    F: FnMut(&mut Queue) -> T + Send + 'static,
{
    let (reply, result) = oneshot::channel();
    let change = Step {
        step,
        made: None,
        reply,
    };
    (Box::new(change), result)
}

impl<T: Send, F: FnMut(&mut Queue) -> T + Send> Change for Step<F, T> {
    fn make(&mut self, queue: &mut Queue) {
        self.made = Some((self.step)(queue));
    }

    fn tell(self: Box<Self>, lost: Option<&Arc<store::Error>>) {
        let answer = match (lost, self.made) {
            (Some(error), _) => Err(Refused::Lost(Arc::clone(error))),
            (None, Some(made)) => Ok(made),
            (None, None) => Err(Refused::Stopped),
        };
        // The client may have gone. The change is made all the same.
        let _ = self.reply.send(answer);
    }
}
