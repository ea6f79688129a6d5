//! Listeners, the strict gate, the request's path and its HTTP interfaces.
//!
//! A connection is accepted in `listen`, each request passes `gate` and `router` (or `grpc`, by its type), and a call to a model walks
//! `path` from top to bottom. What it is served from is one immutable `snapshot`; what it meets outside are ports.

mod api;
mod body;
mod classic;
mod closing;
pub mod errand;
mod gate;
mod grpc;
pub mod listen;
pub mod mounted;
pub mod observe;
pub mod operations;
mod path;
mod reply;
pub mod router;
pub mod server;
pub mod snapshot;

pub use operations::Operations;
pub use server::Server;
pub use snapshot::Snapshot;
