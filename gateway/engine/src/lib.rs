//! The local engine: language models and embeddings, in this process, on the processor.
//!
//! [`Engine`] is one loaded language model on a thread of its own: `submit` a [`GenerateRequest`], read the
//! [`GenerationEvent`]s, drop the [`Generation`] to cancel. [`Embedder`] is the same for sentence embeddings, [`Reranker`] for documents. Everything
//! here is typed; the wire format is the adapter's. A request's tokens are the same alone and in any batch: every sum of
//! a row is made in a fixed order, whatever is computed beside it.

mod adapter;
mod constrain;
mod desk;
mod embed;
mod encoder;
mod engine;
mod error;
mod finetune;
mod generation;
mod gguf;
mod kernel;
mod kv;
mod matrix;
mod model;
pub mod openai;
mod pages;
mod probe;
mod quantize;
mod request;
mod rerank;
mod safetensors;
mod sample;
mod scheduler;
mod template;
#[cfg(test)]
mod testing;
mod text;
mod threads;
mod vocabulary;

pub use adapter::{AdapterFault, AdapterHandle, AdapterStore, Prepared, Taken};
pub use constrain::Constraint;
pub use embed::{EmbedError, EmbedInput, EmbedOptions, EmbedRequest, Embedder, Embedding, Embeddings};
pub use encoder::EncoderFiles;
pub use engine::{Asleep, Engine, EngineOptions, LoadProgress};
pub use error::{GenerateError, LoadError, RestError, SubmitError};
pub use finetune::{
    TuneEvent, TuneFault, TuneLength, TuneOptions, TuneRoom, TuneSchedule, TuneSettings, Tuned, finetune,
};
pub use generation::{Alternative, FinishReason, Generation, GenerationEvent, PromptToken, TokenLogprob};
pub use model::Precision;
pub use probe::{Probe, ProbeError, ProbeInput};
pub use quantize::{Quantization, QuantizeError, Quantized, quantize};
pub use request::{ChatMessage, GenerateRequest, Prompt, Role, Sampling, Tool, ToolCall, ToolChoice, ToolUse};
pub use rerank::{DocumentScore, Ranking, RerankError, RerankOptions, RerankRequest, Reranker};
