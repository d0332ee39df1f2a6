//! The actor that reads: one queue for all requests that change nothing, so none of them holds up a
//! claim.
//!
//! Owns the notice that something has changed, by any program, for those who follow the events.
//! It also keeps the state of the queue as it was just now: many look at once when something has
//! changed, and it is the same for all.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use jiff::Timestamp;
use serial_gate::queue::{Changes, Error, Queue, State};
use tokio::sync::watch;

use super::actor::Actor;

/// How often it polls for a change while there are followers of the events.
const POLL: Duration = Duration::from_millis(100);
/// How often it looks at the database's files while nobody does.
const IDLE: Duration = Duration::from_secs(1);
/// For how long a state is good without a change: a clause may depend on the time.
const GOOD_FOR: Duration = Duration::from_secs(1);

pub struct Reader {
    pub queue: Queue,
    followers: watch::Sender<u64>,
    /// What the followers were told of.
    told: Changes,
    /// What the latest state has in it.
    read: Changes,
    latest: Option<Latest>,
}

/// The state that was read last.
struct Latest {
    at: Instant,
    state: State,
    /// The same as it is sent, once a request asked for it.
    written: Option<Bytes>,
}

impl Reader {
    pub fn new(queue: Queue) -> Reader {
        Reader {
            queue,
            followers: watch::Sender::new(0),
            told: Changes::new(Duration::MAX),
            read: Changes::new(GOOD_FOR),
            latest: None,
        }
    }

    /// The state of the queue, with every repo in which a task is under way.
    pub fn state(&mut self) -> Result<State, Error> {
        // Read before the state, so that a change after it is not missed.
        let is_new = self.read.look(Some(self.queue.data_version()?));
        if let Some(latest) = self.latest.as_ref().filter(|_| !is_new) {
            return Ok(latest.state.clone());
        }
        self.latest = None;
        let active = self.queue.store().active_repos()?;
        let registry: Vec<Option<String>> = active.into_iter().map(Some).collect();
        let state = self.queue.state(Timestamp::now(), &registry)?;
        self.latest = Some(Latest {
            at: Instant::now(),
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

    /// Counts the changes from now on.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.followers.subscribe()
    }
}

impl Actor for Reader {
    fn idle(&mut self) -> Duration {
        self.queue.store().let_go_of_moved_files();
        // It may be large, and is of no use any more.
        self.latest
            .take_if(|latest| latest.at.elapsed() >= GOOD_FOR);
        if self.followers.receiver_count() == 0 {
            return IDLE;
        }
        // An unreadable database is no news: they could not look.
        if let Ok(version) = self.queue.data_version()
            && self.told.look(Some(version))
        {
            self.followers.send_modify(|count| *count += 1);
        }
        POLL
    }
}
