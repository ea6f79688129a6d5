//! The estimators. Owns their formulas; all take the same pass over the calls.
//!
//! Horvitz and Thompson 1952 (inverse propensities), Swaminathan and Joachims 2015 (self-normalised), Dudík, Langford, Li
//! 2011 (doubly robust), Wang, Agarwal, Dudík: Optimal and adaptive off-policy evaluation, ICML 2017 (switch), Su,
//! Dimakopoulou, Krishnamurthy, Dudík: Doubly robust off-policy evaluation with shrinkage, ICML 2020. In the form of Open
//! Bandit Pipeline (Saito and others 2021), against which they are tested.

use super::{Log, Term};
use serde::{Deserialize, Serialize};

/// Where large weights are cut or shrunk.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest weight of the clipped estimators.
    pub clip: f64,
    /// Above this weight [`Estimates::switch`] trusts the model alone.
    pub switch: f64,
    /// How strongly [`Estimates::dros`] shrinks large weights: the more, the smaller this is.
    pub shrink: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clip: 5.0, switch: 5.0, shrink: 1.0 }
    }
}

/// What the other policy would have earned by the call, by each estimator, and what to think of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    /// Inverse propensities: the mean of `w r`. Unbiased, and wild where weights are large.
    pub ips: f64,
    /// The same with `min(w, clip)`.
    pub clipped: f64,
    /// Self-normalised: `Σ w r / Σ w`.
    pub snips: f64,
    /// The model alone: the mean of what it expects under the other policy.
    pub dm: f64,
    /// Doubly robust: the model, corrected by the mean of `w (r − q)`; right where either is.
    pub dr: f64,
    /// The same with `min(w, clip)`.
    pub dr_clipped: f64,
    /// Doubly robust, self-normalised: corrected by `Σ w (r − q) / Σ w`.
    pub sndr: f64,
    /// Doubly robust where the weight is at most `switch`, else the model.
    pub switch: f64,
    /// Doubly robust with weights shrunk to `λ w / (w² + λ)`.
    pub dros: f64,
    /// `(Σ w)² / Σ w²`: how many calls of the other policy's own these are worth (Kish 1965).
    pub effective_sample_size: f64,
    /// The largest weight.
    pub max_weight: f64,
    /// The standard error of `ips`; infinite for a single call.
    pub ips_standard_error: f64,
}

impl Log<'_> {
    /// All estimates.
    #[must_use]
    pub fn estimates(&self, limits: Limits) -> Estimates {
        let (ips, dm) = (self.mean(|term| term.weight * term.reward), self.mean(|term| term.expected));
        let weight = self.mean(|term| term.weight);
        let corrected = |by: fn(f64, Limits) -> f64| self.mean(|term| by(term.weight, limits) * term.surprise());
        let dr = corrected(|weight, _| weight);
        Estimates {
            ips,
            clipped: self.mean(|term| term.weight.min(limits.clip) * term.reward),
            snips: ips / weight,
            dm,
            dr: dm + dr,
            dr_clipped: dm + corrected(|weight, limits| weight.min(limits.clip)),
            sndr: dm + dr / weight,
            switch: dm + corrected(|weight, limits| if weight <= limits.switch { weight } else { 0.0 }),
            dros: dm + corrected(|weight, limits| limits.shrink * weight / (weight * weight + limits.shrink)),
            effective_sample_size: self.effective(),
            max_weight: self.terms.iter().map(|term| term.weight).fold(0.0, f64::max),
            ips_standard_error: self.standard_error(|term| term.weight * term.reward),
        }
    }

    pub(super) fn effective(&self) -> f64 {
        let (sum, squares) = self
            .terms
            .iter()
            .fold((0.0, 0.0), |(sum, squares), term| (sum + term.weight, squares + term.weight * term.weight));
        sum * sum / squares
    }

    fn standard_error(&self, of: impl Fn(&Term) -> f64) -> f64 {
        let all: crate::Moments = self.terms.iter().map(of).collect();
        all.sample_variance().map_or(f64::INFINITY, |variance| (variance / all.count()).sqrt())
    }
}
