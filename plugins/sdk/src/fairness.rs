//! The world `fairness-plugin`. All items of [`bindings`] are generated from `wit/`.

/// What the contract generates.
#[expect(missing_docs, reason = "generated from the contract, which documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "fairness-plugin",
        pub_export_macro: true,
        default_bindings_module: "tidegate_plugin_sdk::fairness::bindings",
        runtime_path: "tidegate_plugin_sdk::wit_bindgen::rt",
    });
}

pub use bindings::export;
pub use bindings::exports::tidegate::plugin::fairness::{Guest, Roles};
pub use bindings::exports::tidegate::plugin::lifecycle::{Guest as LifecycleGuest, PluginInfo};
pub use bindings::tidegate::plugin::types::{
    CategoryColumn, Column, ColumnData, Error, Measurement, Report, Severity, Table, Window,
};
