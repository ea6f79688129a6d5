//! `policy` of a route: how an arm is picked. Owns the shares that are fixed and the rules that learn; what looks
//! at the arms is `steer`'s, and what arms there are the route's.

use super::Desk;
use super::cascade::{self, CascadeFile};
use super::feature::{self, FeatureFile};
use super::route::Arms;
use super::router::{self, RouterFile};
use super::rules::{self, RuleFile};
use super::steer::{self, CostFile, LatencyFile, LeastBusyFile};
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Count, Number, Share};
use crate::shape::{Here, Map, Placed, choice, record};
use crate::suggest::nearest;
use std::collections::BTreeMap;
use tidegate_core::spec::feature::FeatureSpec;
use tidegate_core::spec::{
    CostShareSpec, Implicit, LearnedSpec, PolicySpec, RewardKind, RewardSource, RewardSpec, RuleSpec,
};
use tidegate_core::{PluginName, RewardName};

/// The least share of an arm where nothing is said: enough to see one day that it became better.
const MIN_SHARE: f64 = 0.01;

/// What is spread evenly where nothing is said, by rules that are certain of an arm.
pub(super) const EXPLORE: f64 = 0.02;

choice! {
    /// How an arm is picked.
    PolicyFile {
        maps {
            /// By fixed shares, one for each variant, 100% together.
            Weighted(Map<At<Share>>) = "weighted",
            /// The arm of the largest mean reward, but for a share that is spread evenly.
            EpsilonGreedy(EpsilonFile) = "epsilon_greedy",
            /// The arm of the largest upper bound of its mean reward.
            Ucb1(UcbFile) = "ucb1",
            /// Each arm by the probability that it is the best.
            Thompson(ThompsonFile) = "thompson",
            /// The spread that finds the best arm soonest; then that arm.
            TrackAndStop(TrackFile) = "track_and_stop",
            /// The arm of the largest upper bound of the mean reward of calls like this one.
            LinUcb(LinUcbFile) = "linucb",
            /// Each arm by the probability that it is the best for calls like this one.
            LinearThompson(LinearThompsonFile) = "linear_thompson",
            /// Of two variants drawn at random, the one that answers sooner and has fewer calls under way.
            Latency(LatencyFile) = "latency",
            /// The variant with the fewest calls under way.
            LeastBusy(LeastBusyFile) = "least_busy",
            /// The variant that is cheapest for the call.
            Cost(CostFile) = "cost",
            /// Variants in an order: the next one answers where an answer is too poor.
            Cascade(CascadeFile) = "cascade",
            /// By the first rule that the call fits; the last one has no `when`.
            Rules(Vec<RuleFile>) = "rules",
            /// By the shares that a plugin says.
            Router(RouterFile) = "router",
        }
        later { "ucb", "softmax", "contextual", "best_arm", "cheapest", "fastest" }
    }
}

record! {
    /// The arm of the largest mean reward, but for a share that is spread evenly.
    EpsilonFile {
        required {
            /// What it learns from: one of `rewards`, or `latency`, `first_token`, `cost`, `tokens`, `error`,
            /// `valid_json`, `valid_tool_call`.
            reward: At<RewardName>,
        }
        optional {
            /// The share that is spread evenly; 10% by default.
            epsilon: At<Share>,
            /// After so many rewards that share is half as large, after twice as many a third; it stays by default.
            decay: At<Count>,
            /// The least share of each arm; 1% by default.
            min_share: At<Share>,
            /// The most that variants may have of what the route costs by their prices; none is bounded by default.
            max_cost_share: Map<At<Share>>,
            /// After so many rewards one counts for a half; none fades by default.
            half_life: At<Count>,
        }
    }
}

record! {
    /// The arm of the largest upper bound of its mean reward.
    UcbFile {
        required {
            /// What it learns from: one of `rewards` that is a `boolean` or has a `range`, or `error`,
            /// `valid_json`, `valid_tool_call`.
            reward: At<RewardName>,
        }
        optional {
            /// The share of the calls that is spread evenly; 2% by default.
            explore: At<Share>,
            /// The least share of each arm; 1% by default.
            min_share: At<Share>,
            /// The most that variants may have of what the route costs by their prices; none is bounded by default.
            max_cost_share: Map<At<Share>>,
            /// After so many rewards one counts for a half; none fades by default.
            half_life: At<Count>,
        }
    }
}

