//! The contract of `wit/` as Rust: typed bindings, a module a world. Owns nothing else: `convert` makes plain types of these,
//! `imports` fills what they ask of the host. Types and imports are generated once, with the evaluators' world that asks for
//! most; filters have types of their own, which borrow what they are given, so that a call copies each text once.

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

/// The worlds of filters as one: which of its exports a component has is seen when it is loaded. Drift is in it for its words
/// alone: what borrows must have a use for every type of an interface.
pub(crate) mod filters {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package tidegate:host;
            world filters {
                include tidegate:plugin/filter-plugin@0.1.0;
                include tidegate:plugin/guardrail-plugin@0.1.0;
                include tidegate:plugin/router-plugin@0.1.0;
                include tidegate:plugin/drift-plugin@0.1.0;
            }
        ",
        world: "tidegate:host/filters",
        ownership: Borrowing { duplicate_if_necessary: true },
        imports: { default: trappable },
        with: {
            "tidegate:plugin/log@0.1.0": super::rag::tidegate::plugin::log,
            "tidegate:plugin/metrics@0.1.0": super::rag::tidegate::plugin::metrics,
            "tidegate:plugin/clock@0.1.0": super::rag::tidegate::plugin::clock,
            "tidegate:plugin/random@0.1.0": super::rag::tidegate::plugin::random,
            "tidegate:plugin/registry@0.1.0": super::rag::tidegate::plugin::registry,
            "tidegate:plugin/models@0.1.0": super::rag::tidegate::plugin::models,
            "tidegate:plugin/http-out@0.1.0": super::rag::tidegate::plugin::http_out,
        },
    });
}
