//! Who looks at the queue: one queue for all requests that only read, so that none of them holds up
//! a claim.
//!
//! Owns the notice that something has changed, whoever changed it, for those who follow the events.
//! And the state of the queue as it was just now: many look at once when something has changed, and
//! it is the same for all.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use jiff::Timestamp;
use serial_gate::queue::{Error, Queue, State};
use tokio::sync::watch;

use super::owner::Owned;

/// How often it looks for a change while somebody follows the events.
const LOOK: Duration = Duration::from_millis(100);

/// How often it looks at the database's files while nobody does.
const IDLE: Duration = Duration::from_secs(1);

/// For how long a state is good without a change: a clause may go by the time.
const GOOD_FOR: Duration = Duration::from_secs(1);

pub struct Reader {
    pub queue: Queue,
    changes: watch::Sender<u64>,
    seen: Option<i64>,
    latest: Option<Latest>,
}

/// The state that was read last.
struct Latest {
    version: i64,
    read: Instant,
    state: State,
    /// The same as it is sent, if somebody asked for that.
    written: Option<Bytes>,
}

impl Reader {
    pub fn new(queue: Queue) -> Reader {
        Reader {
            queue,
            changes: watch::Sender::new(0),
            seen: None,
            latest: None,
        }
    }

    /// The state of the queue, with every repo in which a task is under way.
    pub fn state(&mut self) -> Result<State, Error> {
        // Read before the state, so that a change after it is not missed.
        let version = self.queue.data_version()?;
        let is_good =
            |latest: &Latest| latest.version == version && latest.read.elapsed() < GOOD_FOR;
        if let Some(latest) = self.latest.as_ref().filter(|latest| is_good(latest)) {
            return Ok(latest.state.clone());
        }
        let state = self.read()?;
        self.latest = Some(Latest {
            version,
            read: Instant::now(),
            state: state.clone(),
            written: None,
        });
        Ok(state)
    }

    /// The latest state as it is sent.
    pub fn written(&self) -> Option<Bytes> {
        self.latest.as_ref()?.written.clone()
    }

    /// Keeps it for those who ask for the same state.
    pub fn write(&mut self, written: Bytes) -> Bytes {
        if let Some(latest) = &mut self.latest {
            latest.written = Some(written.clone());
        }
        written
    }

    fn read(&mut self) -> Result<State, Error> {
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
        self.queue.store().let_go_of_moved_files();
        // It may be large, and is of no use any more.
        self.latest
            .take_if(|latest| latest.read.elapsed() >= GOOD_FOR);
        if self.changes.receiver_count() == 0 {
            return Some(IDLE);
        }
        let version = self.queue.data_version().ok();
        if version != self.seen {
            self.seen = version;
            self.changes.send_modify(|count| *count += 1);
        }
        Some(LOOK)
    }
}
