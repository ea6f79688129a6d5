//! What goes to Feast and comes back, as `feast serve` 0.67 had it: the answers here are its own.

use super::*;
use crate::TlsRoots;
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::features::{FeatureValue, Found, KeyValue};
use tidegate_core::spec::{
    Balance, ColumnSpec, EndpointSpec, KeyKind, KeySpec, OnStale, OutlierSpec, ProxySpec, PushSpec, StoreSpec,
};
use tidegate_core::{Datatype, Secret};

const ANSWER: &str = r#"{"results":[{"values":[1001,1003,1002],"statuses":["PRESENT","PRESENT","PRESENT"],"event_timestamps":["1970-01-01T00:00:00Z","1970-01-01T00:00:00Z","1970-01-01T00:00:00Z"]},{"values":[42,null,7],"statuses":["PRESENT","NOT_FOUND","PRESENT"],"event_timestamps":["2026-01-31T12:00:00Z","1970-01-01T00:00:00Z","2026-01-31T09:00:00Z"]},{"values":[0.5,null,0.25],"statuses":["PRESENT","NOT_FOUND","PRESENT"],"event_timestamps":["2026-01-31T12:00:00Z","1970-01-01T00:00:00Z","2026-01-31T09:00:00Z"]},{"values":["K",null,null],"statuses":["PRESENT","NOT_FOUND","PRESENT"],"event_timestamps":["2026-01-31T12:00:00Z","1970-01-01T00:00:00Z","2026-01-31T09:00:00Z"]}],"metadata":{"feature_names":["customer_id","customer_stats__count","customer_stats__rate","customer_stats__city"]}}"#;

pub(in crate::features) fn view(columns: &[&str]) -> ViewSpec {
    let column = |name: &&str| ColumnSpec {
        name: format!("my_{name}").into(),
        feature: (*name).into(),
        datatype: Datatype::Fp32,
        default: None,
    };
    ViewSpec {
        name: "customer".parse().unwrap(),
        keys: vec![KeySpec { name: "customer_id".into(), kind: KeyKind::Int64 }],
        columns: columns.iter().map(column).collect(),
        store: StoreSpec::Redis { url: Secret::new("redis://x"), project: "p".into(), view: "v".into() },
        max_age: None,
        on_stale: OnStale::Default,
        deadline: Duration::from_secs(1),
        cache: None,
        push: Some(PushSpec { source: "customers".into(), timestamp: "event_timestamp".into() }),
    }
}

pub(in crate::features) fn server() -> OpenAiSpec {
    OpenAiSpec {
        endpoints: vec![EndpointSpec { name: "h:1".parse().unwrap(), url: "http://h:1".parse().unwrap() }],
        balance: Balance::P2c,
        auth: None,
        headers: Vec::new(),
        query: Vec::new(),
        ca: None,
        proxy: ProxySpec::Direct,
        http2: false,
        max_connections: 8,
        max_concurrency: None,
        outlier_detection: OutlierSpec::default(),
    }
}

pub(in crate::features) fn means(roots: &TlsRoots) -> Means<'_> {
    Means { clock: Arc::new(SystemClock), dice: Arc::new(SplitMix::seeded(1)), roots }
}

pub(in crate::features) fn key(id: i64) -> FeatureKey {
    FeatureKey([KeyValue::Integer(id)].into())
}

fn feast(columns: &[&str]) -> FeastFeatures {
    FeastFeatures::build(&view(columns), &server(), "customer_stats", means(&TlsRoots::none())).unwrap()
}

#[test]
fn entities_are_asked_for_in_one_question() {
    let asked = feast(&["rate", "count"]).asked(&[key(1001), key(1003)]);
    let wanted = json!({
        "features": ["customer_stats:rate", "customer_stats:count"],
        "entities": {"customer_id": [1001, 1003]},
        "full_feature_names": true,
    });
    assert_eq!(asked, wanted);
}

#[test]
fn columns_are_found_by_their_names_and_what_is_not_there_is_nothing() {
    let rows = feast(&["rate", "count", "city"]).read(&Bytes::from_static(ANSWER.as_bytes()), 3).unwrap();
    let at = Some(1_769_860_800_000);
    let text = Found { value: Some(FeatureValue::Text("K".into())), at };
    let first = [
        Found { value: Some(FeatureValue::Number(0.5)), at },
        Found { value: Some(FeatureValue::Integer(42)), at },
        text,
    ];
    assert_eq!(*rows[0], first);
    assert!(rows[1].iter().all(|found| *found == Found::default()), "{rows:?}");
    assert_eq!(rows[2][2], Found { value: None, at: Some(1_769_850_000_000) });
}

#[test]
fn answers_that_make_no_sense_are_faults() {
    let feast = feast(&["rate"]);
    for body in [
        "",
        "[]",
        "{}",
        r#"{"metadata":{"feature_names":["rate"]},"results":[]}"#,
        r#"{"metadata":{"feature_names":["customer_stats__rate"]},"results":[]}"#,
        r#"{"metadata":{"feature_names":["customer_stats__rate"]},"results":[{"values":[1,2]}]}"#,
    ] {
        let fault = feast.read(&Bytes::from_static(body.as_bytes()), 1).unwrap_err();
        assert_eq!(fault.kind, FaultKind::UpstreamFailed, "{body}");
    }
}

#[test]
fn whole_rows_are_pushed() {
    let feast = feast(&["rate"]);
    let row = |value| PushedRow { key: key(7), at: 1_769_860_800_000, values: [value].into() };
    let rows = [row(Some(Some(FeatureValue::Number(0.5)))), row(Some(None))];
    let body = feast.pushed(&rows.iter().collect::<Vec<_>>(), "customers", "event_timestamp").unwrap();
    let wanted = json!({
        "push_source_name": "customers",
        "df": {"customer_id": [7, 7], "rate": [0.5, null], "event_timestamp": ["2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00.000Z"]},
        "to": "online",
    });
    assert_eq!(body, wanted);
    let fault = feast.pushed(&[&row(None)], "customers", "t").unwrap_err();
    assert!(fault.says.contains("`rate` is missing"), "{fault}");
}
