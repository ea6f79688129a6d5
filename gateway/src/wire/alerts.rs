//! Those who are told of alarms: built from their specs, with the one client for single requests.

use crate::alerts::{Messenger, Teller};
use std::sync::Arc;
use tidegate_core::spec::{AdminSpec, GatewaySpec};
use tidegate_core::{Clock, Dice};
use tidegate_server::observe::metrics::Metrics;
use tidegate_upstream::TlsRoots;
use tidegate_upstream::outbound::{Appetite, OneShot};

/// What sends to receivers.
pub(crate) fn messenger(clock: &Arc<dyn Clock>, admin: Option<&AdminSpec>) -> Messenger {
    let outbound = Arc::new(OneShot::new(TlsRoots::system, Appetite::Beginning));
    Messenger::new(outbound, Arc::clone(clock), admin)
}

/// Begins to tell of alarms, by the alerts of `spec`.
pub(crate) fn begin(
    spec: &GatewaySpec,
    clock: &Arc<dyn Clock>,
    dice: &Arc<dyn Dice>,
    metrics: &Metrics,
) -> Arc<Teller> {
    let messenger = messenger(clock, spec.admin.as_ref());
    let teller = Arc::new(Teller::new(messenger, Arc::clone(clock), Arc::clone(dice)));
    teller.in_force(&spec.alerts);
    metrics.count_alerts(Arc::<Teller>::clone(&teller));
    teller
}
