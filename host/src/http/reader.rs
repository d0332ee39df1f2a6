//! Who looks at the queue: one queue for all requests that only read, so that none of them holds up a claim.
//!
//! Owns the notice that something has changed, whoever changed it, for those who follow the events.

use std::time::Duration;

use jiff::Timestamp;
use serial_gate::queue::{Error, Queue, State};
use tokio::sync::watch;

use super::owner::Owned;

/// How often it looks for a change while somebody follows the events.
const LOOK: Duration = Duration::from_millis(100);

pub struct Reader {
    pub queue: Queue,
    changes: watch::Sender<u64>,
    seen: Option<i64>,
}

impl Reader {
    pub fn new(queue: Queue) -> Reader {
        Reader {
            queue,
            changes: watch::Sender::new(0),
            seen: None,
        }
    }

    /// The state of the queue, with every repo in which a task is under way.
    pub fn state(&mut self) -> Result<State, Error> {
        let active = self.queue.store().active_repos()?;
        let registry: Vec<Option<String>> = active.into_iter().map(Some).collect();
        self.queue.state(Timestamp::now(), &registry)
    }

    /// Counts the changes from now on.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Owned for Reader {
    fn rest(&mut self) -> Option<Duration> {
        if self.changes.receiver_count() == 0 {
            return None;
        }
        let version = self.queue.store().data_version().ok();
        if version != self.seen {
            self.seen = version;
            self.changes.send_modify(|count| *count += 1);
        }
        Some(LOOK)
    }
}
