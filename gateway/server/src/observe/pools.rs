//! How the queues of classic models in this process stand, and what broke their contracts, as metrics. Owns their names there;
//! the figures are the models' own, asked when somebody looks. Only models that a route leads to are shown, be it through a graph or as a shadow.

use super::exposition::Exposition;
use crate::snapshot::{Arm, Snapshot};
use std::collections::BTreeMap;
use tidegate_core::ModelName;
use tidegate_core::port::backend::{Backend, PoolReport};

/// One family without other labels than the model.
type Plain = (&'static str, &'static str, fn(&PoolReport) -> u64);

const GAUGES: [Plain; 2] = [
    ("tidegate_classic_running", "Batches that a classic model runs.", |r| r.running as u64),
    ("tidegate_classic_waiting", "Calls that wait for a classic model.", |r| r.waiting as u64),
];

const COUNTERS: [Plain; 2] = [
    ("tidegate_classic_at_once_total", "Calls that a classic model answered without a batch.", |r| r.at_once),
    ("tidegate_classic_refused_total", "Calls refused since the queue of a classic model was full.", |r| r.refused),
];

/// The families of metrics about classic models; nothing where there is none.
#[must_use]
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let routes = || snapshot.routes.values();
    let shadows = routes().flat_map(|route| &route.shadows).map(|shadow| &shadow.arm);
    let arms = routes().flat_map(|route| &route.arms).chain(shadows);
    let models: BTreeMap<&ModelName, &dyn Backend> = arms.flat_map(models_of).collect();
    let pools = models.iter().filter_map(|(name, model)| Some((*name, model.pool()?))).collect();
    let classic = models.iter().filter(|(_, model)| model.is_classic());
    let broken = classic.map(|(name, model)| (*name, model.violations())).collect();
    page(&pools) + &contracts(&broken)
}

/// What an arm leads to: its model, and those of its graph.
fn models_of(arm: &Arm) -> impl Iterator<Item = (&ModelName, &dyn Backend)> {
    let own: (&ModelName, &dyn Backend) = (&arm.model, &*arm.backend);
    arm.backend.members().into_iter().chain([own])
}

/// What broke a contract, by the field and the kind of rule.
type Broken = Vec<(String, &'static str, u64)>;

fn contracts(all: &BTreeMap<&ModelName, Broken>) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut page = Exposition::new();
    page.counter("tidegate_contract_violations_total", "Inputs that broke what was agreed of a classic model's field.");
    for (model, broken) in all {
        for (field, rule, count) in broken {
            page.series(&[("model", model.as_str()), ("field", field), ("rule", rule)], count);
        }
    }
    page.finish()
}

fn page(all: &BTreeMap<&ModelName, PoolReport>) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut page = Exposition::new();
    for (name, help, value) in GAUGES {
        page.gauge(name, help);
        for (model, report) in all {
            page.series(&[("model", model.as_str())], value(report));
        }
    }
    for (name, help, value) in COUNTERS {
        page.counter(name, help);
        for (model, report) in all {
            page.series(&[("model", model.as_str())], value(report));
        }
    }
    page.histogram("tidegate_classic_batch_rows", "Rows that a classic model ran together.");
    for (model, report) in all {
        sizes(&mut page, model, report);
    }
    page.finish()
}

/// The batches of a model by their size; the last size has no bound.
fn sizes(page: &mut Exposition, model: &ModelName, report: &PoolReport) {
    let bounded = report.sizes.len().saturating_sub(1);
    let mut sum = 0;
    for (power, count) in report.sizes.iter().take(bounded).enumerate() {
        sum += count;
        let most = (1_u64 << power.min(63)).to_string();
        page.suffixed("_bucket", &[("model", model.as_str()), ("le", &most)], sum);
    }
    let all: u64 = report.sizes.iter().sum();
    page.suffixed("_bucket", &[("model", model.as_str()), ("le", "+Inf")], all);
    page.suffixed("_sum", &[("model", model.as_str())], report.rows);
    page.suffixed("_count", &[("model", model.as_str())], all);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_batches_are_a_histogram() {
        let model: ModelName = "fraud".parse().unwrap();
        let report = PoolReport { sizes: vec![5, 1, 2], rows: 40, refused: 7, ..PoolReport::default() };
        let broken = vec![("age".to_owned(), "between", 3)];
        let page = page(&BTreeMap::from([(&model, report)])) + &contracts(&BTreeMap::from([(&model, broken)]));
        for line in [
            "tidegate_classic_batch_rows_bucket{model=\"fraud\",le=\"1\"} 5",
            "tidegate_classic_batch_rows_bucket{model=\"fraud\",le=\"2\"} 6",
            "tidegate_classic_batch_rows_bucket{model=\"fraud\",le=\"+Inf\"} 8",
            "tidegate_classic_batch_rows_sum{model=\"fraud\"} 40",
            "tidegate_classic_batch_rows_count{model=\"fraud\"} 8",
            "tidegate_classic_refused_total{model=\"fraud\"} 7",
            "tidegate_contract_violations_total{model=\"fraud\",field=\"age\",rule=\"between\"} 3",
        ] {
            assert!(page.lines().any(|said| said == line), "{line} is not in\n{page}");
        }
        assert!(super::page(&BTreeMap::new()).is_empty());
    }
}
