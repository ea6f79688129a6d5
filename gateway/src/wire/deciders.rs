//! Who says which shares the arms of a route have: nobody but the configuration, a learner, or a rollout.

use crate::learning::Learners;
use crate::rollouts::Rollouts;
use crate::shadows::Accounts;
use anyhow::Context as _;
use std::sync::Arc;
use tidegate_core::spec::{CascadeSpec, GatewaySpec, PolicySpec, RouteSpec};
use tidegate_route::StateCell;

/// Those who decide.
#[derive(Debug, Clone)]
pub(crate) struct Deciders {
    /// Of routes that learn.
    pub(crate) learners: Arc<Learners>,
    /// Of routes that change from one arm to another.
    pub(crate) rollouts: Arc<Rollouts>,
    /// What shadows did and spent.
    pub(crate) shadows: Arc<Accounts>,
}

impl Deciders {
    /// What a route draws its arms from.
    ///
    /// # Errors
    /// The route has no arm, or what is kept of its rollout cannot be read.
    pub(crate) fn states(&self, route: &RouteSpec) -> anyhow::Result<StateCell> {
        let states = match &route.policy {
            PolicySpec::Weighted(shares) | PolicySpec::Cascade(CascadeSpec { shares, .. }) => {
                StateCell::fixed(shares).map_err(Into::into)
            }
            // Each call has shares of its own.
            PolicySpec::Steered(_) | PolicySpec::Rules(_) => {
                StateCell::fixed(&vec![1.0; route.variants.len()]).map_err(Into::into)
            }
            PolicySpec::Learned(learned) => self.learners.cell(route, learned),
            PolicySpec::Rollout(rollout) => self.rollouts.cell(route, rollout),
        };
        states.with_context(|| format!("route `{}`", route.name))
    }

    /// This configuration is in force from now on.
    pub(crate) fn in_force(&self, spec: &GatewaySpec) {
        self.learners.declared(spec);
        self.rollouts.in_force(spec);
    }
}