record! {
    /// Each arm by the probability that it is the best.
    ThompsonFile {
        required {
            /// What it learns from: one of `rewards`, or `latency`, `first_token`, `cost`, `tokens`, `error`,
            /// `valid_json`, `valid_tool_call`.
            reward: At<RewardName>,
        }
        optional {
            /// The least share of each arm; 1% by default.
            min_share: At<Share>,
            /// The most that variants may have of what the route costs by their prices; none is bounded by default.
            max_cost_share: Map<At<Share>>,
            /// After so many rewards one counts for a half; none fades by default.
            half_life: At<Count>,
        }
    }
}

record! {
    /// The spread that finds the best arm soonest; then that arm.
    TrackFile {
        required {
            /// What it learns from: one of `rewards`, or `latency`, `first_token`, `cost`, `tokens`, `error`,
            /// `valid_json`, `valid_tool_call`.
            reward: At<RewardName>,
        }
        optional {
            /// The most that the chance of a wrong arm may be; 5% by default.
            delta: At<Share>,
            /// The share of the calls that is spread evenly; 2% by default.
            explore: At<Share>,
            /// The least share of each arm; 1% by default.
            min_share: At<Share>,
            /// The most that variants may have of what the route costs by their prices; none is bounded by default.
            max_cost_share: Map<At<Share>>,
        }
    }
}

record! {
    /// The arm of the largest upper bound of the mean reward of calls like this one.
    LinUcbFile {
        required {
            /// What it learns from: one of `rewards`, or `latency`, `first_token`, `cost`, `tokens`, `error`,
            /// `valid_json`, `valid_tool_call`.
            reward: At<RewardName>,
            /// What of a call it regards, 64 numbers at most.
            features: Vec<FeatureFile>,
        }
        optional {
            /// How wide the bounds are, where rewards have a range in parts of it, else in deviations of their noise; 1 by
            /// default.
            alpha: At<Number>,
            /// The share of the calls that is spread evenly; 2% by default.
            explore: At<Share>,
            /// The least share of each arm; 1% by default.
            min_share: At<Share>,
            /// The most that variants may have of what the route costs by their prices; none is bounded by default.
            max_cost_share: Map<At<Share>>,
            /// After so many rewards one counts for a half; none fades by default.
            half_life: At<Count>,
        }
    }
}

record! {
    /// Each arm by the probability that it is the best for calls like this one.
    LinearThompsonFile {
        required {
            /// What it learns from: one of `rewards`, or `latency`, `first_token`, `cost`, `tokens`, `error`,
            /// `valid_json`, `valid_tool_call`.
            reward: At<RewardName>,
            /// What of a call it regards, 64 numbers at most.
            features: Vec<FeatureFile>,
        }
        optional {
            /// The share of the calls that is spread evenly; none by default.
            explore: At<Share>,
            /// The least share of each arm; 1% by default.
            min_share: At<Share>,
            /// The most that variants may have of what the route costs by their prices; none is bounded by default.
            max_cost_share: Map<At<Share>>,
            /// After so many rewards one counts for a half; none fades by default.
            half_life: At<Count>,
        }
    }
}

/// The rewards that a configuration declares.
pub(crate) struct Rewards<'a> {
    /// Those without a fault.
    pub(crate) specs: &'a BTreeMap<RewardName, RewardSpec>,
    /// The names of all of them; `None` where the section is faulty as a whole.
    pub(crate) names: Option<&'a [String]>,
}

