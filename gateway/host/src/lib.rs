//! WebAssembly components as plugins: loaded, bounded and called. The only crate naming wasmtime.
//!
//! A [`Host`] loads the bytes of a component ([`Host::load`]): it looks at what it is, which world of `wit/` it fills and what it
//! asks for, before any of it runs. What looks at windows (drift, fairness, rag, validator) then answers them
//! ([`Plugin::call`]), each in an instance of its own that is dropped afterwards. What looks at calls while they are served
//! (the filters and the guardrail) becomes a [`WarmFilter`] of a configuration ([`Plugin::filter`]), behind the port of
//! `core`: its instances are configured once, lent for a call or to a stream, and replaced after any trap; one that fails too
//! often is not called for a while. Each call has a deadline, a cap of memory and of calls to the host, and what it gives
//! back is looked at. An evaluator may be called with models that it may ask ([`Plugin::call_with`]); what it waits for them
//! is part of its time. Whatever goes wrong in there is a [`Fault`] with its [`Kind`]; the host goes on.
//!
//! Compiling takes place where [`Host::load`] is called, or in a capped child process ([`Compiler`]) whose code is kept
//! ([`Cache`], [`Host::load_cached`]). What it may take is bounded by [`Limits::component_bytes`] too.

mod bindings;
mod cache;
mod cell;
mod compiler;
mod convert;
mod counts;
mod engine;
mod fault;
mod filter;
mod frame;
mod imports;
mod input;
mod kv;
mod limits;
mod lines;
mod metered;
mod models;
mod pack;
mod plugin;
mod precompiled;
mod reach;
mod ready;
mod report;
mod seat;
mod shared;
mod ticker;
mod vet;
mod wasi;
mod web;
mod world;

pub use cache::Cache;
pub use cell::{Heard, Line, Metric, MetricKind};
pub use compiler::{Caps, Compiler, compile_as_child};
pub use counts::{Counts, Series};
pub use fault::{Fault, Kind, Refusal};
pub use filter::WarmFilter;
pub use frame::{Column, Data, Frame};
pub use input::{Input, Passage, Roles, Sample, Window};
pub use limits::{Bounds, FilterLimits, Limits};
pub use metered::Metered;
pub use models::{Embeddings, Generate, Generation, Message, Models, NoModels};
pub use pack::pack;
pub use plugin::{About, Done, Host, Plugin};
pub use reach::{Nothing, Outside, Reach, Unreached};
pub use report::{Finding, Measurement, Output, Report, Severity};
pub use wasi::Wasi;
pub use web::{ANSWER_BYTES, Unsent, Web, WebRequest, WebResponse};
pub use world::World;
