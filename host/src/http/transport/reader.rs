//! The actor that reads: one queue for all requests that change nothing, so none of them delays a
//! claim.
//!
//! Owns the notification of those who follow the events, after a change by any program. Owns also a
//! short-lived copy of the queue's state, because many clients look at once after a change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use jiff::Timestamp;
use serial_gate::queue::{Changes, Error, Overview, Queue, State};
use tokio::sync::watch;

use super::actor::Actor;

/// How often to poll for a change while there are followers.
const POLL: Duration = Duration::from_millis(100);
/// How often to look at the database's files without followers.
const IDLE: Duration = Duration::from_secs(1);
/// How long a state is valid without a change: a clause may depend on the time.
const GOOD_FOR: Duration = Duration::from_secs(1);

pub struct Reader {
    pub queue: Queue,
    followers: watch::Sender<u64>,
    /// The changes that the followers know.
    told: Changes,
    /// The changes that the latest state contains.
    read: Changes,
    latest: Option<Latest>,
    overview: Option<LatestOverview>,
}

/// The overview that was read last.
struct LatestOverview {
    at: Instant,
    /// The number of the last change that it contains.
    change: u64,
    overview: Arc<Overview>,
}

/// The state that was read last.
struct Latest {
    at: Instant,
    state: State,
    /// The same as JSON, once a request asked for it.
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
            overview: None,
        }
    }

    /// All repos at a glance. Who follows the changes, and asks because of the one with this number,
    /// shares the overview of the others that do: while the queue moves, each is read only once.
    pub fn overview(
        &mut self,
        now: Timestamp,
        change: Option<u64>,
    ) -> Result<Arc<Overview>, Error> {
        let kept = self.overview.as_ref().filter(|kept| {
            let is_followed = change.is_some_and(|change| change > 0 && change <= kept.change);
            is_followed && kept.at.elapsed() < GOOD_FOR
        });
        if let Some(kept) = kept {
            return Ok(Arc::clone(&kept.overview));
        }
        // Read before the overview, so that a change after it is not missed.
        let change = *self.followers.borrow();
        let overview = Arc::new(self.queue.overview(now)?);
        self.overview = Some(LatestOverview {
            at: Instant::now(),
            change,
            overview: Arc::clone(&overview),
        });
        Ok(overview)
    }

    /// The state of the queue, with every repo that has an active task.
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

    /// The latest state as JSON, if it was kept.
    pub fn written(&self) -> Option<Bytes> {
        self.latest.as_ref()?.written.clone()
    }

    /// Keeps the JSON for the next requests.
    pub fn write(&mut self, written: Bytes) -> Bytes {
        if let Some(latest) = &mut self.latest {
            latest.written = Some(written.clone());
        }
        written
    }

    /// A counter that grows with each change from now on.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.followers.subscribe()
    }
}

impl Actor for Reader {
    fn idle(&mut self) -> Duration {
        self.queue.store().let_go_of_moved_files();
        // It may be large, and is out of date.
        self.latest
            .take_if(|latest| latest.at.elapsed() >= GOOD_FOR);
        self.overview.take_if(|kept| kept.at.elapsed() >= GOOD_FOR);
        if self.followers.receiver_count() == 0 {
            return IDLE;
        }
        // If the database cannot be read, the followers could not read it either.
        if let Ok(version) = self.queue.data_version()
            && self.told.look(Some(version))
        {
            self.followers.send_modify(|count| *count += 1);
        }
        POLL
    }
}
