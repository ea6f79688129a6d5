//! Whether the log can say anything of the other policy. Owns the limits below which it is refused.

use super::Log;
use serde::{Deserialize, Serialize};

/// The other policy may do so often what could not be done.
const MOST_UNCOVERED: f64 = 0.01;
/// Fewer effective calls say nothing.
const LEAST_EFFECTIVE: f64 = 10.0;
/// Nor does a smaller share of them: then a few calls decide.
const LEAST_SHARE: f64 = 0.01;
/// What is lost by rounding.
const ROUNDING: f64 = 1e-9;

/// How well the log covers the other policy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// How many calls it has.
    pub n: f64,
    /// How many calls of the other policy's own they are worth.
    pub effective: f64,
    /// How often the other policy does what could not be done.
    pub uncovered: f64,
}

/// Why the log says nothing of the other policy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Each call had only one way to go, and the other policy goes another.
    #[error(
        "a deterministic log: every call had only one action to take (propensity 1), so nothing is known of what the \
         target does otherwise; log calls of a policy that draws, such as one with a least share for each variant"
    )]
    Deterministic,
    /// The other policy does what was never possible.
    #[error(
        "the target gives {:.1} % of its probability to actions that could not be taken (propensity 0): {actions:?}; \
         give them a least share first, or leave them out of the target",
        uncovered * 100.0
    )]
    Uncovered {
        /// How often.
        uncovered: f64,
        /// The actions.
        actions: Vec<usize>,
    },
    /// The few calls that both would have done the same way decide all.
    #[error(
        "{n} calls are worth only {effective:.1} of the target's own: at least 10 and 1 % of the calls are needed; log \
         more, or choose a target nearer to the policy that was logged"
    )]
    TooFew {
        /// How many calls there are.
        n: f64,
        /// How many they are worth.
        effective: f64,
    },
}

impl Log<'_> {
    /// Whether the estimates may be trusted.
    ///
    /// # Errors
    /// They may not; it says why and what to do.
    pub fn overlap(&self) -> Result<Overlap, Refusal> {
        if self.is_deterministic() {
            return Err(Refusal::Deterministic);
        }
        let (uncovered, actions) = self.uncovered();
        if uncovered >= MOST_UNCOVERED - ROUNDING {
            return Err(Refusal::Uncovered { uncovered, actions });
        }
        let (n, effective) = (self.count(), self.effective());
        if effective < LEAST_EFFECTIVE || effective < LEAST_SHARE * n {
            return Err(Refusal::TooFew { n, effective });
        }
        Ok(Overlap { n, effective, uncovered })
    }

    /// Whether each call was bound to go as it went, and the other policy would not always have gone so.
    fn is_deterministic(&self) -> bool {
        self.calls.iter().all(|call| call.propensity >= 1.0 - ROUNDING)
            && self.terms.iter().any(|term| term.weight < 1.0 - 1e-6)
    }

    /// The other policy's mean probability of actions that could not be taken, and those actions.
    fn uncovered(&self) -> (f64, Vec<usize>) {
        let actions = self.calls.first().map_or(0, |call| call.target.len());
        let mut done = vec![false; actions];
        for call in self.calls {
            done.iter_mut().skip(call.action).take(1).for_each(|done| *done = true);
        }
        let mut lost = vec![0.0; actions];
        for call in self.calls {
            for (at, (lost, target)) in lost.iter_mut().zip(&call.target).enumerate() {
                let could = match &call.shares {
                    Some(shares) => shares.get(at).is_some_and(|share| *share > 0.0),
                    None => done.get(at).is_some_and(|done| *done),
                };
                *lost += if could { 0.0 } else { *target };
            }
        }
        let which = lost.iter().enumerate().filter(|(_, lost)| **lost > 0.0).map(|(at, _)| at).collect();
        (lost.iter().sum::<f64>() / self.count(), which)
    }
}
