//! The engine behind the port `Backend`: OpenAI-shaped bodies in, OpenAI-shaped answers and events out.
//!
//! Bodies arrive validated by the gateway's path, so what is read here is read for its values; what only a running
//! model can know (the length of a prompt, a token id out of range) is refused here.

mod adapters;
mod chat;
mod completion;
mod embedding;
mod form;
mod frames;
mod generator;
mod plan;
mod ranking;
mod request;
mod vectors;
mod work;

pub use generator::LocalGenerator;
pub use ranking::LocalReranker;
pub use vectors::LocalEmbedder;
