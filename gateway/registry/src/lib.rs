//! The registry of models: names, versions, aliases, tags and stages, each change in a hash-chained audit log, and the
//! MLflow wire that serves them.
//!
//! It lives in `SQLite` or PostgreSQL, by one set of statements; the only crate that names sqlx. Files of versions lie
//! behind the port `Blobs`.

pub mod admin;
pub mod alias;
pub mod audit;
pub mod baseline;
pub mod card;
mod content;
mod db;
pub mod evaluation;
pub mod facts;
pub mod fault;
pub mod filter;
pub mod gate;
pub mod import;
pub mod kind;
pub mod mlflow;
pub mod model;
pub mod page;
pub mod registry;
mod request;
pub mod rollout;
mod serving;
mod shape;
pub mod source;
mod store;
pub mod tag;
pub mod tracking;
mod verify;
pub mod version;
pub mod webhook;

pub use fault::{RegistryFault, RegistryFaultKind};
pub use registry::{Actor, Registry};
pub use store::search::{Page, Range};
