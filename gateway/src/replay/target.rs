//! The probabilities that another policy would have given the arms of each call. Owns what of a policy can be known
//! without having run it.

use super::history::{History, Past};
use crate::learning::learner_of;
use std::sync::Arc;
use tidegate_core::VariantName;
use tidegate_core::spec::{LearnedSpec, PolicySpec, RouteSpec};

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
    /// It cannot learn.
    #[error("the policy of `{0}` cannot learn: {1}")]
    Broken(String, String),
}

/// The probability of each variant of `route` at each call, in their order.
///
/// # Errors
/// They are not known.
pub(crate) fn targets(route: &RouteSpec, history: &History, relearn: bool) -> Result<Vec<Arc<[f64]>>, TargetFault> {
    match &route.policy {
        PolicySpec::Weighted(shares) => {
            let shares: Arc<[f64]> = shares.as_slice().into();
            Ok(history.calls.iter().map(|_| Arc::clone(&shares)).collect())
        }
        PolicySpec::Learned(learned) if relearn => relearnt(route, learned, history),
        PolicySpec::Learned(_) => Err(TargetFault::Learns(route.name.to_string())),
        PolicySpec::Rollout(_) => Err(TargetFault::Rollout(route.name.to_string())),
    }
}

/// A reward, when it was known, and of which variant.
struct Reward {
    at: u64,
    variant: usize,
    value: f64,
}

fn relearnt(route: &RouteSpec, learned: &LearnedSpec, history: &History) -> Result<Vec<Arc<[f64]>>, TargetFault> {
    let broken = |why: String| TargetFault::Broken(route.name.to_string(), why);
    let mut learner = learner_of(learned, route.variants.len()).map_err(|fault| broken(fault.to_string()))?;
    let place = |call: &Past| -> Option<usize> {
        let drawn: Option<&VariantName> = history.arms(call).get(call.decision.arm).copied().flatten();
        route.variants.iter().position(|variant| Some(&variant.name) == drawn)
    };
    let mut rewards: Vec<Reward> = Vec::new();
    for call in &history.calls {
        let Some(variant) = place(call) else { continue };
        rewards.extend(call.rewards.iter().flatten().map(|(at, value)| Reward { at: *at, variant, value: *value }));
    }
    rewards.sort_by_key(|reward| reward.at);
    let mut coming = rewards.into_iter().peekable();
    let state = |learner: &tidegate_route::learn::Learner| {
        learner.state().map(|state| Arc::clone(state.shares())).map_err(|fault| broken(fault.to_string()))
    };
    let mut shares = state(&learner)?;
    let (mut lacks, mut since) = (0, None);
    let mut targets = Vec::with_capacity(history.calls.len());
    for call in &history.calls {
        while let Some(reward) = coming.next_if(|reward| reward.at <= call.at) {
            let is_due = lacks >= REWARDS || since.is_some_and(|since| reward.at >= since + PAUSE_MS);
            if lacks > 0 && is_due {
                shares = state(&learner)?;
                (lacks, since) = (0, None);
            }
            learner.fold(reward.variant, learned.reward.oriented(reward.value));
            lacks += 1;
            since.get_or_insert(reward.at);
        }
        let is_due = lacks >= REWARDS || since.is_some_and(|since| call.at >= since + PAUSE_MS);
        if lacks > 0 && is_due {
            shares = state(&learner)?;
            (lacks, since) = (0, None);
        }
        targets.push(Arc::clone(&shares));
    }
    Ok(targets)
}
