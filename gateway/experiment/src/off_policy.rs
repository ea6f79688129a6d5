//! What another policy would have earned on calls that were decided by the one in force. Owns what was logged, and that it
//! hangs together; [`estimates`] has the estimators, [`overlap`] says whether they may be trusted, [`bounds`] how far.
//!
//! `w = target(action) / propensity` is the weight of a call. All of it rests on propensities that are those by which the
//! actions were drawn.

pub mod bounds;
pub mod estimates;
mod model;
pub mod overlap;

pub use bounds::Bounds;
pub use estimates::{Estimates, Limits};
pub use overlap::{Overlap, Refusal};

use serde::{Deserialize, Serialize};

/// One call: what was done, what came of it, and what the other policy would have done.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Logged {
    /// What was done; actions are counted from 0.
    pub action: usize,
    /// What came of it.
    pub reward: f64,
    /// The probability with which it was done, in `(0, 1]`.
    pub propensity: f64,
    /// The probability that each action had, where it was kept; else an action counts as one that could not be done when
    /// no call did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<Vec<f64>>,
    /// The probability that the other policy gives each action.
    pub target: Vec<f64>,
    /// What a model of rewards expects of each action, where there is one; else the mean of each action over the other half
    /// of the calls is taken for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<Vec<f64>>,
}

/// Why nothing can be reckoned from what was logged.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum LogFault {
    /// There is no call.
    #[error("no call was logged")]
    Empty,
    /// A call has another number of actions than the first.
    #[error("call {at} has {got} {what}, and the first call has {of} actions: give a number for each action")]
    OtherActions {
        /// Its place, from 0.
        at: usize,
        /// Of what.
        what: &'static str,
        /// How many it has.
        got: usize,
        /// How many there are.
        of: usize,
    },
    /// There is no such action.
    #[error("call {at} did action {action} of {of}: actions are counted from 0")]
    NoSuchAction {
        /// Its place, from 0.
        at: usize,
        /// The action.
        action: usize,
        /// How many there are.
        of: usize,
    },
    /// A propensity is no probability, or 0.
    #[error("call {at} has the propensity {got}: what was done had a probability above 0 and of at most 1")]
    NoPropensity {
        /// Its place, from 0.
        at: usize,
        /// What it has.
        got: f64,
    },
    /// Probabilities do not add up.
    #[error("the {what} of call {at} add up to {sum}: they are probabilities and add up to 1")]
    NoProbabilities {
        /// Its place, from 0.
        at: usize,
        /// Of what.
        what: &'static str,
        /// What they add up to.
        sum: f64,
    },
    /// A reward or an expected one is not finite.
    #[error("call {at} has a reward or an expected reward that is not finite: leave such calls out")]
    NotFinite {
        /// Its place, from 0.
        at: usize,
    },
    /// Only some calls have expected rewards.
    #[error("call {at} differs from the first in having expected rewards: give them for all calls or for none")]
    SomeExpected {
        /// Its place, from 0.
        at: usize,
    },
    /// The other policy does nothing of what was done.
    #[error("the target policy gives no probability to any action that was done: the log says nothing of it")]
    NothingShared,
}

/// What the estimators need of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Term {
    weight: f64,
    reward: f64,
    /// What is expected under the other policy.
    expected: f64,
    /// What was expected of what was done.
    of_done: f64,
}

impl Term {
    fn surprise(&self) -> f64 {
        self.reward - self.of_done
    }
}

/// Calls that hang together.
#[derive(Debug, Clone)]
pub struct Log<'a> {
    calls: &'a [Logged],
    terms: Vec<Term>,
}

impl<'a> Log<'a> {
    /// Checks them.
    ///
    /// # Errors
    /// Something in a call is wrong; the first such thing is named.
    pub fn new(calls: &'a [Logged]) -> Result<Self, LogFault> {
        let first = calls.first().ok_or(LogFault::Empty)?;
        let (of, expects) = (first.target.len(), first.q.is_some());
        calls.iter().enumerate().try_for_each(|(at, call)| check(at, call, of, expects))?;
        let modelled = (!expects).then(|| model::Means::of(calls, of));
        let terms: Vec<Term> =
            calls.iter().enumerate().filter_map(|(at, call)| term(at, call, modelled.as_ref())).collect();
        if terms.iter().all(|term| term.weight <= 0.0) {
            return Err(LogFault::NothingShared);
        }
        Ok(Self { calls, terms })
    }

    /// How many calls.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub fn count(&self) -> f64 {
        self.terms.len() as f64
    }

    fn mean(&self, of: impl Fn(&Term) -> f64) -> f64 {
        self.terms.iter().map(of).sum::<f64>() / self.count()
    }
}

/// A call's numbers; the expected reward under the other policy is divided by what its probabilities add up to, which is 1
/// but for rounding.
fn term(at: usize, call: &Logged, modelled: Option<&model::Means>) -> Option<Term> {
    let q = call.q.as_deref().or_else(|| modelled.map(|means| means.expected_of(at)))?;
    let whole: f64 = call.target.iter().sum();
    let expected = call.target.iter().zip(q).map(|(share, q)| share * q).sum::<f64>() / whole;
    let (target, of_done) = (*call.target.get(call.action)?, *q.get(call.action)?);
    Some(Term { weight: target / call.propensity, reward: call.reward, expected, of_done })
}

fn check(at: usize, call: &Logged, of: usize, expects: bool) -> Result<(), LogFault> {
    let lists = [("target shares", Some(&call.target)), ("shares", call.shares.as_ref())];
    for (what, list) in lists.into_iter().chain([("expected rewards", call.q.as_ref())]) {
        if let Some(list) = list.filter(|list| list.len() != of) {
            return Err(LogFault::OtherActions { at, what, got: list.len(), of });
        }
    }
    if call.action >= of {
        return Err(LogFault::NoSuchAction { at, action: call.action, of });
    }
    if !(call.propensity > 0.0 && call.propensity <= 1.0) {
        return Err(LogFault::NoPropensity { at, got: call.propensity });
    }
    for (what, list) in lists {
        let Some(list) = list else { continue };
        let sum: f64 = list.iter().sum();
        if (sum - 1.0).abs() > 1e-6 || !list.iter().all(|share| (0.0..=1.0 + 1e-6).contains(share)) {
            return Err(LogFault::NoProbabilities { at, what, sum });
        }
    }
    if call.q.is_some() != expects {
        return Err(LogFault::SomeExpected { at });
    }
    let finite = call.reward.is_finite() && call.q.iter().flatten().all(|q| q.is_finite());
    if finite { Ok(()) } else { Err(LogFault::NotFinite { at }) }
}

#[cfg(test)]
mod tests;
