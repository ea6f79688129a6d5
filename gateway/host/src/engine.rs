//! The engine: what WebAssembly is compiled at all, and the pool in which instances live. Owns wasmtime's configuration.

use crate::fault::{Fault, Kind};
use crate::limits::{INSTANCES, Limits, MEMORIES, TABLES};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// What stays resident of a memory that is given back, so that the next instance need not fault it in.
const KEPT_RESIDENT: usize = 64 << 10;

/// An engine for these limits.
pub(crate) fn engine(limits: &Limits) -> Result<Engine, Fault> {
    let mut config = Config::new();
    // Threads and garbage collection are not built in. One plugin, one small memory.
    config.wasm_memory64(false).wasm_multi_memory(false).wasm_relaxed_simd(false);
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(limits.stack_bytes);
    // The same numbers on every machine.
    config.cranelift_nan_canonicalization(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    Engine::new(&config).map_err(|error| Fault::new(Kind::Host, format!("plugins cannot be run here: {error:#}")))
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits.at_once)
        .total_core_instances(limits.at_once * INSTANCES)
        .total_memories(limits.at_once * MEMORIES)
        .total_tables(limits.at_once * TABLES)
        .max_core_instances_per_component(INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        .linear_memory_keep_resident(KEPT_RESIDENT.min(limits.memory_bytes));
    pool
}
