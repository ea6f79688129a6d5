//! How a route picks an arm: a fixed rule, or one that learns. Owns the immutable state and the draw from it.
//!
//! Learning and deciding are split: whatever computes a vector of probabilities publishes it as a [`PolicyState`],
//! and a decision is one draw from that vector, so its propensity is exact and it can be replayed from the
//! [`Decision`]. Where the vector depends on the call, the state holds what makes it, and the decision the vector made.

use crate::feature::{Facts, Features};
use crate::learn::ContextState;
use crate::share::{self, Shares, SharesFault};
use crate::sticky::{self, Salt};
use arc_swap::ArcSwap;
use std::sync::Arc;
use tidegate_core::event::Decision;
use tidegate_core::spec::route::{PolicySpec, RouteSpec};
use tidegate_core::{Dice, StateId};

/// What a policy knows at one moment: never changed, only replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyState {
    shares: Shares,
    id: Option<StateId>,
    context: Option<Arc<ContextState>>,
}

impl PolicyState {
    /// The state with these probabilities, which stay; it needs no name.
    #[must_use]
    pub const fn fixed(shares: Shares) -> Self {
        Self { shares, id: None, context: None }
    }

    /// The state with these probabilities, reckoned from what is written as `knowledge`. Equal states have equal names.
    #[must_use]
    pub fn learnt(shares: Shares, knowledge: &[u8]) -> Self {
        let mut content: Vec<u8> = shares.vector().iter().flat_map(|share| share.to_bits().to_be_bytes()).collect();
        content.extend_from_slice(knowledge);
        Self { shares, id: Some(StateId::of(&content)), context: None }
    }

    /// The state whose probabilities depend on the features of a call.
    ///
    /// # Errors
    /// It has no arm.
    pub fn of_context(state: ContextState) -> Result<Self, SharesFault> {
        let mut shares = Vec::new();
        state.shares(&[], &mut shares);
        Ok(Self { shares: Shares::new(&shares)?, id: Some(state.id()), context: Some(Arc::new(state)) })
    }

    /// Names the state in records, where it was learnt.
    #[must_use]
    pub const fn id(&self) -> Option<StateId> {
        self.id
    }

    /// The probability of each arm; where it depends on the call, that of a call whose features are all 0.
    #[must_use]
    pub const fn shares(&self) -> &Arc<[f64]> {
        self.shares.vector()
    }

    /// The probability of each arm for a call with these features.
    #[must_use]
    pub fn shares_in(&self, features: &[f64]) -> Arc<[f64]> {
        match &self.context {
            Some(context) if !features.is_empty() => {
                let mut shares = Vec::new();
                context.shares(features, &mut shares);
                shares.into()
            }
            _ => Arc::clone(self.shares.vector()),
        }
    }

    /// How many features of a call its probabilities depend on.
    #[must_use]
    pub fn features(&self) -> usize {
        self.context.as_ref().map_or(0, |context| context.features())
    }
}

/// Where a learner publishes its states, and its policy finds them.
#[derive(Debug, Clone)]
pub struct StateCell(Arc<ArcSwap<PolicyState>>);

impl StateCell {
    /// A cell that holds `state`.
    #[must_use]
    pub fn new(state: PolicyState) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(state)))
    }

    /// A cell of shares that stay.
    ///
    /// # Errors
    /// They are no shares.
    pub fn fixed(shares: &[f64]) -> Result<Self, SharesFault> {
        Shares::new(shares).map(|shares| Self::new(PolicyState::fixed(shares)))
    }

    /// Puts another state into force, for all decisions from now on.
    pub fn publish(&self, state: PolicyState) {
        self.0.store(Arc::new(state));
    }

    /// The state in force.
    #[must_use]
    pub fn state(&self) -> Arc<PolicyState> {
        self.0.load_full()
    }
}

/// Picks the arm of a route for each call.
#[derive(Debug, Clone)]
pub struct Policy {
    salt: Salt,
    arms: Arc<[u64]>,
    states: StateCell,
    features: Option<Arc<Features>>,
}

impl Policy {
    /// The policy of `route`, which draws from whatever state `states` holds.
    ///
    /// # Errors
    /// If the state is over another number of arms.
    pub fn new(route: &RouteSpec, states: StateCell) -> Result<Self, SharesFault> {
        let arms: Arc<[u64]> = route.variants.iter().map(|v| sticky::arm_salt(v.name.as_str())).collect();
        let shares = states.state().shares().len();
        if arms.len() != shares || arms.is_empty() {
            return Err(SharesFault::Count { arms: arms.len(), shares });
        }
        let features = match &route.policy {
            PolicySpec::Learned(learned) if !learned.features.is_empty() => {
                Some(Arc::new(Features::new(learned.features.clone())))
            }
            _ => None,
        };
        let salt = route.experiment.as_deref().map_or_else(|| Salt::of(route.name.as_str()), Salt::of_experiment);
        Ok(Self { salt, arms, states, features })
    }

    /// The probability of each arm now, in the order of the route's variants.
    #[must_use]
    pub fn shares(&self) -> Arc<[f64]> {
        Arc::clone(self.states.state().shares())
    }

    /// Picks an arm for a call of which this is known. Facts are asked for only where the route's policy regards them.
    #[must_use]
    pub fn decide(&self, facts: &impl Facts, unit: Option<&[u8]>, dice: &dyn Dice) -> Decision {
        let regarded = self.features.as_ref().and_then(|features| features.regard(facts));
        let features = regarded.as_ref().map_or(&[][..], |regarded| &regarded.features);
        let decision = self.choose_in(features, unit, dice);
        Decision { regarded, ..decision }
    }

    /// Picks an arm: by chance, or always the same one for the same `unit` while shares stay.
    #[must_use]
    pub fn choose(&self, unit: Option<&[u8]>, dice: &dyn Dice) -> Decision {
        self.choose_in(&[], unit, dice)
    }

    /// Picks an arm for a call with these features, which change nothing where the state does not regard them. A unit
    /// keeps its arm as far as the shares for its calls stay.
    #[must_use]
    pub fn choose_in(&self, features: &[f64], unit: Option<&[u8]>, dice: &dyn Dice) -> Decision {
        let state = self.states.0.load();
        Decision { state: state.id(), ..self.choose_by(state.shares_in(features), unit, dice) }
    }

    /// Picks an arm by these shares, which are of this call alone: as many as there are arms.
    #[must_use]
    pub fn choose_by(&self, shares: Arc<[f64]>, unit: Option<&[u8]>, dice: &dyn Dice) -> Decision {
        let draw = unit.map_or_else(|| dice.unit(), |unit| self.salt.draw(unit));
        let arm = self.arm(&shares, draw, unit.is_some());
        Decision { shares, arm, draw, sticky: unit.is_some(), state: None, regarded: None, advised: None }
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

#[cfg(test)]
mod tests;
