//! The shares of routes whose shares are fixed, and which variants get none of them now because a monitor said so. Owns that a
//! route always has a variant left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate_core::spec::RouteSpec;
use tidegate_core::{MonitorName, RouteName, VariantName};
use tidegate_route::share::{Shares, SharesFault};
use tidegate_route::{PolicyState, StateCell};

/// So many cells of a route are remembered: that in force, and those of configurations that did not come into force.
const CELLS: usize = 4;

/// The shares of all such routes.
#[derive(Debug, Default)]
pub(crate) struct Valves(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cells: BTreeMap<RouteName, Vec<Fixed>>,
    /// By route and variant, who closed it.
    closed: BTreeMap<(RouteName, VariantName), BTreeSet<MonitorName>>,
}

#[derive(Debug)]
struct Fixed {
    variants: Vec<VariantName>,
    shares: Vec<f64>,
    cell: StateCell,
}

impl Valves {
    /// The cell of a route with these shares, less those of closed variants.
    ///
    /// # Errors
    /// They are no shares.
    pub(crate) fn cell(&self, route: &RouteSpec, shares: &[f64]) -> Result<StateCell, SharesFault> {
        let mut inner = self.inner();
        let fixed = Fixed {
            variants: route.variants.iter().map(|variant| variant.name.clone()).collect(),
            shares: shares.to_vec(),
            cell: StateCell::fixed(shares)?,
        };
        inner.publish(&route.name, &fixed);
        let cell = fixed.cell.clone();
        let cells = inner.cells.entry(route.name.clone()).or_default();
        cells.push(fixed);
        if cells.len() > CELLS {
            cells.remove(0);
        }
        Ok(cell)
    }

    /// Gives a variant no more calls, or what it had; whether that is new.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "without plugins nobody judges"))]
    pub(super) fn set(&self, route: &RouteName, variant: &VariantName, by: &MonitorName, is_closed: bool) -> bool {
        let mut inner = self.inner();
        let of = (route.clone(), variant.clone());
        let is_new = if is_closed {
            inner.closed.entry(of).or_default().insert(by.clone())
        } else {
            let was = inner.closed.get_mut(&of).is_some_and(|by_whom| by_whom.remove(by));
            inner.closed.retain(|_, by_whom| !by_whom.is_empty());
            was
        };
        if is_new {
            let cells = inner.cells.remove(route).unwrap_or_default();
            cells.iter().for_each(|fixed| inner.publish(route, fixed));
            inner.cells.insert(route.clone(), cells);
        }
        is_new
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn publish(&self, route: &RouteName, fixed: &Fixed) {
        let is_open = |variant: &VariantName| !self.closed.contains_key(&(route.clone(), variant.clone()));
        let open: Vec<f64> = fixed
            .variants
            .iter()
            .zip(&fixed.shares)
            .map(|(variant, share)| if is_open(variant) { *share } else { 0.0 })
            .collect();
        match Shares::new(&open) {
            Ok(shares) => fixed.cell.publish(PolicyState::fixed(shares)),
            // Callers would get nothing: what there is is better than that.
            Err(_) => tracing::error!(%route, "all variants with a share are disabled: they keep their shares"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitors::testing::route;

    fn shares(cell: &StateCell) -> Vec<f64> {
        cell.state().shares().to_vec()
    }

    #[test]
    fn a_closed_variant_has_no_share_until_each_who_closed_it_opens_it() {
        let valves = Valves::default();
        let route = route(&["a", "b", "c"]);
        let cell = valves.cell(&route, &[0.5, 0.25, 0.25]).unwrap();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let (one, two): (MonitorName, MonitorName) = ("one".parse().unwrap(), "two".parse().unwrap());
        assert!(valves.set(&route.name, &a, &one, true) && !valves.set(&route.name, &a, &one, true));
        assert_eq!(shares(&cell), [0.0, 0.5, 0.5]);
        valves.set(&route.name, &a, &two, true);
        valves.set(&route.name, &a, &one, false);
        assert_eq!(shares(&cell), [0.0, 0.5, 0.5]);
        let after_a_reload = valves.cell(&route, &[0.5, 0.5, 0.0]).unwrap();
        assert_eq!(shares(&after_a_reload), [0.0, 1.0, 0.0]);
        valves.set(&route.name, &b, &two, true);
        assert_eq!(shares(&after_a_reload), [0.0, 1.0, 0.0], "somebody has to answer");
        valves.set(&route.name, &a, &two, false);
        assert_eq!((shares(&cell), shares(&after_a_reload)), (vec![2.0 / 3.0, 0.0, 1.0 / 3.0], vec![1.0, 0.0, 0.0]));
    }
}
