//! The checked configuration: what organs are built from. Owns its shape; reading YAML and finding faults is the
//! configuration crate's, and only that makes these values.

pub mod advised;
pub mod alert;
mod batches;
pub mod cascade;
pub mod classic;
pub mod component;
pub mod events;
pub mod feature;
mod governance;
pub mod graph;
pub mod hedge;
pub mod limit;
pub mod listener;
pub mod model;
pub mod monitor;
pub mod plugin;
pub mod prompts;
pub mod provider;
pub mod registry;
pub mod reward;
pub mod rollout;
pub mod route;
pub mod rule;
pub mod shadow;
pub mod shared;
pub mod steer;
pub mod telemetry;
pub mod view;
pub mod web;

pub use advised::AdvisedSpec;
pub use alert::{AlertSpec, AlertTo, RunSpec, Runner};
pub use batches::BatchesSpec;
pub use cascade::{CascadeSpec, JudgeSpec, Weakness};
pub use classic::{ContractSpec, ExplainSpec, PoolSpec, SignatureSpec, SuiteSpec};
pub use component::{ComponentAt, ComponentAuth, ComponentFault, is_this_machine};
pub use events::{ContentPolicy, Durability, EventsSpec, SubjectSpec};
pub use feature::{FeatureSpec, Language, MOST_FEATURES};
pub use governance::{GateSpec, GovernanceSpec, Requirement, RiskTier};
pub use graph::GraphSpec;
pub use hedge::{HedgeAfter, HedgeSpec};
pub use limit::{Budget, LimitSpec, OnFailure, Per, Period, Rate};
pub use listener::{AdminSpec, CorsSpec, ListenerSpec, TlsSpec};
pub use model::{AdapterSource, ModelSpec, Precision, Source, SourceUri};
pub use monitor::{
    AlarmSpec, FieldFrom, FieldKind, FieldSpec, MonitorAction, MonitorSpec, ReferenceSpec, RolesSpec, Watched,
    WindowSpec,
};
pub use plugin::{FilterSpec, PluginLimits, PluginSpec, WasiGrant};
pub use prompts::{PromptsSpec, RemoteSpec};
pub use provider::{
    AuthSpec, Balance, ClassicSpec, Device, Dialect, EndpointSpec, LocalSpec, OpenAiSpec, OutlierSpec, ProviderKind,
    ProviderSpec, ProxySpec, Speculation,
};
pub use registry::{ArtifactsSpec, DatabaseSpec, RegistrySpec, S3Key, S3Spec};
pub use reward::{Goal, Implicit, RewardKind, RewardLevel, RewardSource, RewardSpec};
pub use rollout::{AnalysisSpec, Measure, RolloutKind, RolloutSpec, Timing};
pub use route::{
    Condition, CostShareSpec, FallbackSpec, LearnedSpec, ParameterSpec, PolicySpec, Priority, RetrySpec, RouteSpec,
    RuleSpec, StickyBy, TimeoutSpec, VariantSpec,
};
pub use rule::{Match, RuleOfRoute, RulesSpec, When};
pub use shadow::{CompareSpec, ShadowSpec};
pub use shared::SharedSpec;
pub use steer::{GaugeSpec, SteerBy, SteeredSpec};
pub use telemetry::{OtlpSpec, TelemetrySpec};
pub use view::{CacheSpec, ColumnSpec, KeyKind, KeySpec, LookupSpec, OnStale, PushSpec, StoreSpec, ViewSpec};
pub use web::{HostIs, WebHost, WebHosts};

use crate::{AlertName, KeyRecord, ModelName, MonitorName, PluginName, ProviderName, RewardName, RouteName, ViewName};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The whole checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewaySpec {
    /// The first 16 hex digits of the SHA-256 over all its files.
    pub hash: Arc<str>,
    /// The addresses served.
    pub listeners: Vec<ListenerSpec>,
    /// The admin interface, where there is one.
    pub admin: Option<AdminSpec>,
    /// The event store.
    pub events: EventsSpec,
    /// The registry of models, where there is one.
    pub registry: Option<RegistrySpec>,
    /// The prompts, where there are any.
    pub prompts: Option<PromptsSpec>,
    /// The providers.
    pub providers: BTreeMap<ProviderName, ProviderSpec>,
    /// The models.
    pub models: BTreeMap<ModelName, ModelSpec>,
    /// The features that are looked up.
    pub views: BTreeMap<ViewName, ViewSpec>,
    /// The rewards that callers give.
    pub rewards: BTreeMap<RewardName, RewardSpec>,
    /// The routes, in the order of their names.
    pub routes: BTreeMap<RouteName, RouteSpec>,
    /// The plugins.
    pub plugins: BTreeMap<PluginName, PluginSpec>,
    /// What watches the traffic.
    pub monitors: BTreeMap<MonitorName, MonitorSpec>,
    /// Who is told of alarms.
    pub alerts: BTreeMap<AlertName, AlertSpec>,
    /// The keys; `None` where callers need none (loopback only).
    pub keys: Option<KeysSpec>,
    /// The store that replicas share, where there is one; without it each counts for itself.
    pub shared: Option<SharedSpec>,
    /// The limits.
    pub limits: Vec<LimitSpec>,
    /// Batches of calls, where they are served.
    pub batches: Option<BatchesSpec>,
    /// Traces and logs.
    pub telemetry: TelemetrySpec,
}

/// The key file and what stood in it when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysSpec {
    /// Where it lies.
    pub file: PathBuf,
    /// Its keys.
    pub keys: Vec<KeyRecord>,
}
