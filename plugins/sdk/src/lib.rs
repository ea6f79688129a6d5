//! Typed worlds of `tidegate:plugin` for guests in Rust: what the contract in `wit/` says, and nothing else.
//!
//! A plugin enables the feature of its world, implements the world's traits and exports them:
//!
//! ```ignore
//! use tidegate_plugin_sdk::drift::{self, Guest, LifecycleGuest};
//!
//! struct Mine;
//! impl LifecycleGuest for Mine { /* describe, configure */ }
//! impl Guest for Mine { /* evaluate */ }
//! drift::export!(Mine);
//! ```

// What is generated here is also expanded in plugins, and names this crate.
extern crate self as tidegate_plugin_sdk;

#[cfg(feature = "drift")]
pub mod drift;
#[cfg(feature = "fairness")]
pub mod fairness;
#[cfg(feature = "filter")]
pub mod filter;
#[cfg(feature = "rag")]
pub mod rag;
#[cfg(feature = "validator")]
pub mod validator;

pub use wit_bindgen;
