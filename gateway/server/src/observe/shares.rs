//! The share of each arm of each route now, as a metric: what a learner or a rollout made of it shows here. Where each call
//! has shares of its own they stand in its record alone.

use super::exposition::Exposition;
use crate::snapshot::Snapshot;

/// The family of metrics about shares.
#[must_use]
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let mut routes: Vec<_> =
        snapshot.routes.values().filter(|route| route.arms.len() > 1 && route.by_call.is_none()).collect();
    routes.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    let mut page = Exposition::new();
    page.gauge("tidegate_route_share", "The share of a route's calls that a variant gets now.");
    for route in routes {
        for (arm, share) in route.arms.iter().zip(route.policy.shares().iter()) {
            page.series(&[("route", route.spec.name.as_str()), ("variant", arm.name.as_str())], share);
        }
    }
    page.finish()
}
