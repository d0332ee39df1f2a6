//! What a policy may use.
//!
//! Owns the numbers, and the meter of one call: it enforces the memory limit, and keeps what the
//! policy writes to its standard error. Leaves the time to `ticker`, and the count of failures to
//! the gate.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::{Engine, ResourceLimiter, Store};

use super::texts::{LETTERS, fit};
use crate::printable::is_invisible;

/// What a policy may use in a call, and how often it may fail. The defaults are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Allowance {
    /// For `describe` and `claim-clause`, in milliseconds; 50.
    pub clause_ms: u64,
    /// For `decide`, in milliseconds; 1,000.
    pub decide_ms: u64,
    /// For the linear memories of a call together, in MiB; 64.
    pub memory_mib: u32,
    /// For the strings and lists of an answer, in MiB; 16.
    pub result_mib: u32,
    /// How often it may fail before the previous generation becomes active again; 3. With 0, any
    /// number of times.
    pub failures: u32,
    /// The minutes in which these failures count together; 10.
    pub failures_within_minutes: u32,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance {
            clause_ms: 50,
            decide_ms: 1_000,
            memory_mib: 64,
            result_mib: 16,
            failures: 3,
            failures_within_minutes: 10,
        }
    }
}

impl Allowance {
    pub(super) fn clause_time(&self) -> Duration {
        Duration::from_millis(self.clause_ms)
    }

    pub(super) fn decide_time(&self) -> Duration {
        Duration::from_millis(self.decide_ms)
    }

    /// A store that enforces the limits of memory and results.
    pub(super) fn store(&self, engine: &Engine) -> Store<Meter> {
        let meter = Meter {
            memory_left: bytes(self.memory_mib),
            memory_refused: false,
            printed: Vec::new(),
            handles: HANDLES,
        };
        let mut store = Store::new(engine, meter);
        store.limiter(|meter| meter);
        store.set_hostcall_fuel(bytes(self.result_mib));
        store
    }
}

fn bytes(mib: u32) -> usize {
    usize::try_from(u64::from(mib) << 20).unwrap_or(usize::MAX)
}

/// What one instance has used, whether it asked for more than it may have, and what it wrote to its
/// standard error.
pub struct Meter {
    memory_left: usize,
    memory_refused: bool,
    printed: Vec<u8>,
    handles: usize,
}

/// How often a policy may ask for its standard error, which takes room in the host.
const HANDLES: usize = 1_000;

/// What is kept of a policy's standard error: enough for a panic's message.
const PRINTED: usize = 1 << 10;

/// A table entry is a pointer in the host, so tables are memory, too. No compiler emits more than
/// 10,000 for a policy.
const TABLE_ENTRIES: usize = 10_000;

impl Meter {
    /// Whether the instance ran into its memory limit.
    pub(super) fn refused_memory(&self) -> bool {
        self.memory_refused
    }

    /// Whether there may be one more handle.
    pub(super) fn take_handle(&mut self) -> bool {
        let left = self.handles.checked_sub(1);
        self.handles = left.unwrap_or(0);
        left.is_some()
    }

    /// Keeps what the policy wrote to its standard error, up to a limit.
    pub(super) fn keep_printed(&mut self, bytes: &[u8]) {
        let room = PRINTED.saturating_sub(self.printed.len());
        self.printed.extend(bytes.iter().take(room));
    }

    /// What the policy wrote to its standard error, on one line and without control characters.
    pub(super) fn printed(&self) -> Option<String> {
        let printed = String::from_utf8_lossy(&self.printed);
        let mut line = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        line.retain(|letter| !is_invisible(letter));
        (!line.is_empty()).then(|| fit(&line, LETTERS))
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let left = self
            .memory_left
            .checked_sub(desired.saturating_sub(current));
        self.memory_refused |= left.is_none();
        self.memory_left = left.unwrap_or(self.memory_left);
        Ok(left.is_some())
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
