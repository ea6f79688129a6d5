//! The meters of a route and of its variants. Owns their dimensions, the bounds of the histograms (as the OpenTelemetry
//! GenAI conventions advise) and their text.

use crate::observe::exposition::Exposition;
use crate::observe::histogram::Histogram;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_core::event::{Attempt, Poor};
use tidegate_core::{Api, Event, FaultKind, Outcome, Side, VariantName};

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A sum of money.
#[derive(Debug, Default)]
struct Sum(AtomicU64);

impl Sum {
    fn add(&self, by: f64) {
        let add = |bits| Some((f64::from_bits(bits) + by).to_bits());
        // The update cannot fail: it always gives a value.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or_default();
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

const OUTCOMES: [&str; 6] = ["ok", "client", "upstream", "us", "cancelled", "panic"];
/// By the first digit of the status; `none` where none was sent.
pub(super) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
const RESULTS: [&str; 10] =
    ["ok", "unreachable", "timeout", "rate_limited", "refused", "misconfigured", "failed", "cut", "other", "lost"];
/// Of second requests: whether they answered first.
const HEDGES: [&str; 2] = ["won", "lost"];

/// Microseconds.
pub(super) const DURATIONS: [u64; 14] = [
    10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 5_120_000, 10_240_000, 20_480_000,
    40_960_000, 81_920_000,
];
/// Microseconds.
const FIRSTS: [u64; 16] = [
    1_000, 5_000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 2_500_000,
    5_000_000, 7_500_000, 10_000_000,
];
const TOKENS: [u64; 14] =
    [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];
pub(super) const MICROS: f64 = 1e6;

pub(super) const fn index_of(api: Api) -> usize {
    match api {
        Api::ChatCompletions => 0,
        Api::Completions => 1,
        Api::Embeddings => 2,
        Api::Predict => 3,
        Api::Rerank => 4,
    }
}

pub(super) const fn label_of(api: Api) -> &'static str {
    match api {
        Api::ChatCompletions => "chat_completions",
        Api::Completions => "completions",
        Api::Embeddings => "embeddings",
        Api::Predict => "predict",
        Api::Rerank => "rerank",
    }
}

pub(super) fn class_of(status: u16) -> usize {
    match status / 100 {
        class @ 1..=5 => usize::from(class),
        _ => 0,
    }
}

const fn outcome_of(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Ok => 0,
        Outcome::Fault(kind) => match kind.side() {
            Side::Client => 1,
            Side::Upstream => 2,
            Side::Us => 3,
        },
        Outcome::Cancelled => 4,
        Outcome::Panic => 5,
    }
}

const fn result_of(attempt: &Attempt) -> usize {
    match attempt.fault {
        None if attempt.lost => 9,
        None => 0,
        Some(FaultKind::Unreachable) => 1,
        Some(FaultKind::UpstreamTimeout) => 2,
        Some(FaultKind::UpstreamRateLimited) => 3,
        Some(FaultKind::UpstreamRefused | FaultKind::ContextLength | FaultKind::ContentFilter) => 4,
        Some(FaultKind::UpstreamMisconfigured) => 5,
        Some(FaultKind::UpstreamFailed) => 6,
        Some(FaultKind::StreamCut) => 7,
        Some(_) => 8,
    }
}

/// What a variant counts.
#[derive(Debug, Default)]
struct VariantMeters {
    requests: [[[Counter; CLASSES.len()]; OUTCOMES.len()]; Api::ALL.len()],
    attempts: [Counter; RESULTS.len()],
    /// Answers that were too poor, by why.
    poor: [Counter; Poor::ALL.len()],
}

/// What a route counts for one interface.
#[derive(Debug, Default)]
struct Timings {
    duration: Histogram<14>,
    first_token: Histogram<16>,
    input: Histogram<14>,
    output: Histogram<14>,
}

#[derive(Debug, Default)]
struct Totals {
    timings: [Timings; Api::ALL.len()],
    cost_usd: Sum,
    hedges: [Counter; HEDGES.len()],
}

/// The meters of a route.
#[derive(Debug, Default)]
pub(super) struct RouteMeters {
    totals: Arc<Totals>,
    variants: Vec<(VariantName, Arc<VariantMeters>)>,
    /// Calls that ended before an arm was chosen, or on one that is gone since.
    other: Arc<VariantMeters>,
}

impl RouteMeters {
    /// Meters for these variants, which go on where `before` has them.
    pub(super) fn following(before: Option<&Self>, variants: Vec<VariantName>) -> Self {
        let Some(before) = before else {
            return Self {
                variants: variants.into_iter().map(|name| (name, Arc::default())).collect(),
                ..Self::default()
            };
        };
        let variants = variants.into_iter().map(|name| {
            let meters = before.find(&name).map(Arc::clone).unwrap_or_default();
            (name, meters)
        });
        Self { totals: Arc::clone(&before.totals), variants: variants.collect(), other: Arc::clone(&before.other) }
    }

    fn find(&self, name: &VariantName) -> Option<&Arc<VariantMeters>> {
        self.variants.iter().find(|(known, _)| known == name).map(|(_, meters)| meters)
    }

    fn of(&self, variant: Option<&VariantName>) -> &VariantMeters {
        variant.and_then(|name| self.find(name)).unwrap_or(&self.other)
    }

