//! The wires that classic models are asked over, as pure translations between bytes and tensors. Owns what each writes and how
//! it is read, on both sides: as we serve it, and as we ask others. Connections, paths and statuses are elsewhere.

mod bentoml;
mod bind;
mod cell;
mod csv;
mod data;
mod explain;
pub mod grpc;
mod loose;
mod mlflow;
mod open_inference;
mod outgoing;
mod proto;
mod quick;
mod seldon;
mod sheet;
mod tf_serving;
mod torchserve;
mod wrong;

pub use bind::bind;
pub use explain::{explain_path, read_explained, write_explain};
pub use outgoing::{metadata_path, read_answer, read_metadata, request_path, wants_raw, write_request};
pub use served::{Served, Wire};
pub use sheet::Sheet;
pub use wrong::Wrong;

mod served;

#[cfg(test)]
mod tests;
