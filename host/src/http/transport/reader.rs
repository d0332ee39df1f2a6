//! The actor that reads: one queue for all requests that change nothing, so none of them delays a
//! claim.
//!
//! Owns the notification of those who follow the events, after a change by any program. Owns also a
//! short-lived copy of the queue's state, because many clients look at once after a change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use jiff::Timestamp;
use serial_gate::queue::{Activity, Changes, Error, Queue, RepoHistory, Span, State};
use tokio::sync::watch;

use super::actor::Actor;
use super::kept::Kept;

/// How often to poll for a change while there are followers.
const POLL: Duration = Duration::from_millis(100);
/// How often to look at the database's files without followers.
const IDLE: Duration = Duration::from_secs(1);
/// How long a state is valid without a change: a clause may depend on the time.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How long it is good what happened in the last day: its buckets are hours, and it may have 100,000
/// jobs.
const PAST: Duration = Duration::from_secs(30);

pub struct Reader {
    pub queue: Queue,
    followers: watch::Sender<u64>,
    /// The changes that the followers know.
    told: Changes,
    /// The changes that the latest state contains.
    read: Changes,
    latest: Option<Latest>,
    /// The pages that were drawn last, each with the number of the last change that it contains.
    pages: Kept<String, (u64, String)>,
    activities: Kept<(Span, Option<String>), Activity>,
    histories: Kept<(Span, String), RepoHistory>,
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
            pages: Kept::new(GOOD_FOR),
            activities: Kept::new(PAST),
            histories: Kept::new(PAST),
        }
    }

    /// A page for somebody who follows the changes, and asks because of the one with this number.
    /// Others who ask for the same page at that time share it: while the queue moves, it is drawn
    /// only once.
    pub fn drawn<E>(
        &mut self,
        key: &str,
        change: Option<u64>,
        draw: impl FnOnce(&mut Reader) -> Result<String, E>,
    ) -> Result<Arc<(u64, String)>, E> {
        let key = key.to_owned();
        let is_new_enough =
            |kept: &Arc<(u64, String)>| change.is_some_and(|change| change > 0 && change <= kept.0);
        if let Some(kept) = self.pages.get(&key).filter(is_new_enough) {
            return Ok(kept);
        }
        // Read before the page, so that a change after it is not missed.
        let change = *self.followers.borrow();
        let page = draw(self)?;
        Ok(self.pages.keep(key, (change, page)))
    }

    /// What ended in a span, in one repo or in all, as it was a short while ago at most.
    pub fn activity(&mut self, span: Span, repo: Option<&str>) -> Result<Arc<Activity>, Error> {
        let key = (span, repo.map(Into::into));
        if let Some(kept) = self.activities.get(&key) {
            return Ok(kept);
        }
        let activity = self.queue.activity(Timestamp::now(), span, repo)?;
        Ok(self.activities.keep(key, activity))
    }

    /// What a repo did in a span, as it was a short while ago at most.
    pub fn repo_history(&mut self, span: Span, repo: &str) -> Result<Arc<RepoHistory>, Error> {
        let key = (span, repo.to_owned());
        if let Some(kept) = self.histories.get(&key) {
            return Ok(kept);
        }
        let history = self.queue.repo_history(Timestamp::now(), span, repo)?;
        Ok(self.histories.keep(key, history))
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
        self.pages.drop_old();
        self.activities.drop_old();
        self.histories.drop_old();
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
