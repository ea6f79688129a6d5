//! What requests are served from: one immutable value, swapped whole on a reload. A request keeps the one that it
//! began with.

use crate::observe::shadows::Counted;
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_core::digest::Digest;
use tidegate_core::model_ref::ModelRef;
use tidegate_core::port::backend::Backend;
use tidegate_core::port::enrich::Enrich;
use tidegate_core::port::filter::Filter;
use tidegate_core::port::judge::Judge;
use tidegate_core::port::limits::Limits;
use tidegate_core::port::prompts::Prompts;
use tidegate_core::port::router::Router;
use tidegate_core::port::shadow::Shadow;
use tidegate_core::port::verdicts::Verdicts;
use tidegate_core::port::watcher::Watcher;
use tidegate_core::spec::{ContentPolicy, Durability, FilterSpec, ParameterSpec, RouteSpec, SubjectSpec};
use tidegate_core::{
    AdapterName, Caller, KeyRecord, Ledger, ModelName, PluginName, Price, PromptRef, ProviderName, RouteName,
    VariantName,
};
use tidegate_route::{Advising, Allowance, Gauge, Pace, Policy, RetryBudget, Rules, Steering};

/// Everything that requests are served from.
#[derive(Debug)]
pub struct Snapshot {
    /// Hash of the configuration.
    pub config: Arc<str>,
    /// Unix seconds at which it was loaded.
    pub loaded: u64,
    /// The routes by name.
    pub routes: HashMap<RouteName, Arc<Route>>,
    /// What renders prompts, where there are any.
    pub prompts: Option<Arc<dyn Prompts>>,
    /// The models of the registry that are served, and what of them could not be.
    pub served: Vec<Served>,
    /// Who may call.
    pub keys: Keyring,
    /// Who may use the admin listener: the same keys, and its token.
    pub admin_keys: Keyring,
    /// What callers are held to.
    pub limits: Arc<dyn Limits>,
    /// What is kept of the content.
    pub content: ContentPolicy,
    /// When a record counts as kept.
    pub durability: Durability,
    /// Whose data a call is.
    pub subject: Option<SubjectSpec>,
}

impl Snapshot {
    /// The keyring of the admin listener, or of the others.
    #[must_use]
    pub const fn keys_of(&self, admin: bool) -> &Keyring {
        if admin { &self.admin_keys } else { &self.keys }
    }
}

/// A model of the registry that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The model, as the configuration names it.
    pub model: ModelName,
    /// What it refers to.
    pub reference: ModelRef,
    /// The version that serves.
    pub version: u32,
    /// The version that the reference means since, and that could not be loaded.
    pub refused: Option<u32>,
}

/// A route, ready to serve.
#[derive(Debug)]
pub struct Route {
    /// What it was built from.
    pub spec: Arc<RouteSpec>,
    /// How an arm is picked.
    pub policy: Policy,
    /// What makes the shares of each call, where they are of that call.
    pub by_call: Option<ByCall>,
    /// How much may be tried again.
    pub budget: Arc<RetryBudget>,
    /// How many second requests may go out beside slow ones, where they may at all.
    pub allowance: Option<Arc<Allowance>>,
    /// The arms, in the order of `spec.variants`.
    pub arms: Vec<Arm>,
    /// What adds looked-up features to calls of classic models.
    pub features: Option<Arc<dyn Enrich>>,
    /// What looks at calls and answers, in order.
    pub filters: Vec<RouteFilter>,
    /// What gets copies of calls.
    pub shadows: Vec<ShadowArm>,
    /// Who watches calls that were answered.
    pub watchers: Vec<Arc<dyn Watcher>>,
    /// Who is asked about the answers of a cascade.
    pub critics: Critics,
}

/// Who is asked about the answers of a cascade, before a caller gets them.
#[derive(Debug, Default)]
pub struct Critics {
    /// What monitors say, where it goes by that.
    pub verdicts: Option<Arc<dyn Verdicts>>,
    /// Plugins that are shown answers, in order.
    pub plugins: Vec<(PluginName, Arc<dyn Filter>)>,
    /// Who says how good answers are.
    pub judge: Option<Arc<dyn Judge>>,
}

