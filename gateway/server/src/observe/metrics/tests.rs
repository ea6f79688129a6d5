//! What is counted, and that the page can be read.

use super::*;
use std::collections::{BTreeSet, HashSet};
use tidegate_core::event::Attempt;
use tidegate_core::{FaultKind, InferenceId, Outcome, Usage};

fn event(route: Option<&str>, variant: Option<&str>) -> Event {
    let blank = serde_json::json!({
        "id": InferenceId::from_parts(1, 2, 3), "unix_ms": 1, "api": "chat_completions", "config": "c", "stream": true,
        "outcome": Outcome::Ok, "status": 200, "request_bytes": 1, "answer_bytes": 1, "total_us": 15_000, "first_us": 3_000,
    });
    let mut event: Event = serde_json::from_value(blank).unwrap();
    event.route = route.map(|name| name.parse().unwrap());
    event.variant = variant.map(|name| name.parse().unwrap());
    let served = variant.map(|name| Attempt {
        variant: name.parse().unwrap(),
        endpoint: None,
        fault: None,
        status: None,
        us: 1,
        poor: None,
        cost_usd: None,
    });
    event.attempts.extend(served);
    event.usage = Some(Usage { prompt: 5, completion: 70, ..Usage::default() });
    event.cost_usd = Some(0.25);
    event
}

fn routes(spec: &[(&str, &[&str])]) -> Vec<(RouteName, Vec<VariantName>)> {
    spec.iter()
        .map(|(name, variants)| (name.parse().unwrap(), variants.iter().map(|v| v.parse().unwrap()).collect()))
        .collect()
}

type Series = (String, Vec<(String, String)>, f64);

/// A strict reader of the text form: families in one piece, each with help and type before its series, no series twice.
fn parse(page: &str) -> Vec<Series> {
    let (mut all, mut seen, mut families, mut family) =
        (Vec::new(), HashSet::new(), HashSet::new(), (String::new(), String::new()));
    let mut helped = String::new();
    assert!(page.ends_with('\n'));
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split_once(' ').expect("a help text").0.to_owned();
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, helped);
            assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{kind}");
            assert!(kind != "counter" || name.ends_with("_total"), "{name}");
            assert!(families.insert(name.to_owned()), "{name} twice");
            family = (name.to_owned(), kind.to_owned());
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.parse().expect("a number");
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, parse_labels(labels.strip_suffix('}').expect("a closing brace"))),
            None => (series, Vec::new()),
        };
        let suffix = name.strip_prefix(&family.0).unwrap_or_else(|| panic!("{name} outside of its family"));
        let suffixes: &[&str] = if family.1 == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(suffixes.contains(&suffix), "{name}");
        assert!(seen.insert(series.to_owned()), "{series} twice");
        all.push((name.to_owned(), labels, value));
    }
    all
}

fn parse_labels(text: &str) -> Vec<(String, String)> {
    let (mut labels, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (name, behind) = rest.split_once("=\"").expect("a label");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        let (value, behind) = behind.split_once('"').expect("a closing quote");
        labels.push((name.to_owned(), value.to_owned()));
        rest = behind.strip_prefix(',').unwrap_or(behind);
    }
    labels
}

fn value(all: &[Series], name: &str, wanted: &[(&str, &str)]) -> f64 {
    let has = |labels: &[(String, String)]| wanted.iter().all(|(n, v)| labels.iter().any(|(a, b)| a == n && b == v));
    let found: Vec<f64> =
        all.iter().filter(|(n, labels, _)| n == name && has(labels)).map(|(.., value)| *value).collect();
    assert_eq!(found.len(), 1, "{name} {wanted:?}");
    found[0]
}

