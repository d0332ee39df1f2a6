//! A worker that waits for a job over HTTP.
//!
//! Owns how the answer reaches the worker. Leaves its turn to the queue's waiters.

use std::time::{Duration, Instant};

use serial_gate::queue::{self, Claimant};
use serial_gate::store::Claimed;
use tokio::sync::oneshot;

use super::actor::Refused;

/// The result of a claim.
pub type Answer = Result<Result<Option<Claimed>, queue::Error>, Refused>;

pub struct Waiter {
    worker: String,
    /// The agents whose jobs it does; without any, those of all.
    agents: Vec<String>,
    until: Instant,
    reply: oneshot::Sender<Answer>,
}

impl Waiter {
    /// A worker, and where its answer arrives.
    pub fn new(
        worker: String,
        agents: Vec<String>,
        wait: Duration,
    ) -> (Waiter, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter {
            worker,
            agents,
            until: Instant::now() + wait,
            reply,
        };
        (waiter, answer)
    }

    /// Hands a job over. Returns it if the worker has gone.
    pub fn hand_over(self, job: Claimed) -> Option<Claimed> {
        let unsent = self.reply.send(Ok(Ok(Some(job)))).err()?;
        unsent.ok()?.ok()?
    }

    /// Answers that there is no job, or with an error.
    pub fn send(self, answer: Answer) {
        // A worker that has gone needs no answer.
        let _ = self.reply.send(answer);
    }
}

impl queue::Waiter for Waiter {
    fn claimant(&self) -> Claimant<'_> {
        Claimant {
            worker: &self.worker,
            agents: &self.agents,
        }
    }

    fn is_due(&self) -> bool {
        self.until <= Instant::now()
    }

    fn has_gone(&self) -> bool {
        self.reply.is_closed()
    }
}
