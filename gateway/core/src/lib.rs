//! The words of Tidegate as types, the checked specs and the ports.
//!
//! Everything else depends on this crate, so it stays small and slow-moving: no runtime, no hyper, no heavy crate.

pub mod api;
pub mod caller;
pub mod clock;
pub mod dice;
pub mod digest;
pub mod event;
pub mod fault;
mod hex;
pub mod id;
pub mod ledger;
pub mod memory;
pub mod model_ref;
pub mod moment;
pub mod name;
pub mod oci_ref;
pub mod once;
pub mod percent;
pub mod port;
pub mod prompt;
pub mod reasons;
pub mod said;
pub mod secret;
pub mod served;
pub mod spec;
pub mod state_id;
pub mod tensor;
pub mod trace;
pub mod usage;
pub mod visit;

pub use api::Api;
pub use caller::{Caller, KeyRecord, Role};
pub use clock::Clock;
pub use dice::Dice;
pub use event::{Event, Outcome};
pub use fault::{Fault, FaultKind, Side};
pub use id::InferenceId;
pub use ledger::Ledger;
pub use name::{
    AdapterName, AlertName, EndpointName, KeyId, LabelName, ModelName, MonitorName, NodeName, PluginName, Principal,
    ProviderName, ReplicaId, RewardName, RouteName, Tenant, VariantName, ViewName,
};
pub use oci_ref::{OciPick, OciRef, OciRefFault};
pub use prompt::{CommitSha, PromptLabel, PromptName, PromptPick, PromptRef, PromptRefFault, PromptStamp};
pub use reasons::Reasons;
pub use said::{Checks, Said};
pub use secret::Secret;
pub use state_id::StateId;
pub use tensor::{Datatype, PredictAnswer, PredictRequest, Tensor, TensorFault, TensorMeta};
pub use trace::{SpanId, TraceId};
pub use usage::{NanoUsd, Price, Usage};
pub use visit::Visit;