#[test]
fn the_page_parses_and_tells_what_was_observed() {
    let metrics = Metrics::new(routes(&[("chat", &["small", "big"]), ("fraud", &["only"])]));
    metrics.configured("abc");
    for _ in 0..3 {
        metrics.accepted(Api::ChatCompletions);
    }
    metrics.observe(&event(Some("chat"), Some("small")));
    let mut failed = event(Some("chat"), Some("big"));
    let refused = Attempt {
        variant: "small".parse().unwrap(),
        endpoint: None,
        fault: Some(FaultKind::UpstreamTimeout),
        status: None,
        us: 1,
        poor: None,
        cost_usd: None,
    };
    failed.attempts.insert(0, refused);
    (failed.outcome, failed.status) = (Outcome::Fault(FaultKind::StreamCut), 200);
    metrics.observe(&failed);
    metrics.responded(StatusCode::OK);
    metrics.reloaded(false);
    let all = parse(&metrics.render());
    assert_eq!(value(&all, "tidegate_calls_total", &[("api", "chat_completions")]), 3.0);
    assert_eq!(value(&all, "tidegate_in_flight", &[]), 1.0);
    assert_eq!(
        value(&all, "tidegate_requests_total", &[("variant", "small"), ("outcome", "ok"), ("status_class", "2xx")]),
        1.0
    );
    assert_eq!(value(&all, "tidegate_requests_total", &[("variant", "big"), ("outcome", "upstream")]), 1.0);
    assert_eq!(value(&all, "tidegate_upstream_attempts_total", &[("variant", "small"), ("result", "timeout")]), 1.0);
    assert_eq!(value(&all, "tidegate_cost_usd_total", &[("route", "chat")]), 0.5);
    assert_eq!(value(&all, "tidegate_config_info", &[("hash", "abc")]), 1.0);
    assert_eq!(value(&all, "tidegate_config_reloads_total", &[("result", "refused")]), 1.0);
    let chat = ("gen_ai_request_model", "chat");
    assert_eq!(value(&all, "gen_ai_client_operation_duration_seconds_bucket", &[chat, ("le", "0.01")]), 0.0);
    assert_eq!(value(&all, "gen_ai_client_operation_duration_seconds_bucket", &[chat, ("le", "0.02")]), 2.0);
    assert_eq!(value(&all, "gen_ai_client_operation_duration_seconds_sum", &[chat]), 0.03);
    assert_eq!(value(&all, "gen_ai_server_time_to_first_token_seconds_bucket", &[chat, ("le", "+Inf")]), 2.0);
    assert_eq!(value(&all, "gen_ai_client_token_usage_sum", &[chat, ("gen_ai_token_type", "output")]), 140.0);
}

#[test]
fn callers_cannot_add_series() {
    let metrics = Metrics::new(routes(&[("chat", &["small"])]));
    metrics.observe(&event(Some("chat"), Some("small")));
    metrics.observe(&event(Some("unknown"), Some("x")));
    let names = |page: &str| -> BTreeSet<String> {
        parse(page).into_iter().map(|(name, labels, _)| format!("{name}{labels:?}")).collect()
    };
    let before = names(&metrics.render());
    for i in 0..100_000 {
        metrics.observe(&event(Some(&format!("m{i}")), Some(&format!("v{i}"))));
    }
    metrics.observe(&event(Some("chat"), Some("gone")));
    let after = names(&metrics.render());
    // The last call, on an arm that the route no longer has, is the only one with a place of its own.
    assert_eq!(after.difference(&before).filter(|name| !name.contains("\"chat\"")).count(), 0);
    assert!(after.len() <= before.len() + 2);
}

#[test]
fn a_reload_keeps_what_stays() {
    let metrics = Metrics::new(routes(&[("chat", &["small", "big"]), ("gone", &["a"])]));
    metrics.observe(&event(Some("chat"), Some("small")));
    metrics.observe(&event(Some("chat"), Some("big")));
    metrics.observe(&event(Some("gone"), Some("a")));
    metrics.rebuild(routes(&[("chat", &["huge", "small"]), ("new", &["b"])]));
    metrics.observe(&event(Some("chat"), Some("small")));
    let all = parse(&metrics.render());
    assert_eq!(value(&all, "tidegate_requests_total", &[("route", "chat"), ("variant", "small")]), 2.0);
    assert_eq!(value(&all, "tidegate_cost_usd_total", &[("route", "chat")]), 0.75);
    assert!(!all.iter().any(|(_, labels, _)| labels.iter().any(|(_, value)| value == "gone" || value == "big")));
}

#[test]
fn label_values_are_escaped() {
    let mut page = Exposition::new();
    page.gauge("a", "A.").series(&[("x", "a\"b\\c\nd")], 1);
    assert_eq!(page.finish(), "# HELP a A.\n# TYPE a gauge\na{x=\"a\\\"b\\\\c\\nd\"} 1\n");
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture observe_cost"]
fn observe_cost() {
    let metrics = Metrics::new(routes(&[("chat", &["small", "big"]), ("fraud", &["only"])]));
    let event = event(Some("chat"), Some("big"));
    let each = least(|| metrics.observe(std::hint::black_box(&event)));
    println!("observe {each:.0} ns");
}

/// The least nanoseconds that `work` takes, over many short rounds: what others do on the machine falls out.
fn least(mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let began = std::time::Instant::now();
        (0..100).for_each(|_| work());
        began.elapsed().as_secs_f64() * 1e7
    };
    (0..5000).map(|_| round(&mut work)).fold(f64::INFINITY, f64::min)
}
