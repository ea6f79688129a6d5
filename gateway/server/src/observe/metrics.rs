//! The metrics. Owns what is counted and how it is named; every label value comes from the configuration or from a
//! closed set, so that no caller can add a series. Counting takes atomic additions only; text is made at a scrape.

mod meters;

#[cfg(test)]
mod tests;

use super::alerts::AlertCounts;
use super::exposition::Exposition;
use super::histogram::Histogram;
use super::learning::LearningCounts;
use super::leases::LeaseCounts;
use super::monitors::MonitorCounts;
use super::plugins::PluginCounts;
use super::process;
use crate::snapshot::Served;
use arc_swap::ArcSwap;
use http::StatusCode;
use meters::{Counter, RouteMeters};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tidegate_core::port::events::DropReason;
use tidegate_core::{Api, Event, RouteName, VariantName};

/// The label of what no configuration names.
const OTHER: &str = "other";

/// Who knows what became of the records: the event store.
pub trait RecordCounts: Send + Sync + fmt::Debug {
    /// Records kept.
    fn kept(&self) -> u64;
    /// Records dropped for this reason.
    fn dropped(&self, reason: DropReason) -> u64;
}

/// All that is counted.
#[derive(Debug)]
pub struct Metrics {
    calls: [Counter; Api::ALL.len()],
    observed: Counter,
    responses: [Counter; 6],
    reloads_taken: Counter,
    reloads_refused: Counter,
    table: ArcSwap<Table>,
    config: ArcSwap<String>,
    served: ArcSwap<Vec<Served>>,
    models_refused: Counter,
    models_learnt: Histogram<14>,
    models_loaded: Histogram<14>,
    records: OnceLock<Arc<dyn RecordCounts>>,
    leases: OnceLock<Arc<dyn LeaseCounts>>,
    learning: OnceLock<Arc<dyn LearningCounts>>,
    monitors: OnceLock<Arc<dyn MonitorCounts>>,
    plugins: OnceLock<Arc<dyn PluginCounts>>,
    alerts: OnceLock<Arc<dyn AlertCounts>>,
}

/// The series of one configuration.
#[derive(Debug, Default)]
struct Table {
    routes: HashMap<RouteName, Arc<RouteMeters>>,
    other: Arc<RouteMeters>,
}

impl Table {
    fn of(&self, route: Option<&RouteName>) -> &RouteMeters {
        route.and_then(|name| self.routes.get(name)).unwrap_or(&self.other)
    }
}

impl Metrics {
    /// Metrics with the series of these routes and their variants.
    #[must_use]
    pub fn new(routes: impl IntoIterator<Item = (RouteName, Vec<VariantName>)>) -> Self {
        let metrics = Self {
            calls: Default::default(),
            observed: Counter::default(),
            responses: Default::default(),
            reloads_taken: Counter::default(),
            reloads_refused: Counter::default(),
            table: ArcSwap::default(),
            config: ArcSwap::default(),
            served: ArcSwap::default(),
            models_refused: Counter::default(),
            models_learnt: Histogram::default(),
            models_loaded: Histogram::default(),
            records: OnceLock::new(),
            leases: OnceLock::new(),
            learning: OnceLock::new(),
            monitors: OnceLock::new(),
            plugins: OnceLock::new(),
            alerts: OnceLock::new(),
        };
        metrics.rebuild(routes);
        metrics
    }

    /// Follows a reload: series of routes and variants that stay go on counting, those of others end.
    pub fn rebuild(&self, routes: impl IntoIterator<Item = (RouteName, Vec<VariantName>)>) {
        let before = self.table.load();
        let routes = routes.into_iter().map(|(name, variants)| {
            let meters = RouteMeters::following(before.routes.get(&name).map(|meters| &**meters), variants);
            (name, Arc::new(meters))
        });
        self.table.store(Arc::new(Table { routes: routes.collect(), other: Arc::clone(&before.other) }));
    }

    /// Notes the hash of the configuration in force.
    pub fn configured(&self, hash: &str) {
        self.config.store(Arc::new(hash.to_owned()));
    }

    /// Notes which models of the registry are served.
    pub fn serving(&self, served: &[Served]) {
        self.served.store(Arc::new(served.to_vec()));
    }

    /// Counts a version of the registry that could not be loaded.
    pub fn model_refused(&self) {
        self.models_refused.add(1);
    }

    /// Counts how long it took until a change of the registry was seen here.
    pub fn model_learnt(&self, after: Duration) {
        self.models_learnt.count(micros(after), &meters::DURATIONS);
    }

    /// Counts how long it took until a version of the registry was ready to serve.
    pub fn model_loaded(&self, took: Duration) {
        self.models_loaded.count(micros(took), &meters::DURATIONS);
    }

    /// Counts a reload, taken or refused.
    pub fn reloaded(&self, taken: bool) {
        if taken { &self.reloads_taken } else { &self.reloads_refused }.add(1);
    }

    /// Names who knows what became of the records; the first one stays.
    pub fn count_records(&self, records: Arc<dyn RecordCounts>) {
        self.records.get_or_init(|| records);
    }

