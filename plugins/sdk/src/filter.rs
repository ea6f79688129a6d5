//! The world `filter-plugin`, of plugins that look at requests and at answers of both forms. All items of [`bindings`] are
//! generated from `wit/`.

/// What the contract generates.
#[expect(missing_docs, reason = "generated from the contract, which documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "filter-plugin",
        pub_export_macro: true,
        default_bindings_module: "tidegate_plugin_sdk::filter::bindings",
        runtime_path: "tidegate_plugin_sdk::wit_bindgen::rt",
    });
}

pub use bindings::export;
pub use bindings::exports::tidegate::plugin::lifecycle::{Guest as LifecycleGuest, PluginInfo};
pub use bindings::exports::tidegate::plugin::request_filter::Guest as RequestGuest;
pub use bindings::exports::tidegate::plugin::response_filter::Guest as ResponseGuest;
pub use bindings::exports::tidegate::plugin::stream_filter::{
    AnswerStream, DeltaAction, Guest as StreamGuest, GuestAnswerStream, Held, Place,
};
pub use bindings::tidegate::plugin::types::{Error, Headers, RequestContext};
pub use bindings::tidegate::plugin::view::{Action, Edit, Message, Outcome, Part, PartKind, Refusal};