/// The policy of a route with these arms.
pub(crate) fn check(
    raw: Option<&PolicyFile>,
    arms: &Arms,
    at: &Place,
    rewards: &Rewards<'_>,
    has_keys: bool,
    desk: &mut Desk<'_>,
) -> Option<PolicySpec> {
    let notes = &mut *desk.notes;
    let count = arms.names.len();
    let learned = match raw {
        None => {
            #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
            return (count > 0).then(|| PolicySpec::Weighted(vec![1.0 / count as f64; count]));
        }
        Some(PolicyFile::Weighted(weights)) => return weighted(weights, arms, at, notes),
        Some(PolicyFile::Latency(raw)) => return Some(PolicySpec::Steered(steer::latency(raw, arms, notes))),
        Some(PolicyFile::Rules(raw)) => return rules::check(raw, arms, has_keys, at, notes).map(PolicySpec::Rules),
        Some(PolicyFile::Router(raw)) => return router::check(raw, arms, has_keys, at, notes).map(PolicySpec::Advised),
        Some(PolicyFile::LeastBusy(raw)) => return steer::least_busy(raw, arms, notes).map(PolicySpec::Steered),
        Some(PolicyFile::Cascade(raw)) => return cascade::check(raw, arms, notes).map(PolicySpec::Cascade),
        Some(PolicyFile::Cost(raw)) => return Some(PolicySpec::Steered(steer::cost(raw, arms, notes))),
        Some(PolicyFile::EpsilonGreedy(raw)) => Learned {
            here: raw.here(),
            reward: raw.reward.as_ref(),
            rule: RuleSpec::EpsilonGreedy {
                epsilon: raw.epsilon.as_ref().map_or(0.1, |share| share.value.0),
                decay: raw.decay.as_ref().map(|count| count.value.0),
            },
            explore: 0.0,
            min_share: raw.min_share.as_ref(),
            max_cost_share: raw.max_cost_share.as_ref(),
            half_life: raw.half_life.as_ref(),
            features: None,
        },
        Some(PolicyFile::Ucb1(raw)) => Learned {
            here: raw.here(),
            reward: raw.reward.as_ref(),
            rule: RuleSpec::Ucb1,
            explore: raw.explore.as_ref().map_or(EXPLORE, |share| share.value.0),
            min_share: raw.min_share.as_ref(),
            max_cost_share: raw.max_cost_share.as_ref(),
            half_life: raw.half_life.as_ref(),
            features: None,
        },
        Some(PolicyFile::Thompson(raw)) => Learned {
            here: raw.here(),
            reward: raw.reward.as_ref(),
            rule: RuleSpec::Thompson,
            explore: 0.0,
            min_share: raw.min_share.as_ref(),
            max_cost_share: raw.max_cost_share.as_ref(),
            half_life: raw.half_life.as_ref(),
            features: None,
        },
        Some(PolicyFile::TrackAndStop(raw)) => Learned {
            here: raw.here(),
            reward: raw.reward.as_ref(),
            rule: RuleSpec::TrackAndStop { delta: delta(raw, notes) },
            explore: raw.explore.as_ref().map_or(EXPLORE, |share| share.value.0),
            min_share: raw.min_share.as_ref(),
            max_cost_share: raw.max_cost_share.as_ref(),
            half_life: None,
            features: None,
        },
        Some(PolicyFile::LinUcb(raw)) => Learned {
            here: raw.here(),
            reward: raw.reward.as_ref(),
            rule: RuleSpec::LinUcb { alpha: alpha(raw, notes) },
            explore: raw.explore.as_ref().map_or(EXPLORE, |share| share.value.0),
            min_share: raw.min_share.as_ref(),
            max_cost_share: raw.max_cost_share.as_ref(),
            half_life: raw.half_life.as_ref(),
            features: Some((raw.features.as_deref(), has_keys)),
        },
        Some(PolicyFile::LinearThompson(raw)) => Learned {
            here: raw.here(),
            reward: raw.reward.as_ref(),
            rule: RuleSpec::LinearThompson,
            explore: raw.explore.as_ref().map_or(0.0, |share| share.value.0),
            min_share: raw.min_share.as_ref(),
            max_cost_share: raw.max_cost_share.as_ref(),
            half_life: raw.half_life.as_ref(),
            features: Some((raw.features.as_deref(), has_keys)),
        },
    };
    learned.check(arms, rewards, notes).map(PolicySpec::Learned)
}

/// What the rules that learn have in common.
struct Learned<'a> {
    here: &'a Here,
    reward: Option<&'a At<RewardName>>,
    rule: RuleSpec,
    explore: f64,
    min_share: Option<&'a At<Share>>,
    max_cost_share: Option<&'a Map<At<Share>>>,
    half_life: Option<&'a At<Count>>,
    /// What it regards, as far as that can be read, and whether callers have keys; nothing where the rule is blind.
    features: Option<(Option<&'a [FeatureFile]>, bool)>,
}

