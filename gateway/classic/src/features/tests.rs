//! Whole look-ups over a store that says what a test wants.

use super::{Lookup, View};
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tidegate_core::clock::ManualClock;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::enrich::{Enrich as _, Enriched};
use tidegate_core::port::features::{FeatureKey, FeatureValue, Features, Found, FoundRow, KeyValue, PushedRow};
use tidegate_core::served::Lack;
use tidegate_core::spec::{CacheSpec, ColumnSpec, KeyKind, KeySpec, LookupSpec, OnStale, StoreSpec, ViewSpec};
use tidegate_core::{Datatype, Fault, FaultKind, PredictRequest, Tensor};

const NOW: u64 = 1_000_000;

/// Each customer's rate is a hundredth of his number, since a minute before now; 13 is nobody.
#[derive(Debug, Default)]
struct Fake {
    asked: Mutex<Vec<usize>>,
    is_away: bool,
    never: bool,
    pushed: AtomicUsize,
}

impl Features for Fake {
    fn look_up<'a>(&'a self, keys: &'a [FeatureKey], _: Duration) -> BoxFuture<'a, Result<Vec<FoundRow>, Fault>> {
        self.asked.lock().unwrap().push(keys.len());
        Box::pin(async move {
            if self.never {
                std::future::pending::<()>().await;
            }
            if self.is_away {
                return Err(Fault::new(FaultKind::Unreachable, "away"));
            }
            Ok(keys.iter().map(row).collect())
        })
    }

    fn push<'a>(&'a self, rows: &'a [PushedRow]) -> BoxFuture<'a, Result<usize, Fault>> {
        self.pushed.fetch_add(rows.len(), Ordering::Relaxed);
        Box::pin(async { Ok(rows.len()) })
    }
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn row(key: &FeatureKey) -> FoundRow {
    let number = match &key.0[0] {
        KeyValue::Integer(number) => *number,
        KeyValue::Text(text) => text.len() as i64,
    };
    if number == 13 {
        return vec![Found::default(), Found::default()].into();
    }
    let at = Some(NOW - 60_000);
    let rate = Found { value: Some(FeatureValue::Number(number as f64 / 100.0)), at };
    vec![rate, Found { value: Some(FeatureValue::Integer(number)), at }].into()
}

fn view(change: impl FnOnce(&mut ViewSpec)) -> ViewSpec {
    let column =
        |name: &str, datatype, default| ColumnSpec { name: name.into(), feature: name.into(), datatype, default };
    let mut spec = ViewSpec {
        name: "customer".parse().unwrap(),
        keys: vec![KeySpec { name: "customer".into(), kind: KeyKind::Int64 }],
        columns: vec![
            column("rate", Datatype::Fp32, Some(FeatureValue::Number(-1.0))),
            column("count", Datatype::Int64, Some(FeatureValue::Integer(-1))),
        ],
        store: StoreSpec::Redis { url: tidegate_core::Secret::new("redis://x"), project: "p".into(), view: "v".into() },
        max_age: None,
        on_stale: OnStale::Default,
        deadline: Duration::from_millis(50),
        cache: None,
        push: None,
    };
    change(&mut spec);
    spec
}

fn lookup() -> LookupSpec {
    LookupSpec { views: vec!["customer".parse().unwrap()], by: Vec::new(), inputs: Vec::new(), join: None }
}

struct Stage {
    fake: Arc<Fake>,
    view: Arc<View>,
    clock: Arc<ManualClock>,
    lookup: Lookup,
}

fn stage(fake: Fake, view: ViewSpec, spec: LookupSpec) -> Stage {
    let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_millis(NOW)));
    let fake = Arc::new(fake);
    let view = Arc::new(View::new(view, Arc::<Fake>::clone(&fake), Arc::<ManualClock>::clone(&clock)));
    let lookup = Lookup::new(spec, vec![Arc::clone(&view)], Arc::<ManualClock>::clone(&clock));
    Stage { fake, view, clock, lookup }
}

fn asked(customers: &[i64]) -> PredictRequest {
    let rows = customers.len() as u64;
    let amounts: Vec<f32> = customers.iter().map(|_| 7.5).collect();
    let inputs = vec![
        Tensor::of_f32("amount", vec![rows, 1], &amounts).unwrap(),
        Tensor::of_i64("customer", vec![rows, 1], customers).unwrap(),
    ];
    PredictRequest { inputs, ..PredictRequest::default() }
}

