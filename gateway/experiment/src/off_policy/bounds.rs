//! How far the estimates may be off. Owns which numbers each estimator is the mean of.
//!
//! Each bound is the asymptotic sequence of [`asymptotic::sequence_of`] over one number a call, so it holds while calls
//! come in and one looks again and again: for `ips` over `w r`, for `dr` over what the model expects and `w (r − q)`, for
//! `snips` over `w (r − snips)` relative to the mean weight (its linear part, the delta method). Where a few large weights
//! make all the scatter, a bound is open.

use super::{Log, Term};
use crate::alpha::Alpha;
use crate::asymptotic;
use crate::interval::Interval;
use serde::{Deserialize, Serialize};

/// Where the other policy's mean reward lies, by each of three estimators.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// By inverse propensities.
    pub ips: Interval,
    /// Self-normalised.
    pub snips: Interval,
    /// Doubly robust.
    pub dr: Interval,
}

impl Log<'_> {
    /// The bounds, each of which errs with `alpha` at all looks together; open while the calls' scatter is not known.
    #[must_use]
    pub fn bounds(&self, alpha: Alpha) -> Bounds {
        let weight = self.mean(|term| term.weight);
        let snips = self.mean(|term| term.weight * term.reward) / weight;
        let by = |of: &dyn Fn(&Term) -> f64| {
            let all: Vec<f64> = self.terms.iter().map(of).collect();
            asymptotic::sequence_of(&all, alpha)
        };
        Bounds {
            ips: by(&|term| term.weight * term.reward),
            snips: by(&|term| snips + term.weight * (term.reward - snips) / weight),
            dr: by(&|term| term.expected + term.weight * term.surprise()),
        }
    }
}
