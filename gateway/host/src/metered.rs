//! Fuel: how many instructions a window takes. Where times differ from run to run, this does not, so tests of plugins can hold
//! on to it. Owns an engine that counts, which costs each call up to a quarter of its time and so is none of those that serve.

use crate::cell::Cell;
use crate::convert;
use crate::fault::{Fault, Kind, told};
use crate::input::Input;
use crate::limits::{Bounds, Limits};
use crate::plugin::weigh;
use crate::reach::Outside;
use crate::ready::Ready;
use crate::world::World;
use std::fmt;
use std::sync::Arc;
use wasmtime::component::Component;
use wasmtime::{Config, Engine, Store};

/// The fuel of a window: some ten seconds of it. What needs more is ended, since nothing else ends it here.
const MOST: u64 = 20_000_000_000;

/// A component whose instructions are counted.
pub struct Metered {
    engine: Engine,
    ready: Ready,
    limits: Arc<Limits>,
}

impl Metered {
    /// Compiles a component that a host has loaded, of which the world is known.
    ///
    /// # Errors
    /// It is of no world that has windows, or cannot be compiled here.
    pub fn load(bytes: &[u8], world: World, bounds: Bounds) -> Result<Self, Fault> {
        if world.is_warm() {
            return Err(Fault::new(Kind::WrongWorld, "fuel is counted of windows only"));
        }
        let all = Limits::default();
        // What is compiled here takes this process's time.
        weigh(bytes, all.component_bytes)?;
        let all = all.with_room_for(&[bounds]);
        let limits = all.of(world, bounds).map_err(|says| Fault::new(Kind::TooLarge, says))?;
        let mut config = Config::new();
        // As of those that serve, so that the same instructions are counted.
        config.wasm_memory64(false).wasm_multi_memory(false).wasm_relaxed_simd(false);
        config.wasm_component_model(true);
        config.max_wasm_stack(limits.stack_bytes);
        config.cranelift_nan_canonicalization(true);
        config.consume_fuel(true);
        let failed = |error: wasmtime::Error| Fault::new(Kind::Host, format!("its fuel cannot be counted: {error:#}"));
        let engine = Engine::new(&config).map_err(failed)?;
        let component = Component::from_binary(&engine, bytes).map_err(failed)?;
        let ready = Ready::link(world, bounds.wasi, &engine, &component).map_err(failed)?;
        Ok(Self { engine, ready, limits: Arc::new(limits) })
    }

    /// The fuel that an instance takes from its start to its answer.
    ///
    /// # Errors
    /// It gives none, or takes too much.
    pub fn fuel(&self, config: &str, input: &Input) -> Result<u64, Fault> {
        let cell = Cell::new("metered".into(), Outside::default(), Arc::clone(&self.limits));
        let mut store = Store::new(&self.engine, cell);
        store.limiter(|cell| cell);
        store.set_hostcall_fuel(self.limits.copied_bytes);
        let failed = |error: wasmtime::Error| Fault::new(Kind::Host, format!("its fuel cannot be counted: {error:#}"));
        store.set_fuel(MOST).map_err(failed)?;
        let answer = self.ready.evaluate(&mut store, config, input);
        let answer = answer.map_err(|error| told(&error, store.data(), "its call"))?;
        answer.map_err(convert::refused)?;
        Ok(MOST.saturating_sub(store.get_fuel().map_err(failed)?))
    }
}

impl fmt::Debug for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered").finish_non_exhaustive()
    }
}
