//! All connections: who has a place, and who gives way when places run short.
//!
//! Owns the places, the limit on strangers from one address, and the order in which connections
//! give way: first those that were let in by no token, the oldest first, and then those between two
//! requests. Leaves the deadlines to `peer`. Callers rely on this: a client that holds connections
//! and sends nothing shuts nobody out, and a request that was let in is never cut to make room.

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

/// Connections of strangers from one address.
const STRANGERS: usize = 128;
/// So large a part of them gives way at once, so that not each arrival looks at all.
const PART: usize = 32;
/// How often it is said that connections give way.
const SAID: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    reason: &'static str,
}

/// The connections.
pub struct Connections {
    limits: Limits,
    /// Addresses that ask for many.
    proxies: Vec<IpAddr>,
    all: Mutex<All>,
    one_ended: Notify,
    ended: Family<Ended, Counter>,
}

#[derive(Default)]
struct All {
    peers: HashMap<u64, Arc<Peer>>,
    of_network: HashMap<IpAddr, usize>,
    /// How many are there still, although they are to end.
    ending: usize,
    next: u64,
    said: Option<Instant>,
}

/// Nobody gave way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many connections from your address wait for an answer without a token: end some, or send a token"
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
        // Each change of it is whole.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more connection can be taken.
    pub async fn room(&self) {
        while self.is_over_full() {
            self.one_ended.notified().await;
        }
    }

    /// Whether not even a spare place is free. Then some connections give way.
    fn is_over_full(&self) -> bool {
        let mut all = self.all();
        let is_full = all.peers.len() >= self.limits.places + self.limits.spare;
        if is_full && all.ending == 0 {
            self.make_room(&mut all);
        }
        is_full
    }

    /// Takes a connection, for which others may have to give way.
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

    /// Ends the connections whose time is over. Those that do not read have less of it while
    /// answers take much memory.
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

    /// Has some connections give way, because the system has no file left.
    pub fn give_way(&self) {
        self.make_room(&mut self.all());
    }

    /// What is known of them, for the figures.
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
                    "all {} connections are in use: further ones are only told whether the service lives",
                    self.limits.places
                ),
                _ => tracing::warn!(
                    "all {} connections are taken: the oldest that are not in use are closed",
                    self.limits.places
                ),
            }
        }
    }

    /// Ends so many of them that may go, the oldest strangers first, and says how many.
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
    /// Whether this connection has a place; it takes a free one.
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