    /// Names who knows how the shared store fares; the first one stays.
    pub fn count_leases(&self, leases: Arc<dyn LeaseCounts>) {
        self.leases.get_or_init(|| leases);
    }

    /// Shows what replicas learn from each other, too.
    pub fn count_learning(&self, learning: Arc<dyn LearningCounts>) {
        self.learning.get_or_init(|| learning);
    }

    /// Shows what monitors found, too.
    pub fn count_monitors(&self, monitors: Arc<dyn MonitorCounts>) {
        self.monitors.get_or_init(|| monitors);
    }

    /// Names who knows how plugins fare; the first one stays.
    pub fn count_plugins(&self, plugins: Arc<dyn PluginCounts>) {
        self.plugins.get_or_init(|| plugins);
    }

    /// Shows what became of alarms, too; the first one stays.
    pub fn count_alerts(&self, alerts: Arc<dyn AlertCounts>) {
        self.alerts.get_or_init(|| alerts);
    }

    /// Counts a call whose head matched a path of an interface.
    pub fn accepted(&self, api: Api) {
        self.calls[meters::index_of(api)].add(1);
    }

    /// Counts an answer of whatever path.
    pub fn responded(&self, status: StatusCode) {
        self.responses[meters::class_of(status.as_u16())].add(1);
    }

    /// Counts a call that ended; each accepted one comes here once.
    pub fn observe(&self, event: &Event) {
        self.observed.add(1);
        self.table.load().of(event.route.as_ref()).count(event);
    }

    /// The page that Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Exposition::new();
        self.write_calls(&mut page);
        let table = self.table.load();
        let mut routes: BTreeMap<&str, &RouteMeters> =
            table.routes.iter().map(|(name, meters)| (name.as_str(), &**meters)).collect();
        // A route may be called `other`; its own figures are then shown, and those of no route are not.
        routes.entry(OTHER).or_insert(&table.other);
        meters::write(&routes, &mut page);
        if let Some(learning) = self.learning.get() {
            super::learning::write(&**learning, &mut page);
        }
        if let Some(monitors) = self.monitors.get() {
            super::monitors::write(&**monitors, &mut page);
        }
        if let Some(leases) = self.leases.get() {
            super::leases::write(&**leases, &mut page);
        }
        let plugins = self.plugins.get().map(|plugins| plugins.plugins()).unwrap_or_default();
        // A gateway without plugins has no series of them.
        if !plugins.is_empty() {
            super::plugins::write(&plugins, &mut page);
        }
        if let Some(alerts) = self.alerts.get() {
            super::alerts::write(&**alerts, &mut page);
        }
        self.write_program(&mut page);
        process::write(&mut page);
        page.finish()
    }

    fn write_calls(&self, page: &mut Exposition) {
        page.counter("tidegate_calls_total", "Calls whose head matched a path of an interface.");
        for api in Api::ALL {
            page.series(&[("api", meters::label_of(api))], self.calls[meters::index_of(api)].get());
        }
        // Read behind the calls, so that their difference is never too large by a call that ends between.
        let ended = self.observed.get();
        let accepted: u64 = self.calls.iter().map(Counter::get).sum();
        page.gauge("tidegate_in_flight", "Calls that are being served.").series(&[], accepted.saturating_sub(ended));
        let records = self.records.get();
        let kept = records.map_or(0, |records| records.kept());
        page.counter("tidegate_events_total", "Records of calls that the event store keeps.").series(&[], kept);
        page.counter("tidegate_events_dropped_total", "Records of calls that were lost, by reason.");
        for reason in DropReason::ALL {
            page.series(&[("reason", reason.label())], records.map_or(0, |records| records.dropped(reason)));
        }
        page.counter("tidegate_http_responses_total", "Answers on all paths.");
        for (class, count) in meters::CLASSES.iter().zip(&self.responses).skip(1) {
            page.series(&[("status_class", class)], count.get());
        }
    }

    fn write_program(&self, page: &mut Exposition) {
        page.counter("tidegate_config_reloads_total", "Reloads of the configuration.");
        page.series(&[("result", "taken")], self.reloads_taken.get());
        page.series(&[("result", "refused")], self.reloads_refused.get());
        page.gauge("tidegate_model_version", "The version that serves of a model of the registry.");
        for served in self.served.load().iter() {
            page.series(&[("model", served.model.as_str())], u64::from(served.version));
        }
        page.counter("tidegate_model_loads_refused_total", "Versions of the registry that could not be loaded.");
        page.series(&[], self.models_refused.get());
        page.histogram("tidegate_model_learn_seconds", "From a change of the registry until it was seen here.");
        self.models_learnt.write(page, &[], &meters::DURATIONS, meters::MICROS);
        page.histogram("tidegate_model_load_seconds", "Until a version of the registry was ready to serve.");
        self.models_loaded.write(page, &[], &meters::DURATIONS, meters::MICROS);
        page.gauge("tidegate_config_info", "The configuration in force.").series(&[("hash", &self.config.load())], 1);
        page.gauge("tidegate_build_info", "The program.").series(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
