//! The probabilities that another policy would have given the arms of each call. Owns what of a policy can be known
//! without having run it.

use super::history::{History, Past};
use super::states::{heard, tallies};
use crate::learning::{carried, fold, learner, learner_of};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use tidegate_core::event::Regarded;
use tidegate_core::spec::feature::FeatureSpec;
use tidegate_core::spec::{LearnedSpec, PolicySpec, RouteSpec};
use tidegate_core::{StateId, VariantName};
use tidegate_route::PolicyState;
use tidegate_route::learn::{Heard, Learner, Sums};
use tidegate_storage::StoreFault;
use tidegate_storage::learning::{Learnt, StateEntry, log_at};

/// A state is published after so many rewards …
const REWARDS: u32 = 50;
/// … or so many milliseconds after the first one that it lacks.
const PAUSE_MS: u64 = 100;

/// Why a policy's probabilities are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetFault {
    /// They depend on rewards.
    #[error("the policy of `{0}` learns: with --relearn it learns from the rewards of the log, in their order")]
    Learns(String),
    /// They depend on time.
    #[error("`{0}` has a rollout, whose shares nobody knows beforehand: give it a policy to replay it")]
    Rollout(String),
    /// They depend on what nobody wrote down.
    #[error(
        "the policy of `{0}` regards features that the records of calls do not have: only calls can be replayed that were \
         decided by a policy with the same `features`"
    )]
    Features(String),
    /// They depend on how the arms stood at each call.
    #[error(
        "the policy `{1}` of `{0}` decides by how its variants stand when a call comes, which no log tells: replay shares \
         (`weighted`) or a policy that learns, or let `{1}` serve and compare with `tidegate experiment`"
    )]
    Steered(String, &'static str),
    /// They depend on what was known of each call.
    #[error(
        "the policy `rules` of `{0}` looks at requests, of which no log has more than their records: replay shares \
         (`weighted`) or a policy that learns, or let the rules serve and compare with `tidegate experiment`"
    )]
    Rules(String),
    /// They are what a plugin said of each call.
    #[error(
        "the policy `router` of `{0}` asks the plugin `{1}` about each call, of which no log has all that it sees: replay \
         shares (`weighted`) or a policy that learns, or let the plugin serve and compare with `tidegate experiment`"
    )]
    Router(String, String),
    /// They are of what the answers said.
    #[error(
        "the policy `cascade` of `{0}` goes by what answers say, which is known of those alone that were given: replay shares \
         (`weighted`) or a policy that learns, or let the cascade serve and compare with `tidegate experiment`"
    )]
    Cascade(String),
    /// It cannot learn.
    #[error("the policy of `{0}` cannot learn: {1}")]
    Broken(String, String),
    /// What was learnt cannot be read.
    #[error("the log of what was learnt cannot be read: {0}")]
    Unread(#[from] StoreFault),
}

/// The probability of each variant of `route` at each call, in their order; the last reward that `history` was read with is
/// what a learner learns from.
///
/// # Errors
/// They are not known.
pub(crate) fn targets(
    folder: &Path,
    route: &RouteSpec,
    history: &History,
    relearn: bool,
) -> Result<Vec<Arc<[f64]>>, TargetFault> {
    match &route.policy {
        PolicySpec::Weighted(shares) => {
            let shares: Arc<[f64]> = shares.as_slice().into();
            Ok(history.calls.iter().map(|_| Arc::clone(&shares)).collect())
        }
        PolicySpec::Learned(learned) if relearn && !is_regarded(learned, history) => {
            Err(TargetFault::Features(route.name.to_string()))
        }
        PolicySpec::Learned(learned) if relearn => match as_published(folder, route, learned, history)? {
            Some(targets) => Ok(targets),
            None => relearnt(route, learned, history),
        },
        PolicySpec::Learned(_) => Err(TargetFault::Learns(route.name.to_string())),
        PolicySpec::Steered(steered) => Err(TargetFault::Steered(route.name.to_string(), steered.by.word())),
        PolicySpec::Rules(_) => Err(TargetFault::Rules(route.name.to_string())),
        PolicySpec::Advised(by) => Err(TargetFault::Router(route.name.to_string(), by.plugin.to_string())),
        PolicySpec::Cascade(_) => Err(TargetFault::Cascade(route.name.to_string())),
        PolicySpec::Rollout(_) => Err(TargetFault::Rollout(route.name.to_string())),
    }
}

