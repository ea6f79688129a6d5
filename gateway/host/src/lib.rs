//! WebAssembly components as plugins: loaded, bounded and called. The only crate naming wasmtime.
//!
//! A [`Host`] loads the bytes of a component ([`Host::load`]): it looks at what it is, which world of `wit/` it fills and what it
//! asks for, before any of it runs. A [`Plugin`] then answers windows ([`Plugin::call`]), each in an instance of its own
//! with a deadline, a cap of memory and of calls to the host, which is dropped afterwards. Whatever goes wrong in there
//! is a [`Fault`] with its [`Kind`]; the host goes on.
//!
//! This is the part for evaluators (drift, fairness, rag, validator). Filters of requests with warm instances, a child
//! process that compiles, and the cache of compiled code come later: until then what is compiled is bounded by
//! [`Limits::component_bytes`], and compiling takes place on the thread that loads.

mod bindings;
mod cell;
mod convert;
mod engine;
mod fault;
mod frame;
mod imports;
mod input;
mod limits;
mod pack;
mod plugin;
mod reach;
mod ready;
mod report;
mod ticker;
mod vet;
mod world;

pub use cell::{Heard, Line, Metric, MetricKind};
pub use fault::{Fault, Kind, Refusal};
pub use frame::{Column, Data, Frame};
pub use input::{Input, Passage, Roles, Sample, Window};
pub use limits::Limits;
pub use pack::pack;
pub use plugin::{About, Done, Host, Plugin};
pub use reach::{Nothing, Outside, Reach, Unreached};
pub use report::{Finding, Measurement, Output, Report, Severity};
pub use world::World;
