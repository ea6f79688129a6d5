//! The contract of `wit/` as Rust: typed bindings, a module a world. Owns nothing else: `convert` makes plain types of these,
//! `imports` fills what they ask of the host. Types and imports are generated once, with the world that asks for most.

/// The world `rag-plugin`, with the imports of all worlds here.
pub(crate) mod rag {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "tidegate:plugin/rag-plugin",
        imports: { default: trappable },
    });
}

/// The world `drift-plugin`.
pub(crate) mod drift {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "tidegate:plugin/drift-plugin",
        imports: { default: trappable },
        with: {
            "tidegate:plugin/types@0.1.0": super::rag::tidegate::plugin::types,
            "tidegate:plugin/log@0.1.0": super::rag::tidegate::plugin::log,
            "tidegate:plugin/metrics@0.1.0": super::rag::tidegate::plugin::metrics,
            "tidegate:plugin/clock@0.1.0": super::rag::tidegate::plugin::clock,
            "tidegate:plugin/random@0.1.0": super::rag::tidegate::plugin::random,
            "tidegate:plugin/registry@0.1.0": super::rag::tidegate::plugin::registry,
        },
    });
}

/// The world `fairness-plugin`.
pub(crate) mod fairness {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "tidegate:plugin/fairness-plugin",
        imports: { default: trappable },
        with: {
            "tidegate:plugin/types@0.1.0": super::rag::tidegate::plugin::types,
            "tidegate:plugin/log@0.1.0": super::rag::tidegate::plugin::log,
            "tidegate:plugin/metrics@0.1.0": super::rag::tidegate::plugin::metrics,
            "tidegate:plugin/clock@0.1.0": super::rag::tidegate::plugin::clock,
            "tidegate:plugin/random@0.1.0": super::rag::tidegate::plugin::random,
            "tidegate:plugin/registry@0.1.0": super::rag::tidegate::plugin::registry,
        },
    });
}

/// The world `validator-plugin`.
pub(crate) mod validator {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "tidegate:plugin/validator-plugin",
        imports: { default: trappable },
        with: {
            "tidegate:plugin/types@0.1.0": super::rag::tidegate::plugin::types,
            "tidegate:plugin/log@0.1.0": super::rag::tidegate::plugin::log,
            "tidegate:plugin/metrics@0.1.0": super::rag::tidegate::plugin::metrics,
            "tidegate:plugin/clock@0.1.0": super::rag::tidegate::plugin::clock,
            "tidegate:plugin/random@0.1.0": super::rag::tidegate::plugin::random,
            "tidegate:plugin/registry@0.1.0": super::rag::tidegate::plugin::registry,
        },
    });
}
