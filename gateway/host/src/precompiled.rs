//! Compiled code made a component again, the one place where code is trusted. Owns that step; whence code may come is its
//! callers' promise: this process, its own child, or a file of `cache` whose keyed digest was right.
#![expect(unsafe_code, reason = "wasmtime cannot prove that code which it runs was made by it")]

use wasmtime::Engine;
use wasmtime::component::Component;

/// A component of code that [`compile`](crate::plugin::compile) made, here or in a child process.
pub(crate) fn component(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` wants bytes that wasmtime's compiler gave, unchanged. They come from `precompile_component`, called
    // in this process or in a child that is this program, over a pipe that nobody else has; or from a file that the cache
    // wrote after one of these and whose keyed digest, by a key that plugins and callers do not have, was compared over the very
    // bytes that are handed over here. Users' code never arrives: `weigh` lets only components in, which are compiled.
    // That engine and code fit (version, target, settings) is checked by wasmtime itself.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;
    use crate::limits::{FilterLimits, Limits};

    #[test]
    fn code_runs_in_another_engine_of_the_same_settings_only() {
        let limits =
            Limits { at_once: 1, filters: FilterLimits { at_once: 1, ..FilterLimits::default() }, ..Limits::default() };
        let code = crate::plugin::compile(&engine::compiling(&limits).unwrap(), b"\0asm\x0d\0\x01\0").unwrap();
        assert!(component(&engine::engine(&limits).unwrap(), &code).is_ok());
        assert!(component(&Engine::default(), &code).is_err(), "other settings");
        assert!(component(&Engine::default(), b"").is_err() && component(&Engine::default(), b"\x7fELF").is_err());
    }
}