/// Whether of each call the features of this policy are known.
fn is_regarded(learned: &LearnedSpec, history: &History) -> bool {
    FeatureSpec::id_of(&learned.features).is_none_or(|declared| {
        history.calls.iter().all(|call| call.decision.regarded.as_ref().is_some_and(|regarded| regarded.of == declared))
    })
}

/// The probability of each arm at a call.
fn shares_at(state: &PolicyState, call: &Past) -> Arc<[f64]> {
    state.shares_in(call.decision.regarded.as_ref().map_or(&[], |regarded| &regarded.features))
}

/// The probabilities where the route learnt from the same reward when the calls were logged: rewards are folded in the order
/// of the log and a state is published wherever one was, so that the policy that was in force leads to the very probabilities
/// that the calls had. `None` where a call did not draw from such a state.
fn as_published(
    folder: &Path,
    route: &RouteSpec,
    learned: &LearnedSpec,
    history: &History,
) -> Result<Option<Vec<Arc<[f64]>>>, TargetFault> {
    let reward = learned.reward.name();
    let is_same = |call: &Past| history.learning(call).is_some_and(|learning| *learning.reward == *reward);
    if !history.calls.iter().all(is_same) {
        return Ok(None);
    }
    let wanted: HashSet<StateId> = history.calls.iter().filter_map(|call| call.decision.state).collect();
    let (mut learner, mut published, mut fault) = (None::<Learner>, HashMap::new(), None);
    let place = |name: &VariantName| route.variants.iter().position(|variant| variant.name == *name);
    log_at(folder).read(|entry| match entry {
        Learnt::Reward(one) if one.route == route.name && *one.reward == *reward => {
            if let (Some(learner), Some(arm)) = (&mut learner, place(&one.variant)) {
                fold(learner, learned, arm, one.value, one.regarded.as_ref());
            }
        }
        Learnt::State(state) if state.route == route.name && *state.reward == *reward => {
            let of_route = |sums: &[Sums]| carried(learned, state.features, of_route(route, &state, sums));
            let heard = Heard { tallies: of_route(&heard(&state).tallies), ..heard(&state) };
            let now = match learner.take() {
                Some(mut known) => {
                    known.hear(heard);
                    Ok(known)
                }
                // What was known before the log begins is known under any rule.
                None => self::learner(learned, of_route(&tallies(&state)))
                    .map(|learner| learner.going_on(state.folded, heard)),
            };
            match now {
                Ok(now) if wanted.contains(&state.id) => {
                    match now.state() {
                        Ok(again) => drop(published.insert(state.id, again)),
                        Err(why) => fault = Some(why.to_string()),
                    }
                    learner = Some(now);
                }
                Ok(now) => learner = Some(now),
                Err(why) => fault = Some(why.to_string()),
            }
        }
        _ => {}
    })?;
    if let Some(why) = fault {
        return Err(TargetFault::Broken(route.name.to_string(), why));
    }
    let drawn = |call: &Past| published.get(&call.decision.state?).map(|state| shares_at(state, call));
    Ok(history.calls.iter().map(drawn).collect())
}

/// A state's tallies, in the order of the route's arms.
fn of_route(route: &RouteSpec, state: &StateEntry, tallies: &[Sums]) -> Vec<Sums> {
    let of = |name: &VariantName| state.variants.iter().position(|known| known == name);
    let each = route.variants.iter().map(|variant| of(&variant.name).and_then(|arm| tallies.get(arm).cloned()));
    each.map(Option::unwrap_or_default).collect()
}

/// A reward, when it was known, and of which variant.
struct Reward<'a> {
    at: u64,
    variant: usize,
    value: f64,
    regarded: Option<&'a Regarded>,
}