    /// Counts one call.
    pub(super) fn count(&self, event: &Event) {
        let api = index_of(event.api);
        self.of(event.variant.as_ref()).requests[api][outcome_of(event.outcome)][class_of(event.status)].add(1);
        for attempt in &event.attempts {
            let meters = self.of(Some(&attempt.variant));
            meters.attempts[result_of(attempt)].add(1);
            if let Some(count) = attempt.poor.and_then(|poor| meters.poor.get(poor as usize)) {
                count.add(1);
            }
            if attempt.hedge {
                self.totals.hedges[usize::from(attempt.lost || attempt.fault.is_some())].add(1);
            }
        }
        let timings = &self.totals.timings[api];
        // What never went out would tell nothing of how long models take.
        if !event.attempts.is_empty() {
            timings.duration.count(event.total_us, &DURATIONS);
        }
        if let (true, Some(first)) = (event.stream, event.first_us) {
            timings.first_token.count(first, &FIRSTS);
        }
        if let Some(usage) = event.usage {
            timings.input.count(usage.prompt, &TOKENS);
            if event.api.makes_text() {
                timings.output.count(usage.completion, &TOKENS);
            }
        }
        if let Some(cost) = event.cost_usd {
            self.totals.cost_usd.add(cost);
        }
    }

    fn each_variant(&self) -> impl Iterator<Item = (&str, &VariantMeters)> {
        let named = self.variants.iter().map(|(name, meters)| (name.as_str(), &**meters));
        named.chain(
            [(super::OTHER, &*self.other)]
                .into_iter()
                .filter(|_| !self.variants.iter().any(|(name, _)| name.as_str() == super::OTHER)),
        )
    }
}

/// Writes the families of all routes.
pub(super) fn write(routes: &BTreeMap<&str, &RouteMeters>, page: &mut Exposition) {
    write_requests(routes, page);
    page.counter("tidegate_upstream_attempts_total", "Tries at providers, by result.");
    for (route, meters) in routes {
        for (variant, meters) in meters.each_variant() {
            for (result, count) in RESULTS.iter().zip(&meters.attempts).filter(|(_, count)| count.get() > 0) {
                page.series(&[("route", route), ("variant", variant), ("result", result)], count.get());
            }
        }
    }
    page.counter("tidegate_hedges_total", "Requests that went out beside a slow one, by whether they answered first.");
    for (route, meters) in routes {
        for (result, count) in HEDGES.iter().zip(&meters.totals.hedges).filter(|(_, count)| count.get() > 0) {
            page.series(&[("route", route), ("result", result)], count.get());
        }
    }
    page.counter(
        "tidegate_escalations_total",
        "Answers that were too poor, so that the next variant was asked, by why.",
    );
    for (route, meters) in routes {
        for (variant, meters) in meters.each_variant() {
            for (why, count) in Poor::ALL.iter().zip(&meters.poor).filter(|(_, count)| count.get() > 0) {
                page.series(&[("route", route), ("variant", variant), ("reason", why.label())], count.get());
            }
        }
    }
    page.counter("tidegate_cost_usd_total", "What calls cost by the price table.");
    for (route, meters) in routes {
        page.series(&[("route", route)], meters.totals.cost_usd.get());
    }
    write_timings(routes, page);
}

fn write_requests(routes: &BTreeMap<&str, &RouteMeters>, page: &mut Exposition) {
    page.counter("tidegate_requests_total", "Calls that ended, by how.");
    for (route, meters) in routes {
        for (variant, meters) in meters.each_variant() {
            for api in Api::ALL {
                for (outcome, classes) in OUTCOMES.iter().zip(&meters.requests[index_of(api)]) {
                    for (class, count) in CLASSES.iter().zip(classes).filter(|(_, count)| count.get() > 0) {
                        let labels = [
                            ("route", *route),
                            ("variant", variant),
                            ("api", label_of(api)),
                            ("outcome", outcome),
                            ("status_class", class),
                        ];
                        page.series(&labels, count.get());
                    }
                }
            }
        }
    }
}

fn write_timings(routes: &BTreeMap<&str, &RouteMeters>, page: &mut Exposition) {
    let each = || {
        routes
            .iter()
            .flat_map(|(route, meters)| Api::ALL.map(|api| (*route, api, &meters.totals.timings[index_of(api)])))
    };
    let labels = |route, api: Api| [("gen_ai_operation_name", api.operation()), ("gen_ai_request_model", route)];
    page.histogram("gen_ai_client_operation_duration_seconds", "How long calls took that went out to a model.");
    for (route, api, timings) in each() {
        timings.duration.write(page, &labels(route, api), &DURATIONS, MICROS);
    }
    page.histogram("gen_ai_server_time_to_first_token_seconds", "How long streams took to their first event.");
    for (route, api, timings) in each() {
        timings.first_token.write(page, &labels(route, api), &FIRSTS, MICROS);
    }
    page.histogram("gen_ai_client_token_usage", "Tokens of calls.");
    for (route, api, timings) in each() {
        for (kind, histogram) in [("input", &timings.input), ("output", &timings.output)] {
            let [operation, model] = labels(route, api);
            histogram.write(page, &[operation, model, ("gen_ai_token_type", kind)], &TOKENS, 1.0);
        }
    }
}
