//! How the endpoints of providers stand, as metrics and for `/readyz`. Owns their names there; the states are the
//! backends' own, asked when somebody looks. Only providers that a route leads to are shown.

use super::exposition::Exposition;
use crate::snapshot::Snapshot;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidegate_core::ProviderName;
use tidegate_core::port::backend::{EjectReason, EndpointReport, EndpointState};

/// The families of metrics about endpoints.
#[must_use]
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let all = reports(snapshot);
    let each = || all.iter().flat_map(|(provider, reports)| reports.iter().map(move |report| (*provider, report)));
    let mut page = Exposition::new();
    page.gauge(
        "tidegate_endpoint_state",
        "Whether an endpoint takes calls: 0 it does, 1 it is on trial, 2 it is ejected.",
    );
    for (provider, report) in each() {
        page.series(&labels(provider, report), number_of(report.state));
    }
    page.gauge("tidegate_endpoint_in_flight", "Calls under way at an endpoint.");
    for (provider, report) in each() {
        page.series(&labels(provider, report), report.load);
    }
    page.counter("tidegate_endpoint_ejections_total", "Ejections of an endpoint, by reason.");
    for (provider, report) in each() {
        let [provider, endpoint] = labels(provider, report);
        for (reason, count) in EjectReason::ALL.iter().zip(report.ejections) {
            page.series(&[provider, endpoint, ("reason", reason.label())], count);
        }
    }
    page.finish()
}

/// The providers of which not all endpoints take calls, and how many do; no addresses, since anybody may ask.
#[must_use]
pub(crate) fn degraded(snapshot: &Snapshot) -> Map<String, Value> {
    let shown = |(provider, reports): (&ProviderName, Vec<EndpointReport>)| {
        let taking = reports.iter().filter(|report| report.state == EndpointState::Closed).count();
        (taking < reports.len())
            .then(|| (provider.to_string(), json!({"endpoints": reports.len(), "taking_calls": taking})))
    };
    reports(snapshot).into_iter().filter_map(shown).collect()
}

fn reports(snapshot: &Snapshot) -> BTreeMap<&ProviderName, Vec<EndpointReport>> {
    let mut all = BTreeMap::new();
    let routes = || snapshot.routes.values();
    let shadows = routes().flat_map(|route| &route.shadows).map(|shadow| &shadow.arm);
    for arm in routes().flat_map(|route| &route.arms).chain(shadows) {
        all.entry(&arm.provider).or_insert_with(|| arm.backend.endpoints());
    }
    all
}

fn labels<'a>(provider: &'a ProviderName, report: &'a EndpointReport) -> [(&'static str, &'a str); 2] {
    [("provider", provider.as_str()), ("endpoint", report.name.as_str())]
}

const fn number_of(state: EndpointState) -> u8 {
    match state {
        EndpointState::Closed => 0,
        EndpointState::HalfOpen => 1,
        EndpointState::Open => 2,
    }
}