/// The probabilities where the log has no states of such a learner: rewards are folded in the order in which they were known,
/// and a state is published at the pace of a gateway.
fn relearnt(route: &RouteSpec, learned: &LearnedSpec, history: &History) -> Result<Vec<Arc<[f64]>>, TargetFault> {
    let broken = |why: String| TargetFault::Broken(route.name.to_string(), why);
    let mut learner = learner_of(learned, route.variants.len()).map_err(|fault| broken(fault.to_string()))?;
    let place = |call: &Past| -> Option<usize> {
        let drawn: Option<&VariantName> = history.arms(call).get(call.decision.arm).copied().flatten();
        route.variants.iter().position(|variant| Some(&variant.name) == drawn)
    };
    let mut rewards: Vec<Reward<'_>> = Vec::new();
    for call in &history.calls {
        let Some(variant) = place(call) else { continue };
        rewards.extend(call.rewards.last().into_iter().flatten().map(|(at, value)| Reward {
            at: *at,
            variant,
            value: *value,
            regarded: call.decision.regarded.as_ref(),
        }));
    }
    rewards.sort_by_key(|reward| reward.at);
    let mut coming = rewards.into_iter().peekable();
    let state = |learner: &Learner| learner.state().map_err(|fault| broken(fault.to_string()));
    let mut published = state(&learner)?;
    let (mut lacks, mut since) = (0, None);
    let mut targets = Vec::with_capacity(history.calls.len());
    for call in &history.calls {
        while let Some(reward) = coming.next_if(|reward| reward.at <= call.at) {
            let is_due = lacks >= REWARDS || since.is_some_and(|since| reward.at >= since + PAUSE_MS);
            if lacks > 0 && is_due {
                published = state(&learner)?;
                (lacks, since) = (0, None);
            }
            fold(&mut learner, learned, reward.variant, reward.value, reward.regarded);
            lacks += 1;
            since.get_or_insert(reward.at);
        }
        let is_due = lacks >= REWARDS || since.is_some_and(|since| call.at >= since + PAUSE_MS);
        if lacks > 0 && is_due {
            published = state(&learner)?;
            (lacks, since) = (0, None);
        }
        targets.push(shares_at(&published, call));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::same_bits;
    use crate::replay::testing::{Call, Shop, learnt, route};
    use tidegate_core::spec::{Implicit, RewardSource};

    /// Calls that drew from each state of a log.
    fn shop() -> Shop {
        let (shop, log) = (Shop::new(), learnt(5));
        let states = log.iter().filter_map(|entry| if let Learnt::State(state) = entry { Some(state) } else { None });
        let calls = (1..).zip(states).map(|(at, state)| Call {
            state: Some(state.id),
            shares: state.shares.to_vec(),
            ..Call::at(at)
        });
        shop.called(&calls.collect::<Vec<_>>());
        shop.said(&log);
        shop
    }

    fn reckoned(shop: &Shop, policy: &str) -> (History, Vec<Arc<[f64]>>) {
        let route = route(policy);
        let rewards = [RewardSource::Call(Implicit::Error)];
        let history = History::read(shop.folder(), &route.name, &rewards, 0).unwrap();
        let targets = targets(shop.folder(), &route, &history, true).unwrap();
        (history, targets)
    }

    #[test]
    fn the_policy_that_was_in_force_leads_to_the_probabilities_that_calls_had() {
        let shop = shop();
        let of = |policy: &str| {
            let (history, targets) = reckoned(&shop, policy);
            let each = history.calls.iter().zip(targets);
            each.map(|(call, target)| same_bits(&call.decision.shares, &target)).collect::<Vec<_>>()
        };
        assert_eq!(of("{thompson: {reward: error, half_life: 5}}"), [true, true, true]);
        // Before the first reward both are even.
        assert_eq!(of("{thompson: {reward: error, half_life: 6}}"), [true, false, false]);
        assert_eq!(of("{weighted: {a: 50%, b: 50%}}"), [true, false, false]);
    }

    #[test]
    fn what_is_not_known_is_refused_and_what_was_not_learnt_is_paced() {
        let learns = route("{thompson: {reward: error}}");
        let history = History::default();
        assert!(matches!(targets(Path::new("."), &learns, &history, false), Err(TargetFault::Learns(_))));
        let steered = route("{latency: {}}");
        let refused = targets(Path::new("."), &steered, &history, true).unwrap_err().to_string();
        assert!(refused.starts_with("the policy `latency` of `r` decides by"), "{refused}");
        // Calls of another policy: the first failed, and was known to have when the last came.
        let shop = Shop::new();
        shop.called(&[Call { is_ok: false, ..Call::at(1_000) }, Call::at(1_050), Call::at(2_000)]);
        let (_, targets) = reckoned(&shop, "{thompson: {reward: error}}");
        let first: Vec<f64> = targets.iter().map(|target| target[0]).collect();
        assert!(first[0] == 0.5 && first[1] == 0.5 && first[2] < 0.5, "{first:?}");
    }
}
