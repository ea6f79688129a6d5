//! The ports: what organs ask of each other. Owns traits and the values that cross them, never an implementation.

pub mod adapters;
pub mod alerts;
pub mod aside;
pub mod audit;
pub mod backend;
pub mod blobs;
pub mod enrich;
pub mod events;
pub mod features;
pub mod filter;
pub mod judge;
pub mod learning;
pub mod limits;
pub mod models;
pub mod mount;
pub mod outbound;
pub mod parcels;
pub mod prompts;
pub mod router;
pub mod shadow;
pub mod shelf;
pub mod sleeper;
pub mod table;
pub mod verdicts;
pub mod watcher;

use std::pin::Pin;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
