//! Who says which shares the arms of a route have: nobody but the configuration, a learner, or a rollout.

use super::Granting;
use crate::learning::Learners;
use crate::monitors::{Monitors, Valves};
use crate::rollouts::Rollouts;
use crate::shadows::Accounts;
use anyhow::Context as _;
use std::sync::Arc;
use tidegate_core::RouteName;
use tidegate_core::port::verdicts::Verdicts;
use tidegate_core::port::watcher::Watcher;
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
    /// Of variants that a monitor disables.
    pub(crate) valves: Arc<Valves>,
    /// What watches.
    pub(crate) monitors: Arc<Monitors>,
    /// What monitors say, for cascades.
    pub(crate) verdicts: Arc<dyn Verdicts>,
}

impl Deciders {
    /// What a route draws its arms from.
    ///
    /// # Errors
    /// The route has no arm, or what is kept of its rollout cannot be read.
    pub(crate) fn states(&self, route: &RouteSpec) -> anyhow::Result<StateCell> {
        let states = match &route.policy {
            PolicySpec::Weighted(shares) => self.valves.cell(route, shares).map_err(Into::into),
            PolicySpec::Cascade(CascadeSpec { shares, .. }) => StateCell::fixed(shares).map_err(Into::into),
            // Each call has shares of its own.
            PolicySpec::Steered(_) | PolicySpec::Rules(_) | PolicySpec::Advised(_) => {
                StateCell::fixed(&vec![1.0; route.variants.len()]).map_err(Into::into)
            }
            PolicySpec::Learned(learned) => self.learners.cell(route, learned),
            PolicySpec::Rollout(rollout) => self.rollouts.cell(route, rollout),
        };
        states.with_context(|| format!("route `{}`", route.name))
    }

    /// Who watches the calls of a route.
    ///
    /// # Errors
    /// A monitor cannot be.
    #[cfg(feature = "host")]
    pub(crate) fn watchers(
        &self,
        route: &RouteName,
        spec: &GatewaySpec,
        judges: &Granting,
    ) -> anyhow::Result<Vec<Arc<dyn Watcher>>> {
        self.monitors.watchers(route, spec, judges)
    }

    /// Nobody does without plugins.
    ///
    /// # Errors
    /// Somebody is to.
    #[cfg(not(feature = "host"))]
    pub(crate) fn watchers(
        &self,
        _: &RouteName,
        spec: &GatewaySpec,
        _: &Granting,
    ) -> anyhow::Result<Vec<Arc<dyn Watcher>>> {
        self.monitors.refused(spec).map(|()| Vec::new())
    }

    /// This configuration is in force from now on.
    pub(crate) fn in_force(&self, spec: &GatewaySpec) {
        self.learners.declared(spec);
        self.rollouts.in_force(spec);
        #[cfg(feature = "host")]
        self.monitors.in_force(spec);
    }
}
