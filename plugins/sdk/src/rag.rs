//! The world `rag-plugin`. All items of [`bindings`] are generated from `wit/`.

/// What the contract generates.
#[expect(missing_docs, reason = "generated from the contract, which documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "rag-plugin",
        pub_export_macro: true,
        default_bindings_module: "tidegate_plugin_sdk::rag::bindings",
        runtime_path: "tidegate_plugin_sdk::wit_bindgen::rt",
    });
}

pub use bindings::export;
pub use bindings::exports::tidegate::plugin::lifecycle::{Guest as LifecycleGuest, PluginInfo};
pub use bindings::exports::tidegate::plugin::rag::{Guest, Passage, Sample};
pub use bindings::tidegate::plugin::types::{Error, HostError, Measurement, Report, Severity};
pub use bindings::tidegate::plugin::{log, models};
