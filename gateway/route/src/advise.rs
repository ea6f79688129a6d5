//! Shares of a call by what a plugin says of the arms. Owns that what is said becomes a vector of probabilities, and which
//! one counts where nothing is said; asking is the server's.

use crate::feature::{Facts, Features};
use crate::learn::{Mixing, MixingFault};
use crate::share::{Shares, SharesFault};
use std::sync::Arc;
use tidegate_core::event::Regarded;
use tidegate_core::spec::advised::AdvisedSpec;

/// Makes the vector of each call.
#[derive(Debug, Clone)]
pub struct Advising {
    features: Features,
    otherwise: Shares,
    mixing: Mixing,
}

/// Why a route cannot be advised.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AdvisingFault {
    /// The shares of the configuration are none.
    #[error(transparent)]
    Shares(#[from] SharesFault),
    /// What is spread evenly is no share.
    #[error(transparent)]
    Mixing(#[from] MixingFault),
}

impl Advising {
    /// What makes the vectors of a route with this policy.
    ///
    /// # Errors
    /// Its shares are none.
    pub fn new(spec: &AdvisedSpec) -> Result<Self, AdvisingFault> {
        Ok(Self {
            features: Features::new(spec.features.clone()),
            otherwise: Shares::new(&spec.shares)?,
            mixing: Mixing::new(spec.explore, 0.0, spec.shares.len())?,
        })
    }

    /// What the plugin is told of a call; `None` where nothing of it is.
    #[must_use]
    pub fn regard(&self, facts: &impl Facts) -> Option<Regarded> {
        self.features.regard(facts)
    }

    /// The share of each arm where nothing is said.
    #[must_use]
    pub const fn otherwise(&self) -> &Arc<[f64]> {
        self.otherwise.vector()
    }

    /// The probability of each arm by what was said of them, a part of the calls spread evenly.
    ///
    /// # Errors
    /// It is not as many numbers as there are arms, or they are no shares.
    pub fn shares(&self, said: &[f64]) -> Result<Arc<[f64]>, SharesFault> {
        let arms = self.otherwise.vector().len();
        if said.len() != arms {
            return Err(SharesFault::Count { arms, shares: said.len() });
        }
        Ok(self.mixing.applied(Shares::new(said)?.vector()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advising(explore: f64) -> Advising {
        let spec = AdvisedSpec { plugin: "p".parse().unwrap(), features: Vec::new(), shares: vec![0.7, 0.3], explore };
        Advising::new(&spec).unwrap()
    }

    #[test]
    fn what_is_said_becomes_probabilities() {
        let plain = advising(0.0);
        assert_eq!(*plain.shares(&[3.0, 1.0]).unwrap(), [0.75, 0.25]);
        assert_eq!(*plain.shares(&[0.0, 1e300]).unwrap(), [0.0, 1.0]);
        assert_eq!(**plain.otherwise(), [0.7, 0.3]);
        let spread = advising(0.1).shares(&[0.0, 5.0]).unwrap();
        assert!((spread[0] - 0.05).abs() < 1e-12 && (spread[1] - 0.95).abs() < 1e-12, "{spread:?}");
    }

    #[test]
    fn what_is_no_share_is_not_taken() {
        for bad in
            [&[][..], &[1.0], &[1.0, 1.0, 1.0], &[0.0, 0.0], &[-1.0, 2.0], &[f64::NAN, 1.0], &[f64::INFINITY, 1.0]]
        {
            assert!(advising(0.0).shares(bad).is_err(), "{bad:?}");
        }
        let spec = AdvisedSpec { plugin: "p".parse().unwrap(), features: Vec::new(), shares: vec![1.0], explore: 2.0 };
        assert!(Advising::new(&spec).is_err());
    }
}
