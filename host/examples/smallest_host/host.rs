//! A policy in wasmtime, its clause behind the guard, and the claim.

use rusqlite::{Connection, OptionalExtension};
use serial_gate_clause::{Clause as Guarded, Dialect as For, Refusal, Rendered};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder};

mod contract {
    #![allow(clippy::all, missing_docs, reason = "generated from the contract")]
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "generated"
    )]
    wasmtime::component::bindgen!({ path: "wit", world: "policy" });
}
pub use contract::exports::serial_gate::policy::serial_gate::{
    Clause, Decision, Dialect, Freezes, Jobs, PolicyError, Settings, Snapshot, Symbols, Tasks,
    Verdict,
};
use contract::{Policy, PolicyPre};

/// A policy, ready to be asked.
pub struct Host {
    engine: Engine,
    policy: PolicyPre<StoreLimits>,
}

impl Host {
    /// Compiles a policy.
    pub fn new(component: &[u8]) -> wasmtime::Result<Host> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, component)?;
        // A portable policy imports nothing.
        let policy = PolicyPre::new(Linker::new(&engine).instantiate_pre(&component)?)?;
        Ok(Host { engine, policy })
    }

    /// A fresh instance for one call, with limits of time and memory.
    fn fresh(&self, fuel: u64) -> wasmtime::Result<(Store<StoreLimits>, Policy)> {
        let limits = StoreLimitsBuilder::new().memory_size(64 << 20).build();
        let mut store = Store::new(&self.engine, limits);
        store.limiter(|limits| limits);
        store.set_fuel(fuel)?;
        let policy = self.policy.instantiate(&mut store)?;
        Ok((store, policy))
    }

    /// The rule as a condition: untrusted text, which only [`guarded`] may turn into SQL.
    pub fn claim_clause(
        &self,
        settings: &Settings,
        now: i64,
    ) -> wasmtime::Result<Result<Clause, PolicyError>> {
        let (mut store, policy) = self.fresh(500_000_000)?;
        let gate = policy.serial_gate_policy_serial_gate();
        gate.call_claim_clause(&mut store, settings, now, Dialect::Sqlite)
    }

    /// A verdict for each queued job.
    pub fn decide(
        &self,
        settings: &Settings,
        now: i64,
        state: &Snapshot,
    ) -> wasmtime::Result<Result<Vec<Decision>, PolicyError>> {
        let (mut store, policy) = self.fresh(5_000_000_000)?;
        let gate = policy.serial_gate_policy_serial_gate();
        gate.call_decide(&mut store, settings, now, state)
    }
}

/// What may run instead of a policy's clause.
pub fn guarded(clause: &str) -> Result<Rendered, Refusal> {
    Ok(Guarded::accept(clause)?.render(For::Sqlite))
}

/// Gives the first job that may be claimed away. It asks the clause in the same statement.
pub fn claim(queue: &Connection, clause: &Rendered) -> rusqlite::Result<Option<i64>> {
    let first =
        format!("SELECT id FROM jobs WHERE status = 'queued' AND {clause} ORDER BY id LIMIT 1");
    let claim = format!("UPDATE jobs SET status = 'running' WHERE id = ({first}) RETURNING id");
    queue.query_row(&claim, [], |row| row.get(0)).optional()
}
