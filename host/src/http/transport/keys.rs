//! The actor that reads access tokens, so that no thread that serves connections waits for the
//! database.
//!
//! Owns a connection for the tokens' rows, and notifies waiting requests when their token is
//! revoked. Leaves the format of a token to `secret`. Callers rely on this: the row is read for
//! each request, so a revoked token is refused from the next request on; requests that already wait
//! are notified within a second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serial_gate::queue::Changes;
use serial_gate::store::{AccessToken, Error, Store};
use tokio::sync::watch;

use super::actor::Actor;

/// How often to look for revoked tokens while a request waits.
const POLL: Duration = Duration::from_millis(250);
/// How often to look at the database's files while no request waits.
const IDLE: Duration = Duration::from_secs(1);

/// The token that admitted a caller. `None` while callers need no token.
pub type Key = Option<Token>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Token {
    pub id: i64,
    /// After a restore, the same number may be another token.
    pub hash: Arc<[u8]>,
}

pub struct Keys {
    store: Store,
    /// The tokens of waiting requests, and whether they were revoked.
    watched: HashMap<Key, watch::Sender<bool>>,
    changes: Changes,
    looked: Instant,
}

impl Keys {
    pub fn new(store: Store) -> Keys {
        Keys {
            store,
            watched: HashMap::new(),
            changes: Changes::new(Duration::MAX),
            looked: Instant::now(),
        }
    }

    /// A valid token, by its number.
    pub fn token(&mut self, id: i64) -> Result<Option<AccessToken>, Error> {
        self.store.access_token(id)
    }

    /// Whether there ever was a token.
    pub fn had_tokens(&mut self) -> Result<bool, Error> {
        self.store.had_access_tokens()
    }

    /// Checks that the database's files are in place.
    pub fn check_files(&mut self) -> Result<(), Error> {
        self.store.check_files()
    }

    /// Becomes true when the key no longer admits a caller.
    pub fn watch(&mut self, key: Key) -> watch::Receiver<bool> {
        // It may have been revoked since it was looked up.
        self.changes.forget();
        let sender = self.watched.entry(key).or_default();
        sender.subscribe()
    }

    fn is_good(&mut self, key: &Key) -> Result<bool, Error> {
        match key {
            None => Ok(!self.store.had_access_tokens()?),
            Some(token) => {
                let kept = self.store.access_token(token.id)?;
                Ok(kept.is_some_and(|kept| kept.hash == *token.hash))
            }
        }
    }

    fn look(&mut self) {
        self.watched
            .retain(|_, revoked| revoked.receiver_count() > 0);
        if self.watched.is_empty() || !self.changes.look(self.store.data_version().ok()) {
            return;
        }
        let keys: Vec<Key> = self.watched.keys().cloned().collect();
        for key in keys {
            match self.is_good(&key) {
                Ok(true) => {}
                Ok(false) => {
                    if let Some(revoked) = self.watched.remove(&key) {
                        revoked.send_replace(true);
                    }
                }
                // Unknown: keep the request, and look again.
                Err(_) => self.changes.forget(),
            }
        }
    }
}

impl Actor for Keys {
    fn idle(&mut self) -> Duration {
        // This also runs after each look-up, which would be too often.
        if self.looked.elapsed() >= POLL {
            self.looked = Instant::now();
            self.store.let_go_of_moved_files();
            self.look();
        }
        if self.watched.is_empty() { IDLE } else { POLL }
    }
}
