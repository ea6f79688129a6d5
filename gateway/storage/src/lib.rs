//! What is kept on disk: the event store (an append-only segment log, its index and its Parquet tables) and, in
//! [`blobs`], files of models and the like.
//!
//! A record goes from [`EventStore`] through a bounded queue to the writer's thread, which frames it into the live
//! segment; full segments are sealed, indexed and later compacted to Parquet by the upkeep's thread. [`EventReader`]
//! reads both as one, from this process or another.
//!
//! ```text
//! lock                                     held by the one writer
//! accepted                                 how many records were ever taken, in a mapped page
//! segments/0000000007.log, .idx            frames; the index is there once the segment is sealed
//! tables/day=2026-01-31/route=NAME/7.parquet
//! learning/2026-01-31.jsonl                rewards and states of routes that learn
//! notes/2026-01-31.jsonl                   labels and demonstrations, which go when the records of their day do
//! monitors/DIGEST.json                     windows of monitors and what was made of them
//! anchors.jsonl                            heads of the registry's audit log
//! configurations/HASH.json                 the configurations that records name
//! manifests/0000000007.json                names the tables that stand for segment 7; its rename is the switch
//! ```

pub mod anchors;
pub mod blobs;
mod compact;
pub mod configurations;
mod counters;
pub mod dataset;
mod day;
mod disk;
mod encode;
mod fault;
pub mod features;
mod folder;
mod frame;
mod frames;
mod index;
pub mod learning;
pub mod lines;
mod listing;
mod log;
mod manifest;
pub mod monitors;
pub mod notes;
mod queue;
mod reader;
mod recovery;
mod retention;
pub mod rollouts;
pub mod shadows;
mod store;
mod table;
mod upkeep;
mod writer;

#[cfg(test)]
mod testing;

pub use fault::StoreFault;
pub use reader::{EventReader, Filter, OutcomeClass, Scan, Tail};
pub use recovery::Recovery;
pub use store::{EventStore, Options, Stats};
