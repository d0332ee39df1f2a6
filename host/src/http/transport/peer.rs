//! One connection: what it does, since when, and for how long it may.
//!
//! Owns a client's deadlines: for its first byte, the head of a request, the next request, and the
//! reading of an answer. Leaves the deadline of a body to `body`. Callers rely on this: a
//! connection is ended for one reason, the first that was given.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::client::network;

/// How long a connection may take to send its first byte.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// How long the head of a request may take from its first byte on.
const HEAD: Duration = Duration::from_secs(15);
/// How long a connection may take to begin the next request.
const IDLE: Duration = Duration::from_secs(60);
/// How long a client may read nothing of an answer.
const UNREAD: Duration = Duration::from_secs(30);
/// The same while too many answers wait to be read.
const UNREAD_UNDER_PRESSURE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has sent nothing yet.
    Silent,
    /// The head of a request is on its way.
    Head,
    /// A request's body is on its way.
    Body,
    /// A request is worked on or answered.
    Served,
    /// The last request was answered.
    Idle,
}

/// Why a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    SentNothing,
    SlowHead,
    Idle,
    ReadNothing,
    NoPlaces,
    ManyFromAddress,
}

impl Why {
    /// The label in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Why::SentNothing => "sent_nothing",
            Why::SlowHead => "slow_head",
            Why::Idle => "idle",
            Why::ReadNothing => "read_nothing",
            Why::NoPlaces => "no_places",
            Why::ManyFromAddress => "many_from_address",
        }
    }
}

pub struct Peer {
    /// Its number, in the order of arrival.
    pub number: u64,
    pub address: SocketAddr,
    /// The network of its address.
    pub network: IpAddr,
    state: Mutex<State>,
    end: Notify,
}

struct State {
    phase: Phase,
    since: Instant,
    /// Since when nothing could be written to it.
    blocked: Option<Instant>,
    /// Whether its last request was admitted.
    is_known: bool,
    /// Whether it has only a spare place, and may only ask whether the service lives.
    is_spare: bool,
    ending: Option<Why>,
}

impl Peer {
    pub fn new(number: u64, address: SocketAddr, is_spare: bool) -> Peer {
        let state = State {
            phase: Phase::Silent,
            since: Instant::now(),
            blocked: None,
            is_known: false,
            is_spare,
            ending: None,
        };
        Peer {
            number,
            address,
            network: network(address.ip()),
            state: Mutex::new(state),
            end: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is complete, so a panic elsewhere leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        state.since = Instant::now();
    }

    /// Bytes have arrived.
    pub fn sent(&self) {
        if matches!(self.state().phase, Phase::Silent | Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// Something was written to it.
    pub fn reads(&self) {
        self.state().blocked = None;
    }

    /// Nothing could be written to it.
    pub fn does_not_read(&self) {
        self.state().blocked.get_or_insert_with(Instant::now);
    }

    /// A request's body is awaited.
    pub fn sends_a_body(&self) {
        self.enter(Phase::Body);
    }

    /// A request is worked on.
    pub fn is_served(&self) {
        self.enter(Phase::Served);
    }

    /// A request was answered.
    pub fn is_answered(&self) {
        self.enter(Phase::Idle);
    }

    /// Whether its last request was admitted.
    pub fn set_known(&self, is_known: bool) {
        self.state().is_known = is_known;
    }

    pub fn is_known(&self) -> bool {
        self.state().is_known
    }

    pub fn is_spare(&self) -> bool {
        self.state().is_spare
    }

    pub fn give_place(&self) {
        self.state().is_spare = false;
    }

    /// A sort key, if it may be ended to make room: a stranger that no handler serves, or any
    /// connection between two requests. Strangers come first, then the oldest.
    pub fn may_go(&self) -> Option<(bool, Instant)> {
        let state = self.state();
        let is_worked_for = state.phase == Phase::Served && state.blocked.is_none();
        let may_go = match state.is_known {
            true => state.phase == Phase::Idle,
            false => !is_worked_for,
        };
        (may_go && state.ending.is_none()).then_some((state.is_known, state.since))
    }

    /// The deadline that it has missed, if any.
    pub fn overdue(&self, now: Instant, is_pressed: bool) -> Option<Why> {
        let state = self.state();
        let unread = match is_pressed {
            true => UNREAD_UNDER_PRESSURE,
            false => UNREAD,
        };
        let is_over = |since: Instant, most| now.saturating_duration_since(since) >= most;
        if state.blocked.is_some_and(|since| is_over(since, unread)) {
            return Some(Why::ReadNothing);
        }
        let (most, why) = match state.phase {
            Phase::Silent => (FIRST_BYTE, Why::SentNothing),
            Phase::Head => (HEAD, Why::SlowHead),
            Phase::Idle => (IDLE, Why::Idle),
            Phase::Body | Phase::Served => return None,
        };
        is_over(state.since, most).then_some(why)
    }

    /// Ends it. Returns false if it was asked to end before.
    pub fn ask_to_end(&self, why: Why) -> bool {
        let mut state = self.state();
        let is_first = state.ending.is_none();
        state.ending.get_or_insert(why);
        drop(state);
        self.end.notify_one();
        is_first
    }

    pub fn is_ending(&self) -> bool {
        self.state().ending.is_some()
    }

    /// Waits until it is asked to end.
    pub async fn asked_to_end(&self) {
        self.end.notified().await;
    }
}
