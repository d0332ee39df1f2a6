//! What a policy may use.
//!
//! Owns the numbers and the meter that enforces the memory limit while a call runs.

use std::time::Duration;

use wasmtime::{Engine, ResourceLimiter, Store};

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
        };
        let mut store = Store::new(engine, meter);
        store.limiter(|meter| meter);
        store.set_hostcall_fuel(self.result);
        store
    }
}

/// What one instance has used, and whether it asked for more than it may have.
pub struct Meter {
    memory_limit: usize,
    memory_used: usize,
    memory_refused: bool,
    result: usize,
}

/// A table entry is a pointer in the host, so tables are memory too: 10,000 are more than any
/// compiler emits for a policy.
const TABLE_ENTRIES: usize = 10_000;

impl Meter {
    /// The memory limit, if the instance ran into it.
    pub(super) fn refused_memory(&self) -> Option<usize> {
        self.memory_refused.then_some(self.memory_limit)
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
