//! How wasmtime runs policies.
//!
//! Owns its configuration and the sizes of its pool. Every call gets a fresh instance. From the
//! pool it gets one in a fraction of the time, because the pages of the last call are cleared and
//! not given back. The pool reserves addresses, and no memory until a policy writes to it. Callers
//! rely on this: the pool has room for every memory that an [`Allowance`](super::Allowance) could
//! name.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The memories of all calls at a time: at 4 GiB of addresses each, 1 TiB. A call waits until one
/// is free.
const MEMORIES: u32 = 256;

/// The memories, tables and instances of one policy. Compilers give it one memory, up to three
/// tables and a few instances. A policy that needs more than the pool has would wait for ever.
const MEMORIES_OF_A_POLICY: u32 = 16;
const TABLES_OF_A_POLICY: u32 = 64;
const INSTANCES_OF_A_POLICY: u32 = 64;

/// As large as a memory of WebAssembly gets.
const LARGEST: u64 = 4 << 30;

/// How much of what a call wrote to is cleared in place: enough for `decide` over 30,000 jobs,
/// which takes a fifth to a third longer otherwise. The process keeps this much for each call that
/// runs at the same time.
const KEPT: usize = 8 << 20;

/// What a policy's own parts may take in the host. They grow with the component, and are few.
const INSTANCE: usize = 16 << 20;

/// How policies are compiled, the same in every process.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // The same answer on every machine: no NaN bits that depend on the processor.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Nobody reads a policy's backtrace, and a command would have to load what describes it.
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        // A call is one function at a time, and its store needs nothing for more.
        .concurrency_support(false);
    config
}

/// An engine that takes memory from a pool, or from the system where there is no room for a pool.
pub(super) fn start() -> wasmtime::Result<Engine> {
    let mut config = config();
    Engine::new(config.allocation_strategy(pool())).or_else(|cause| {
        tracing::info!(
            "each call of a policy takes longer, there is no room for a pool: {cause:#}"
        );
        Engine::new(config.allocation_strategy(InstanceAllocationStrategy::OnDemand))
    })
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_memories(MEMORIES)
        .max_memories_per_component(MEMORIES_OF_A_POLICY)
        .max_memories_per_module(MEMORIES_OF_A_POLICY)
        .total_tables(MEMORIES * 4)
        .max_tables_per_component(TABLES_OF_A_POLICY)
        .max_tables_per_module(TABLES_OF_A_POLICY)
        .total_core_instances(MEMORIES * 8)
        .max_core_instances_per_component(INSTANCES_OF_A_POLICY)
        .max_memory_size(usize::try_from(LARGEST).unwrap_or(usize::MAX))
        .max_core_instance_size(INSTANCE)
        .max_component_instance_size(INSTANCE)
        .linear_memory_keep_resident(KEPT)
        .table_keep_resident(KEPT)
        // Only what a call wrote to is cleared, where the system can tell.
        .pagemap_scan(Enabled::Auto);
    pool
}