/// A plugin at a route.
#[derive(Debug, Clone)]
pub struct RouteFilter {
    /// Which, for records and metrics.
    pub plugin: PluginName,
    /// What it looks at, and what its failure means.
    pub spec: FilterSpec,
    /// What looks.
    pub filter: Arc<dyn Filter>,
}

/// What makes the shares of a call.
#[derive(Debug)]
pub enum ByCall {
    /// How the arms stand.
    Steering(Steering),
    /// What is known of the call.
    Rules(Rules),
    /// What a plugin says.
    Router(RouteRouter),
}

/// A plugin that says which arms calls may have.
#[derive(Debug)]
pub struct RouteRouter {
    /// Which, for records.
    pub plugin: PluginName,
    /// What is asked.
    pub router: Arc<dyn Router>,
    /// What is made of the answer.
    pub advising: Advising,
}

/// A variant that gets copies of calls.
#[derive(Debug)]
pub struct ShadowArm {
    /// What answers them.
    pub arm: Arm,
    /// The share of the calls that are copied, in `[0, 1]`.
    pub share: f64,
    /// What takes them.
    pub taker: Arc<dyn Shadow>,
    /// What became of them.
    pub counts: Arc<dyn Counted>,
}

impl Route {
    /// Whether its arms are classic models; none of them is then a language model.
    #[must_use]
    pub fn is_classic(&self) -> bool {
        self.arms.iter().any(|arm| arm.backend.is_classic())
    }

    /// Whether anybody looks at what is asked and answered, beside the caller and the model.
    #[must_use]
    pub fn is_looked_at(&self) -> bool {
        !(self.watchers.is_empty() && self.shadows.is_empty())
    }

    /// The context that a caller can count on, whichever arm serves him; unknown where one arm's is.
    #[must_use]
    pub fn context_length(&self) -> Option<u32> {
        self.arms.iter().map(|arm| arm.context_length).min().flatten()
    }
}

/// One arm of a route, ready to serve.
#[derive(Debug)]
pub struct Arm {
    /// Its name.
    pub name: VariantName,
    /// Its model.
    pub model: ModelName,
    /// The model's name at the provider.
    pub upstream: String,
    /// The model's provider.
    pub provider: ProviderName,
    /// The model's version in the registry, where it comes from there.
    pub version: Option<u32>,
    /// The prompt that stands before what callers say.
    pub prompt: Option<PromptRef>,
    /// The adapter on the model.
    pub adapter: Option<AdapterName>,
    /// How the model generates where the caller does not say.
    pub parameters: Vec<ParameterSpec>,
    /// What the model costs.
    pub price: Option<Price>,
    /// The most tokens of prompt and answer together, where it is known.
    pub context_length: Option<u32>,
    /// What runs it.
    pub backend: Arc<dyn Backend>,
    /// What is measured of it, where that decides.
    pub gauge: Option<Arc<Gauge>>,
    /// How long its requests take, where a second one may go out beside a slow one.
    pub pace: Option<Arc<Pace>>,
}

impl Arm {
    /// Notes that a call is at this arm.
    pub(crate) fn note(&self, ledger: &mut Ledger) {
        ledger.note(|event| {
            event.variant = Some(self.name.clone());
            event.model = Some(self.model.clone());
            event.adapter.clone_from(&self.adapter);
            // Known when the adapter is taken.
            event.adapter_generation = None;
            event.model_version = self.version;
            event.provider = Some(self.provider.clone());
        });
    }
}

/// Who may call.
#[derive(Debug)]
pub enum Keyring {
    /// Anybody, as this one: only on loopback.
    Open(Caller),
    /// Those with one of these keys.
    Keys(HashMap<Digest, Caller>),
}

impl Keyring {
    /// The keyring of `keys`.
    #[must_use]
    pub fn of(keys: impl IntoIterator<Item = KeyRecord>) -> Self {
        Self::Keys(keys.into_iter().map(|key| (key.digest, Caller(Arc::new(key)))).collect())
    }

    /// The caller that `secret` belongs to: looked up by digest, so neither a scan nor a comparison leaks time.
    #[must_use]
    pub fn find(&self, secret: &[u8]) -> Option<&Caller> {
        match self {
            Self::Open(caller) => Some(caller),
            Self::Keys(keys) => keys.get(&Digest::of(secret)),
        }
    }
}
