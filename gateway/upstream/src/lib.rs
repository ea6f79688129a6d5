//! Outgoing calls: connection pools, balancing, server-sent events, health.
//!
//! A call takes these steps: `openai` chooses an endpoint (`balance`, and `turn` by `ward` and `breaker`), takes a seat there and a connection
//! (`pool`, else `dial`), sends the request (`lane`), and reads the answer under its deadlines (`reading`, `patience`)
//! as one body or as whole events (`frames`, `sse`). `classic` asks servers of classic models the same way, at paths of their
//! own (`ask`), or over gRPC (`grpc`). A refusal becomes a fault in `refusal`. Retries beyond a stale
//! connection, fallbacks and records are the callers' business.

pub mod balance;
pub mod features;
pub mod fetch;
pub mod outbound;

pub mod sse;

mod ask;
mod breaker;
mod classic;
mod dial;
mod endpoint;
mod fault;
mod frames;
mod grpc;
mod io;
mod lane;
mod nudge;
mod openai;
mod patience;
mod pool;
mod proxy;
mod public;
mod reading;
mod refusal;
mod tls;
mod turn;
mod ward;

pub use classic::ClassicBackend;
pub use fault::BuildFault;
pub use openai::OpenAiBackend;
pub use public::is_public;
pub use tls::TlsRoots;
