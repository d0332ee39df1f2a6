//! The memory that policies run in, kept ready for the next call.
//!
//! Owns the sizes of wasmtime's pool. Every call gets a fresh instance; from the pool it gets one
//! in a fraction of the time, because the pages of the last call are cleared and not given back.
//! What is reserved are addresses, and no memory until a policy writes to it. Callers rely on this:
//! the pool refuses no memory that [`Limits`](super::Limits) could allow.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How many memories there are for all calls at a time: at 4 GiB of addresses each, 1 TiB. A call
/// for which none is left waits.
const MEMORIES: u32 = 256;

/// How many memories, tables and instances one policy may have. Compilers give it one memory, up to
/// three tables and a handful of instances. One that wanted more than the pool has would wait for
/// ever.
const MEMORIES_OF_A_POLICY: u32 = 16;
const TABLES_OF_A_POLICY: u32 = 64;
const INSTANCES_OF_A_POLICY: u32 = 64;

/// As large as a memory of WebAssembly gets.
const LARGEST: u64 = 4 << 30;

/// How much of what a call wrote to is cleared where it is, and not given back: enough for `decide`
/// over 30,000 jobs, which takes a fifth to a third longer otherwise. So much stays with the
/// process for each call that runs at a time.
const KEPT: usize = 8 << 20;

/// What a policy's own parts may take in the host. They grow with the component, and are few.
const INSTANCE: usize = 16 << 20;

/// An engine that takes memory from a pool, or from the system where there is no room for a pool.
pub(super) fn engine(config: &mut Config) -> wasmtime::Result<Engine> {
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