fn numbers(request: &PredictRequest, name: &str) -> Vec<f64> {
    request.input(name).unwrap().numbers().unwrap().collect()
}

fn refused(enriched: Enriched) -> Fault {
    enriched.request.unwrap_err()
}

#[tokio::test]
async fn features_join_the_inputs_and_each_entity_is_asked_for_once() {
    let stage = stage(Fake::default(), view(|_| {}), lookup());
    let enriched = stage.lookup.enrich(&asked(&[7, 13, 7, 50])).await;
    let request = enriched.request.unwrap();
    assert_eq!(request.inputs.iter().map(Tensor::name).collect::<Vec<_>>(), ["amount", "rate", "count"]);
    assert_eq!(numbers(&request, "count"), [7.0, -1.0, 7.0, 50.0]);
    assert_eq!(request.input("rate").unwrap().to_f32().unwrap(), [0.07, -1.0, 0.07, 0.5]);
    assert_eq!(*stage.fake.asked.lock().unwrap(), [3]);
    let served = &enriched.served[0];
    assert_eq!((served.rows, served.served.len()), (4, 4));
    let rate = &served.served[0].features["rate"];
    assert_eq!((rate.at, rate.age_ms, rate.lacks), (Some(NOW - 60_000), Some(60_000), None));
    let of_nobody = &served.served[1].features["rate"];
    assert_eq!((of_nobody.value.clone(), of_nobody.lacks), (Some(FeatureValue::Number(-1.0)), Some(Lack::Missing)));
    assert_eq!(served.served[3].key["customer"], KeyValue::Integer(50));
}

#[tokio::test]
async fn what_is_too_old_is_the_default_refused_or_flagged() {
    for (on_stale, wanted) in
        [(OnStale::Default, Some(-1.0)), (OnStale::Refuse, None), (OnStale::Flag, Some(f64::from(0.07f32)))]
    {
        let spec = view(|view| {
            view.max_age = Some(Duration::from_secs(59));
            view.on_stale = on_stale;
        });
        let enriched = stage(Fake::default(), spec, lookup()).lookup.enrich(&asked(&[7])).await;
        assert!(enriched.served[0].served[0].features["rate"].stale, "{on_stale:?}");
        match (enriched.request, wanted) {
            (Ok(request), Some(rate)) => assert_eq!(numbers(&request, "rate"), [rate]),
            (Err(fault), None) => assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}"),
            (request, _) => panic!("{on_stale:?}: {request:?}"),
        }
    }
    let spec = view(|view| view.max_age = Some(Duration::from_secs(60)));
    let enriched = stage(Fake::default(), spec, lookup()).lookup.enrich(&asked(&[7])).await;
    assert!(!enriched.served[0].served[0].features["rate"].stale, "as old as it may be");
}

#[tokio::test]
async fn a_store_that_is_away_or_late_serves_defaults_or_refuses() {
    for (fake, why) in
        [(Fake { is_away: true, ..Fake::default() }, "unreachable"), (Fake { never: true, ..Fake::default() }, "late")]
    {
        let enriched = stage(fake, view(|_| {}), lookup()).lookup.enrich(&asked(&[7])).await;
        assert_eq!(enriched.served[0].failed.as_deref(), Some(why));
        assert_eq!(enriched.served[0].served[0].features["rate"].lacks, Some(Lack::Failed));
        assert_eq!(numbers(&enriched.request.unwrap(), "rate"), [-1.0]);
    }
    let spec = view(|view| view.columns[0].default = None);
    let away = Fake { is_away: true, ..Fake::default() };
    let fault = refused(stage(away, spec.clone(), lookup()).lookup.enrich(&asked(&[7])).await);
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    let fault = refused(stage(Fake::default(), spec, lookup()).lookup.enrich(&asked(&[7, 13])).await);
    assert_eq!(fault.kind, FaultKind::InvalidRequest);
    assert!(fault.says.contains("`rate` of customer 13 (row 1) is not known"), "{fault}");
}

