//! All connections: which has a place, and which is ended when places run short.
//!
//! Owns the places, the limit on strangers (connections without an admitted request) from one
//! address, and the order in which connections are ended: strangers first, the oldest first, and
//! then those between two requests. Leaves the deadlines to `peer`. Callers rely on this: idle
//! connections of one client shut no other client out, and an admitted request is never cut off to
//! make room.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

use super::client::network;
use super::limits::Limits;
use super::peer::{Peer, Why};

/// Strangers from one address.
const STRANGERS: usize = 128;
/// One in this many places is freed at once, so that not every arrival has to search.
const PART: usize = 32;
/// How often a shortage of places is logged.
const SAID: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    reason: &'static str,
}

/// The connections.
pub struct Connections {
    limits: Limits,
    /// These may have any number of strangers.
    proxies: Vec<IpAddr>,
    all: Mutex<All>,
    one_ended: Notify,
    ended: Family<Ended, Counter>,
}

#[derive(Default)]
struct All {
    peers: HashMap<u64, Arc<Peer>>,
    of_network: HashMap<IpAddr, usize>,
    /// How many have been asked to end, but are still open.
    ending: usize,
    next: u64,
    said: Option<Instant>,
}

/// No connection could be ended for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many connections from your address wait for an answer without a token: end some, or send \
     a token"
)]
pub struct Full;

/// A connection's place, until it is dropped.
pub struct Entry {
    pub peer: Arc<Peer>,
    connections: Arc<Connections>,
}

impl Connections {
    pub fn new(limits: Limits, proxies: Vec<IpAddr>) -> Connections {
        Connections {
            limits,
            proxies: proxies.into_iter().map(network).collect(),
            all: Mutex::default(),
            one_ended: Notify::new(),
            ended: Family::default(),
        }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        // Each change of it is complete, so a panic elsewhere leaves it usable.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more connection can be accepted.
    pub async fn room(&self) {
        while self.is_over_full() {
            self.one_ended.notified().await;
        }
    }

    /// Whether no place is free, not even a spare one. Then some connections are ended.
    fn is_over_full(&self) -> bool {
        let mut all = self.all();
        let is_full = all.peers.len() >= self.limits.places + self.limits.spare;
        if is_full && all.ending == 0 {
            self.make_room(&mut all);
        }
        is_full
    }

    /// Adds a connection, for which others may be ended.
    pub fn add(self: &Arc<Connections>, from: SocketAddr) -> Result<Entry, Full> {
        let network = network(from.ip());
        let mut all = self.all();
        self.check_strangers(&mut all, network)?;
        let is_full = |all: &All| all.peers.len() - all.ending >= self.limits.places;
        if is_full(&all) {
            self.make_room(&mut all);
        }
        let number = all.next;
        all.next += 1;
        let peer = Arc::new(Peer::new(number, from, is_full(&all)));
        all.peers.insert(number, Arc::clone(&peer));
        *all.of_network.entry(network).or_default() += 1;
        Ok(Entry {
            peer,
            connections: Arc::clone(self),
        })
    }

    fn has_place(&self, peer: &Peer) -> bool {
        if peer.is_spare() {
            let all = self.all();
            let taken = all.peers.values().filter(|peer| !peer.is_spare()).count();
            if taken >= self.limits.places {
                return false;
            }
            peer.give_place();
        }
        true
    }

    /// Ends overdue connections. Under memory pressure, those that do not read have less time.
    pub fn sweep(&self, is_pressed: bool) {
        let now = Instant::now();
        let mut all = self.all();
        let overdue: Vec<(Arc<Peer>, Why)> = all
            .peers
            .values()
            .filter_map(|peer| Some((Arc::clone(peer), peer.overdue(now, is_pressed)?)))
            .collect();
        for (peer, why) in overdue {
            self.end(&mut all, &peer, why);
        }
    }

    /// Ends some connections, because the process has no file descriptor left.
    pub fn give_way(&self) {
        self.make_room(&mut self.all());
    }

    pub fn register(&self, registry: &mut Registry) {
        let open = Gauge::<i64>::default();
        open.set(super::counters::amount(self.all().peers.len()));
        registry.register("connections", "Connections that are open", open);
        registry.register(
            "connections_ended",
            "Connections that the service ended, by reason",
            self.ended.clone(),
        );
    }

    fn check_strangers(&self, all: &mut All, network: IpAddr) -> Result<(), Full> {
        let is_exempt = network.is_loopback() || self.proxies.contains(&network);
        let taken = all.of_network.get(&network).copied().unwrap_or(0);
        if is_exempt || taken < STRANGERS {
            return Ok(());
        }
        let strangers: Vec<Arc<Peer>> = all
            .peers
            .values()
            .filter(|peer| peer.network == network && !peer.is_known() && !peer.is_ending())
            .cloned()
            .collect();
        if strangers.len() < STRANGERS {
            return Ok(());
        }
        let why = Why::ManyFromAddress;
        match self.end_oldest(all, strangers, STRANGERS / PART, why) {
            0 => Err(Full),
            _ => Ok(()),
        }
    }

    fn make_room(&self, all: &mut All) {
        let peers = all.peers.values().cloned().collect();
        let part = (self.limits.places / PART).max(1);
        let ended = self.end_oldest(all, peers, part, Why::NoPlaces);
        let now = Instant::now();
        let is_news = all
            .said
            .is_none_or(|said| now.saturating_duration_since(said) >= SAID);
        if is_news {
            all.said = Some(now);
            match ended {
                0 => tracing::warn!(
                    "all {} connections are in use: further ones may only ask whether the service \
                     lives",
                    self.limits.places
                ),
                _ => tracing::warn!(
                    "all {} connections are taken: the oldest unused ones are closed",
                    self.limits.places
                ),
            }
        }
    }

    /// Ends up to `most` peers, the oldest strangers first, and returns how many.
    fn end_oldest(&self, all: &mut All, peers: Vec<Arc<Peer>>, most: usize, why: Why) -> usize {
        let mut may_go: Vec<_> = peers
            .into_iter()
            .filter_map(|peer| Some((peer.may_go()?, peer.number, peer)))
            .collect();
        may_go.sort_unstable_by_key(|(order, number, _)| (*order, *number));
        let chosen = may_go.into_iter().take(most);
        chosen.map(|(_, _, peer)| self.end(all, &peer, why)).count()
    }

    fn end(&self, all: &mut All, peer: &Peer, why: Why) {
        if peer.ask_to_end(why) {
            all.ending += 1;
            self.ended
                .get_or_create(&Ended { reason: why.name() })
                .inc();
        }
    }
}

impl Entry {
    /// Whether this connection has a place. Takes a free one if it has none.
    pub fn has_place(&self) -> bool {
        self.connections.has_place(&self.peer)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut all = self.connections.all();
        all.peers.remove(&self.peer.number);
        if self.peer.is_ending() {
            all.ending = all.ending.saturating_sub(1);
        }
        if let Some(count) = all.of_network.get_mut(&self.peer.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                all.of_network.remove(&self.peer.network);
            }
        }
        drop(all);
        self.connections.one_ended.notify_one();
    }
}
