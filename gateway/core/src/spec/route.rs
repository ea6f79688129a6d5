//! Routes.

use super::advised::AdvisedSpec;
use super::cascade::CascadeSpec;
use super::feature::FeatureSpec;
use super::graph::GraphSpec;
use super::hedge::HedgeSpec;
use super::plugin::FilterSpec;
use super::reward::{Implicit, RewardSource};
use super::rollout::RolloutSpec;
use super::rule::RulesSpec;
use super::shadow::ShadowSpec;
use super::steer::SteeredSpec;
use super::view::LookupSpec;
use crate::{AdapterName, FaultKind, ModelName, PromptRef, RouteName, VariantName};
use std::sync::Arc;
use std::time::Duration;

/// What callers name as `model`.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteSpec {
    /// Its name.
    pub name: RouteName,
    /// Its arms, at least one, in the order of the file.
    pub variants: Vec<VariantSpec>,
    /// How an arm is picked.
    pub policy: PolicySpec,
    /// What keeps a unit on its arm.
    pub sticky: Option<StickyBy>,
    /// The experiment that it is a part of: a unit has the arm of the same name on all routes of it.
    pub experiment: Option<String>,
    /// Where a failed call goes.
    pub fallback: Vec<FallbackSpec>,
    /// How often it is tried again.
    pub retry: RetrySpec,
    /// When a second request goes out beside one that is slow, where that is wanted.
    pub hedge: Option<HedgeSpec>,
    /// How long things may take.
    pub timeouts: TimeoutSpec,
    /// How its calls stand in the queue of a local model.
    pub priority: Priority,
    /// Which plugins look at calls and answers, in order.
    pub filters: Vec<FilterSpec>,
    /// What gets copies of calls.
    pub shadows: Vec<ShadowSpec>,
    /// Which forms of answers are looked at, beside what the policy learns from.
    pub check: Vec<Implicit>,
    /// What is looked up before a classic model is asked, where that is wanted.
    pub features: Option<LookupSpec>,
    /// Whether callers may name an adapter of its only model, as `ROUTE:ADAPTER`.
    pub exposes_adapters: bool,
}

impl RouteSpec {
    /// Whether this form of answers is looked at: it is wished, or the policy learns from it.
    #[must_use]
    pub fn looks_at(&self, form: Implicit) -> bool {
        let is_learnt =
            matches!(&self.policy, PolicySpec::Learned(learned) if learned.reward == RewardSource::Call(form));
        is_learnt || self.check.contains(&form)
    }
}

/// How calls stand in the queue of a local model: those of a higher one come first, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Nobody waits for it: copies for shadows.
    Background,
    /// Behind all other callers.
    Low,
    /// As most.
    #[default]
    Normal,
    /// Before all others.
    High,
}

impl Priority {
    /// All of them, the lowest first.
    pub const ALL: [Self; 4] = [Self::Background, Self::Low, Self::Normal, Self::High];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// One arm of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantSpec {
    /// Its name.
    pub name: VariantName,
    /// Its model; of a graph, `graph:` and the name of the variant.
    pub model: ModelName,
    /// What it asks in the place of one model.
    pub graph: Option<Arc<GraphSpec>>,
    /// The adapter on it.
    pub adapter: Option<AdapterName>,
    /// The prompt that stands before what callers say.
    pub prompt: Option<PromptRef>,
    /// How its model generates where the caller does not say.
    pub parameters: Vec<ParameterSpec>,
}

/// A member of a call that is added where the caller did not send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Its name in a chat.
    pub name: &'static str,
    /// Its value as JSON.
    pub json: String,
}

/// How an arm is picked.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicySpec {
    /// By fixed shares in the order of the variants, each in `[0, 1]`, their sum 1.
    Weighted(Vec<f64>),
    /// By shares that follow the rewards.
    Learned(LearnedSpec),
    /// By how the arms stand when the call comes.
    Steered(SteeredSpec),
    /// By what is known of the call.
    Rules(RulesSpec),
    /// By what a plugin says.
    Advised(AdvisedSpec),
    /// By an order, in which the next one answers where an answer is too poor.
    Cascade(CascadeSpec),
    /// By shares that go from one arm to another, step by step.
    Rollout(RolloutSpec),
}

/// A policy that learns.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedSpec {
    /// How rewards become shares.
    pub rule: RuleSpec,
    /// What of a call it regards; nothing where the rule is blind.
    pub features: Vec<FeatureSpec>,
    /// What it learns from.
    pub reward: RewardSource,
    /// The share of the calls that is spread evenly, in `[0, 1]`.
    pub explore: f64,
    /// The least share of each arm, in `[0, 1]`.
    pub min_share: f64,
    /// After so many rewards one counts for a half; `None` where none fades.
    pub half_life: Option<u32>,
    /// The most that variants may have of what the route costs, where that is bounded.
    pub cost_share: Option<CostShareSpec>,
}

/// The most that variants may have of what a route costs.
#[derive(Debug, Clone, PartialEq)]
pub struct CostShareSpec {
    /// For each variant, in their order, in `(0, 1)`; `None` where it has no bound, as one of them at least.
    pub most: Vec<Option<f64>>,
    /// What a call costs at each, in USD per million calls: by its price for three tokens of the prompt and one produced.
    pub weights: Vec<f64>,
}

/// How rewards become shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RuleSpec {
    /// The arm of the largest mean, but for a share that is spread evenly.
    EpsilonGreedy {
        /// That share at the beginning, in `[0, 1]`.
        epsilon: f64,
        /// After so many rewards it is half as large; `None` where it stays.
        decay: Option<u32>,
    },
    /// The arm of the largest upper bound.
    Ucb1,
    /// Each arm by the probability that it is the best.
    Thompson,
    /// The spread that finds the best arm soonest.
    TrackAndStop {
        /// The most that the chance of a wrong arm may be, in `(0, 1)`.
        delta: f64,
    },
    /// The arm of the largest upper bound for the call.
    LinUcb {
        /// How wide the bounds are, above 0; where rewards have a range it is in parts of it, else in deviations of their
        /// noise.
        alpha: f64,
    },
    /// Each arm by the probability that it is the best one for the call.
    LinearThompson,
}

/// What a unit is, for sticky assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StickyBy {
    /// The value of a header, its name in lower case.
    Header(String),
    /// The body's `user`.
    User,
    /// The key.
    Key,
    /// The tenant.
    Tenant,
}

/// Where a call goes that failed in one of these ways.
#[derive(Debug, Clone, PartialEq)]
pub struct FallbackSpec {
    /// The ways.
    pub when: Vec<Condition>,
    /// The index of the variant among the route's.
    pub to: usize,
}

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// This status of the provider.
    Status(u16),
    /// Any status of this hundred, such as 5 for `5xx`; also what failed without one (no connection, a cut stream).
    Class(u16),
    /// This kind of fault.
    Kind(FaultKind),
}

/// How often a call is tried again at the same variant.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrySpec {
    /// Tries in all, at least 1.
    pub attempts: u32,
    /// The wait before the second try; it doubles with each, with full jitter.
    pub backoff: Duration,
    /// The most retries as a share of calls, in `[0, 1]`.
    pub budget: f64,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeoutSpec {
    /// To have a connection.
    pub connect: Duration,
    /// To the first byte of the answer.
    pub first_token: Duration,
    /// Between two parts of it.
    pub idle: Duration,
    /// All of it, retries included.
    pub total: Duration,
}