#[tokio::test]
async fn what_was_found_is_found_again_until_its_time_or_a_push() {
    let spec = view(|view| view.cache = Some(CacheSpec { ttl: Duration::from_secs(5), entries: 2 }));
    let stage = stage(Fake::default(), spec, lookup());
    let ask = async |customers: &[i64]| {
        let request = stage.lookup.enrich(&asked(customers)).await.request.unwrap();
        (numbers(&request, "count"), std::mem::take(&mut *stage.fake.asked.lock().unwrap()))
    };
    assert_eq!(ask(&[1, 2]).await, (vec![1.0, 2.0], vec![2]));
    assert_eq!(ask(&[2, 1]).await, (vec![2.0, 1.0], vec![]));
    assert_eq!(ask(&[2, 3]).await, (vec![2.0, 3.0], vec![1]));
    assert_eq!(ask(&[1]).await, (vec![1.0], vec![1]), "the oldest went");
    stage.clock.advance(Duration::from_secs(5));
    assert_eq!(ask(&[3]).await, (vec![3.0], vec![1]));
    let key = FeatureKey([KeyValue::Integer(3)].into());
    let row = PushedRow { key, at: NOW, values: vec![None, None].into() };
    assert_eq!(stage.view.push(&[row]).await.unwrap(), 1);
    assert_eq!(ask(&[3]).await, (vec![3.0], vec![1]));
}

#[tokio::test]
async fn keys_are_taken_from_parameters_and_by_other_names() {
    let spec = LookupSpec { by: vec![("customer".into(), "who".into())], ..lookup() };
    let stage = stage(Fake::default(), view(|_| {}), spec);
    let mut request = asked(&[0, 0]);
    request.inputs.pop();
    let fault = refused(stage.lookup.enrich(&request).await);
    assert!(fault.says.contains("the join key `who` is missing"), "{fault}");
    request.parameters.insert("who".to_owned(), serde_json::json!("42"));
    request.parameters.insert("kept".to_owned(), serde_json::json!(1));
    let joined = stage.lookup.enrich(&request).await.request.unwrap();
    assert_eq!(numbers(&joined, "count"), [42.0, 42.0]);
    assert_eq!(joined.parameters.keys().collect::<Vec<_>>(), ["kept"]);
    request.parameters.insert("who".to_owned(), serde_json::json!(1.5));
    assert!(refused(stage.lookup.enrich(&request).await).says.contains("`who` is not a whole number"));
}

#[tokio::test]
async fn the_routes_order_is_kept_and_all_can_be_one_input() {
    let spec =
        LookupSpec { inputs: ["count", "amount", "rate"].map(Arc::from).to_vec(), join: Some("x".into()), ..lookup() };
    let stage = stage(Fake::default(), view(|_| {}), spec);
    let request = stage.lookup.enrich(&asked(&[7, 50])).await.request.unwrap();
    let [x] = &*request.inputs else { panic!("{request:?}") };
    assert_eq!((x.name(), x.shape(), x.datatype()), ("x", &[2, 3][..], Datatype::Fp64));
    let rounded: Vec<f64> = x.numbers().unwrap().map(|number| (number * 100.0).round() / 100.0).collect();
    assert_eq!(rounded, [7.0, 7.5, 0.07, 50.0, 7.5, 0.5]);
    let mut without = asked(&[7]);
    without.inputs.remove(0);
    assert!(refused(stage.lookup.enrich(&without).await).says.contains("the input `amount` is missing"));
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused_by_name() {
    let stage = stage(Fake::default(), view(|_| {}), lookup());
    let mut own = asked(&[7]);
    own.inputs.push(Tensor::of_f32("rate", vec![1], &[0.0]).unwrap());
    assert!(refused(stage.lookup.enrich(&own).await).says.contains("`rate` is looked up by the gateway"));
    let mut half = asked(&[7]);
    half.inputs[1] = Tensor::of_f64("customer", vec![1], &[7.5]).unwrap();
    assert!(refused(stage.lookup.enrich(&half).await).says.contains("`customer` of row 0 is not a whole number"));
    let many = vec![1; super::MOST_ROWS + 1];
    assert!(refused(stage.lookup.enrich(&asked(&many)).await).says.contains("at most 4096 rows"));
    assert!(stage.fake.asked.lock().unwrap().is_empty());
}

proptest! {
    /// Each row gets the features of its own entity, whatever comes twice and whatever is remembered.
    #[test]
    fn rows_and_entities_are_never_mixed_up(
        calls in prop::collection::vec(prop::collection::vec(14i64..40, 1..30), 1..6), entries in 1usize..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let spec = view(|view| view.cache = Some(CacheSpec { ttl: Duration::from_secs(5), entries }));
        let stage = stage(Fake::default(), spec, lookup());
        for customers in calls {
            let request = runtime.block_on(stage.lookup.enrich(&asked(&customers))).request.unwrap();
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let wanted: Vec<f64> = customers.iter().map(|number| *number as f64).collect();
            prop_assert_eq!(numbers(&request, "count"), wanted);
        }
    }
}
