//! How a route picks an arm: a fixed rule, or one that learns. Owns the immutable state and the draw from it.
//!
//! Learning and deciding are split: whatever computes a vector of probabilities publishes it as a [`PolicyState`],
//! and a decision is one draw from that vector, so its propensity is exact and it can be replayed from the
//! [`Decision`].

use crate::share::{self, Shares, SharesFault};
use crate::sticky::{self, Salt};
use std::sync::Arc;
use tidegate_core::Dice;
use tidegate_core::digest::Digest;
use tidegate_core::event::Decision;
use tidegate_core::spec::route::{PolicySpec, RouteSpec};

/// What a policy knows at one moment: never changed, only replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyState {
    id: Digest,
    shares: Shares,
}

impl PolicyState {
    /// The state with these probabilities; its id is the digest of what it holds.
    #[must_use]
    pub fn new(shares: Shares) -> Self {
        let bytes: Vec<u8> = shares.vector().iter().flat_map(|share| share.to_bits().to_be_bytes()).collect();
        Self { id: Digest::of(&bytes), shares }
    }

    /// Names the state in records; equal states have equal ids.
    #[must_use]
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// The probability of each arm.
    #[must_use]
    pub const fn shares(&self) -> &Arc<[f64]> {
        self.shares.vector()
    }
}

/// Picks the arm of a route for each call.
#[derive(Debug, Clone)]
pub struct Policy {
    salt: Salt,
    arms: Arc<[u64]>,
    state: Arc<PolicyState>,
}

impl Policy {
    /// The policy of `route`.
    ///
    /// # Errors
    /// If its shares are no distribution over its variants.
    pub fn new(route: &RouteSpec) -> Result<Self, SharesFault> {
        let PolicySpec::Weighted(shares) = &route.policy;
        let arms: Arc<[u64]> = route.variants.iter().map(|v| sticky::arm_salt(v.name.as_str())).collect();
        let state = PolicyState::new(fitting(&arms, shares)?);
        Ok(Self { salt: Salt::of(route.name.as_str()), arms, state: Arc::new(state) })
    }

    /// The same policy in another state.
    ///
    /// # Errors
    /// If the state is over another number of arms.
    pub fn in_state(&self, state: Arc<PolicyState>) -> Result<Self, SharesFault> {
        count(&self.arms, state.shares())?;
        Ok(Self { salt: self.salt.clone(), arms: Arc::clone(&self.arms), state })
    }

    /// What it knows.
    #[must_use]
    pub const fn state(&self) -> &Arc<PolicyState> {
        &self.state
    }

    /// The probability of each arm, in the order of the route's variants.
    #[must_use]
    pub fn shares(&self) -> &Arc<[f64]> {
        self.state.shares()
    }

    /// Picks an arm: by chance, or always the same one for the same `unit` while shares stay.
    #[must_use]
    pub fn choose(&self, unit: Option<&[u8]>, dice: &dyn Dice) -> Decision {
        let draw = unit.map_or_else(|| dice.unit(), |unit| self.salt.draw(unit));
        let shares = self.shares();
        let arm = self.arm(shares, draw, unit.is_some());
        Decision { shares: Arc::clone(shares), arm, draw, sticky: unit.is_some() }
    }

    /// The arm that `decision` must have drawn, computed anew from its shares and its draw. Of a decision that
    /// was not sticky, [`share::at`] says the same without the policy.
    #[must_use]
    pub fn replay(&self, decision: &Decision) -> usize {
        self.arm(&decision.shares, decision.draw, decision.sticky)
    }

    fn arm(&self, shares: &[f64], draw: f64, sticky: bool) -> usize {
        if sticky { sticky::race(shares, &self.arms, draw) } else { share::at(shares, draw) }
    }
}

fn fitting(arms: &[u64], shares: &[f64]) -> Result<Shares, SharesFault> {
    count(arms, shares)?;
    Shares::new(shares)
}

fn count(arms: &[u64], shares: &[f64]) -> Result<(), SharesFault> {
    let fits = arms.len() == shares.len() && !arms.is_empty();
    if fits { Ok(()) } else { Err(SharesFault::Count { arms: arms.len(), shares: shares.len() }) }
}

#[cfg(test)]
mod tests;
