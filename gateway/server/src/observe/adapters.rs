//! The adapters of local models, as metrics. Owns their names there; how they stand is the backends' own, asked when
//! somebody looks. Only those of models that a route leads to are shown.

use super::exposition::Exposition;
use crate::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::ModelName;
use tidegate_core::port::adapters::{AdapterState, AdapterStatus, Adapters};

/// The families of metrics about adapters; nothing where there are none.
#[must_use]
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let mut all: BTreeMap<&ModelName, Arc<dyn Adapters>> = BTreeMap::new();
    let shadows = snapshot.routes.values().flat_map(|route| &route.shadows).map(|shadow| &shadow.arm);
    for arm in snapshot.routes.values().flat_map(|route| &route.arms).chain(shadows) {
        if let Some(adapters) = arm.backend.adapters() {
            all.insert(&arm.model, adapters);
        }
    }
    let listed: Vec<(&ModelName, Vec<AdapterStatus>)> = all.iter().map(|(model, it)| (*model, it.list())).collect();
    if listed.iter().all(|(_, list)| list.is_empty()) {
        return String::new();
    }
    let mut page = Exposition::new();
    let each = || listed.iter().flat_map(|(model, list)| list.iter().map(move |one| (model.as_str(), one)));
    let in_force = || each().filter(|(_, one)| one.state != AdapterState::Draining);
    page.counter("tidegate_adapter_requests_total", "Calls that wore an adapter.");
    for (model, one) in in_force() {
        page.series(&[("model", model), ("adapter", &one.name)], one.requests);
    }
    page.gauge("tidegate_adapter_info", "The generation of an adapter in force.");
    for (model, one) in in_force() {
        page.series(&[("model", model), ("adapter", &one.name), ("generation", &one.generation)], 1);
    }
    page.gauge(
        "tidegate_adapter_resident",
        "Whether an adapter is in memory; one that is not is read when it is called.",
    );
    for (model, one) in in_force() {
        let labels = [("model", model), ("adapter", one.name.as_str())];
        page.series(&labels, u8::from(one.state == AdapterState::Resident));
    }
    page.gauge(
        "tidegate_adapter_in_flight",
        "Calls under way that wear an adapter, those of generations that leave too.",
    );
    let mut active: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (model, one) in each() {
        *active.entry((model, &one.name)).or_default() += one.active;
    }
    for ((model, adapter), active) in active {
        page.series(&[("model", model), ("adapter", adapter)], active);
    }
    page.gauge("tidegate_adapter_memory_bytes", "Memory that adapters take.");
    for (model, adapters) in &all {
        page.series(&[("model", model.as_str())], adapters.totals().used);
    }
    page.counter("tidegate_adapter_loads_total", "Times that an adapter was read into memory.");
    for (model, adapters) in &all {
        page.series(&[("model", model.as_str())], adapters.totals().loads);
    }
    page.counter("tidegate_adapter_evictions_total", "Times that an adapter made room for others.");
    for (model, adapters) in &all {
        page.series(&[("model", model.as_str())], adapters.totals().evictions);
    }
    page.finish()
}