impl Learned<'_> {
    fn check(self, arms: &Arms, rewards: &Rewards<'_>, notes: &mut Notes) -> Option<LearnedSpec> {
        if arms.names.len() == 1 {
            notes
                .warn(&self.here.at, "there is one variant, so there is nothing to learn")
                .remedy("leave `policy` out");
        }
        let min_share = self.min_share(arms.names.len(), notes);
        let cost_share = cost_share(self.max_cost_share, arms, &self.here.at, notes);
        let features = self.features(notes);
        let named = self.reward?;
        let reward = source(named, rewards, notes)?;
        if self.rule == RuleSpec::Ucb1 && reward.range().is_none() {
            let name = reward.name();
            let note = notes.fault(&named.at, format!("ucb1 needs rewards in a range, and `{name}` has none"));
            if matches!(reward, RewardSource::Feedback(RewardSpec { kind: RewardKind::Float(None), .. })) {
                note.remedy(format!("give it one: `{name}: {{kind: float, range: [0, 1]}}`, or use `thompson`"));
            } else {
                note.remedy("use `thompson`, which needs none");
            }
            return None;
        }
        Some(LearnedSpec {
            rule: self.rule,
            features: features?,
            reward,
            explore: self.explore,
            min_share: min_share?,
            half_life: self.half_life.map(|count| count.value.0),
            cost_share: cost_share?,
        })
    }

    fn features(&self, notes: &mut Notes) -> Option<Vec<FeatureSpec>> {
        match self.features {
            None => Some(Vec::new()),
            Some((raw, has_keys)) => feature::check(raw?, &self.here.at, has_keys, notes),
        }
    }

    fn min_share(&self, arms: usize, notes: &mut Notes) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
        let even = 1.0 / arms.max(1) as f64;
        let Some(given) = self.min_share else { return Some(MIN_SHARE.min(even / 2.0)) };
        if given.value.0 > even + 1e-9 {
            notes
                .fault(&given.at, format!("{arms} variants cannot each have so much"))
                .remedy(format!("give each at most {:.4}%", even * 100.0));
            return None;
        }
        Some(given.value.0)
    }
}

/// The bounds of cost, where there are any; what calls cost at each variant is put in when the models are known.
#[expect(clippy::option_option, reason = "whether it is right, and whether there is one")]
fn cost_share(
    raw: Option<&Map<At<Share>>>,
    arms: &Arms,
    at: &Place,
    notes: &mut Notes,
) -> Option<Option<CostShareSpec>> {
    let Some(raw) = raw else { return Some(None) };
    let (mut most, mut is_whole) = (vec![None; arms.names.len()], true);
    for item in &raw.0 {
        let index = arms.find(&item.name, &format!("`{}`", item.name), &item.at, notes);
        let share = item.value.as_ref().filter(|share| is_bound(share, notes));
        is_whole &= index.is_some() && share.is_some();
        if let (Some(index), Some(share)) = (index, share) {
            most[index] = Some(share.value.0);
        }
    }
    if is_whole && !most.is_empty() && most.iter().all(Option::is_some) {
        notes
            .fault(raw.0.first().map_or(at, |item| &item.at), "every variant is bounded, and none is left for the rest")
            .remedy("leave the cheapest one out");
        return None;
    }
    let is_bounded = most.iter().any(Option::is_some);
    is_whole.then(|| is_bounded.then_some(CostShareSpec { most, weights: Vec::new() }))
}

fn is_bound(share: &At<Share>, notes: &mut Notes) -> bool {
    let is = share.value.0 > 0.0 && share.value.0 < 1.0;
    if !is {
        notes
            .fault(&share.at, "a bound is more than nothing and less than all of the cost")
            .remedy("write a share such as `30%`, or leave the variant out of the route");
    }
    is
}

