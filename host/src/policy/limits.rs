//! What a policy may use.
//!
//! Owns the numbers, and the meter that enforces the memory limit while a call runs and keeps what
//! a policy says to nobody.

use std::time::Duration;

use wasmtime::{Engine, ResourceLimiter, Store};

use super::texts::{LETTERS, fit};
use crate::printable::is_invisible;

/// The limits of one call. The defaults are those of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For `describe` and `claim-clause`; 50 ms.
    pub clause_time: Duration,
    /// For `decide`; 1 s.
    pub decide_time: Duration,
    /// For the linear memories of an instance together, in bytes; 64 MiB.
    pub memory: usize,
    /// For the strings and lists of an answer, in bytes; 16 MiB.
    pub result: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            clause_time: Duration::from_millis(50),
            decide_time: Duration::from_secs(1),
            memory: 64 << 20,
            result: 16 << 20,
        }
    }
}

impl Limits {
    /// A store that enforces these limits, but for the time, which is counted from the call.
    pub(super) fn store(&self, engine: &Engine) -> Store<Meter> {
        let meter = Meter {
            memory_limit: self.memory,
            memory_used: 0,
            memory_refused: false,
            result: self.result,
            said: Vec::new(),
            handles: HANDLES,
        };
        let mut store = Store::new(engine, meter);
        store.limiter(|meter| meter);
        store.set_hostcall_fuel(self.result);
        store
    }
}

/// What one instance has used, whether it asked for more than it may have, and what it said.
pub struct Meter {
    memory_limit: usize,
    memory_used: usize,
    memory_refused: bool,
    result: usize,
    said: Vec<u8>,
    handles: usize,
}

/// How often a policy may ask for its standard error, which takes room in the host.
const HANDLES: usize = 1_000;

/// What is kept of a policy's standard error: enough for a panic's message.
const SAID: usize = 1 << 10;

/// A table entry is a pointer in the host, so tables are memory too: 10,000 are more than any
/// compiler emits for a policy.
const TABLE_ENTRIES: usize = 10_000;

impl Meter {
    /// The memory limit, if the instance ran into it.
    pub(super) fn refused_memory(&self) -> Option<usize> {
        self.memory_refused.then_some(self.memory_limit)
    }

    /// Whether there may be one handle more.
    pub(super) fn take_handle(&mut self) -> bool {
        let left = self.handles.checked_sub(1);
        self.handles = left.unwrap_or(0);
        left.is_some()
    }

    /// Keeps what the policy wrote to its standard error, up to a limit.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let room = SAID.saturating_sub(self.said.len());
        self.said.extend(bytes.iter().take(room));
    }

    /// What the policy wrote to its standard error, on one line and without control characters.
    pub(super) fn said(&self) -> Option<String> {
        let said = String::from_utf8_lossy(&self.said);
        let mut line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        line.retain(|letter| !is_invisible(letter));
        (!line.is_empty()).then(|| fit(&line, LETTERS))
    }

    /// The limit for the answer's size, in bytes.
    pub(super) fn result_limit(&self) -> usize {
        self.result
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self
            .memory_used
            .saturating_add(desired.saturating_sub(current));
        if used > self.memory_limit {
            self.memory_refused = true;
            return Ok(false);
        }
        self.memory_used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ENTRIES)
    }
}
