//! The engine: what WebAssembly is compiled at all, and the pool in which instances live. Owns wasmtime's configuration, which
//! is the same where code is compiled and where it runs, but for the pool.

use crate::fault::{Fault, Kind};
use crate::limits::Limits;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// What stays resident of a memory that is given back, and of its tables, so that the next instance need not fault it in.
const KEPT_RESIDENT: usize = 128 << 10;
const KEPT_TABLES: usize = 16 << 10;

/// How many instances of the largest components the pool has room for, where these are larger than most: each place of each
/// would be too much address space.
const LARGE: u32 = 64;

/// An engine for these limits.
pub(crate) fn engine(limits: &Limits) -> Result<Engine, Fault> {
    let mut config = config(limits);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    made(&config)
}

/// An engine that only compiles, for such an engine: it reserves no memory.
pub(crate) fn compiling(limits: &Limits) -> Result<Engine, Fault> {
    made(&config(limits))
}

fn made(config: &Config) -> Result<Engine, Fault> {
    Engine::new(config).map_err(|error| Fault::new(Kind::Host, format!("plugins cannot be run here: {error:#}")))
}

fn config(limits: &Limits) -> Config {
    let mut config = Config::new();
    // Threads and garbage collection are not built in. One plugin, one small memory.
    config.wasm_memory64(false).wasm_multi_memory(false).wasm_relaxed_simd(false);
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(limits.stack_bytes);
    // The same numbers on every machine.
    config.cranelift_nan_canonicalization(true);
    // What only a debugger asks for would be a third of the code that each start reads, checks and maps.
    config.generate_address_map(false).native_unwind_info(false);
    // A tenth less code, at no cost that a filter or a window shows.
    config.cranelift_opt_level(OptLevel::SpeedAndSize);
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    let places = limits.at_once.saturating_add(limits.filters.at_once);
    let usual = Limits { modules: limits.modules.min(Limits::default().modules), ..limits.clone() };
    let total = |usual: u32, most: u32| {
        let more = most.saturating_sub(usual).saturating_mul(places.min(LARGE));
        places.saturating_mul(usual).saturating_add(more)
    };
    pool.total_component_instances(places)
        .total_core_instances(total(usual.modules, limits.modules))
        // Most have one memory, and each takes address space.
        .total_memories(places.saturating_add(limits.at_once))
        .total_tables(total(usual.tables(), limits.tables()))
        .max_core_instances_per_component(limits.modules)
        .max_memories_per_component(limits.memories())
        .max_tables_per_component(limits.tables())
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        .linear_memory_keep_resident(KEPT_RESIDENT.min(limits.memory_bytes))
        .table_keep_resident(KEPT_TABLES)
        // Where the kernel tells which pages were touched (Linux 6.7), those are cleared, wherever they lie: a guest's stack,
        // data and heap are far apart, and without it only the lowest addresses stay, which no guest of Rust's touches.
        .pagemap_scan(Enabled::Auto);
    pool
}