fn source(named: &At<RewardName>, rewards: &Rewards<'_>, notes: &mut Notes) -> Option<RewardSource> {
    let name = named.value.as_str();
    if let Some(implicit) = Implicit::ALL.into_iter().find(|implicit| implicit.as_str() == name) {
        return Some(RewardSource::Call(implicit));
    }
    if let Some(spec) = rewards.specs.get(name) {
        return Some(RewardSource::Feedback(spec.clone()));
    }
    // One that is faulty says so itself.
    let declared = rewards.names?;
    if declared.iter().any(|declared| declared == name) {
        return None;
    }
    let known = || declared.iter().map(String::as_str).chain(Implicit::ALL.map(Implicit::as_str));
    notes.fault(&named.at, format!("there is no reward {}", named.shown())).meant(nearest(name, known()), || {
        let known: Vec<&str> = known().collect();
        format!("add it under `rewards`, or name one of {}", known.join(", "))
    });
    None
}

fn delta(raw: &TrackFile, notes: &mut Notes) -> f64 {
    let Some(given) = &raw.delta else { return 0.05 };
    if given.value.0 <= 0.0 || given.value.0 >= 1.0 {
        notes
            .fault(&given.at, "an arm cannot be known for certain, nor by nothing")
            .remedy("write a share such as `5%`");
    }
    given.value.0
}

fn alpha(raw: &LinUcbFile, notes: &mut Notes) -> f64 {
    let Some(given) = &raw.alpha else { return 1.0 };
    if given.value.0 <= 0.0 {
        notes
            .fault(&given.at, "bounds of no width try nothing that is not known to be good")
            .remedy("write a number above 0, such as `1.0`");
    }
    given.value.0
}

fn weighted(weights: &Map<At<Share>>, arms: &Arms, at: &Place, notes: &mut Notes) -> Option<PolicySpec> {
    shares(weights, arms, at, notes).map(PolicySpec::Weighted)
}

/// A share for each of the arms, 100% together.
pub(super) fn shares(weights: &Map<At<Share>>, arms: &Arms, at: &Place, notes: &mut Notes) -> Option<Vec<f64>> {
    let mut shares = vec![None; arms.names.len()];
    let mut is_whole = true;
    for item in &weights.0 {
        let index = arms.find(&item.name, &format!("`{}`", item.name), &item.at, notes);
        is_whole &= index.is_some() && item.value.is_some();
        if let (Some(index), Some(share)) = (index, &item.value) {
            shares[index] = Some(share.value.0);
        }
    }
    let at = weights.0.first().map_or(at, |item| &item.at);
    for name in arms.names.iter().filter(|name| !weights.has(name)) {
        is_whole = false;
        notes
            .fault(at, format!("the variant `{name}` has no share"))
            .remedy(format!("add `{name}: 0%` if it shall get none"));
    }
    let shares: Vec<f64> = shares.into_iter().collect::<Option<_>>().filter(|_| is_whole)?;
    whole(&shares, at, notes)
}

/// Shares that are 100% together.
pub(super) fn whole(shares: &[f64], at: &Place, notes: &mut Notes) -> Option<Vec<f64>> {
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        let percent = format!("{:.4}", sum * 100.0);
        let percent = percent.trim_end_matches('0').trim_end_matches('.');
        notes
            .fault(at, format!("the shares add up to {percent}%, not to 100%"))
            .remedy("change them so that all together are 100%");
        return None;
    }
    Some(shares.iter().map(|share| share / sum).collect())
}

impl PolicyFile {
    /// The plugin that it asks, where it asks one.
    pub(crate) const fn plugin(&self) -> Option<&At<PluginName>> {
        match self {
            Self::Router(raw) => raw.plugin.as_ref(),
            _ => None,
        }
    }

    /// Where it bounds what variants cost; `None` where it does not.
    pub(crate) fn bounds_cost(&self) -> Option<&Map<At<Share>>> {
        match self {
            Self::EpsilonGreedy(raw) => raw.max_cost_share.as_ref(),
            Self::Ucb1(raw) => raw.max_cost_share.as_ref(),
            Self::Thompson(raw) => raw.max_cost_share.as_ref(),
            Self::TrackAndStop(raw) => raw.max_cost_share.as_ref(),
            Self::LinUcb(raw) => raw.max_cost_share.as_ref(),
            Self::LinearThompson(raw) => raw.max_cost_share.as_ref(),
            _ => None,
        }
    }
}
