//! What goes to Tecton and comes back, as its documentation shows both (docs.tecton.ai/http-api).

use super::super::feast::tests::{key, means, server, view};
use super::*;
use crate::TlsRoots;
use tidegate_core::port::features::{FeatureValue, Found};

const ONE_ANSWER: &str = r#"{"result":{"features":[true,null,"669",58.349395161290275,["a","b"]]},"metadata":{"features":[
 {"name":"transaction_amount_is_higher_than_average.is_higher","dataType":{"type":"boolean"},"status":"PRESENT"},
 {"name":"merchant_fraud_rate.is_fraud_mean_1d_1d","effectiveTime":"2023-05-03T00:00:00Z","dataType":{"type":"float64"},"status":"MISSING_DATA"},
 {"name":"last_merchant.count","effectiveTime":"2023-05-03T00:00:00Z","dataType":{"type":"int64"},"status":"PRESENT"},
 {"name":"user.amount","effectiveTime":"2023-05-02T12:00:00Z","dataType":{"type":"float64"},"status":"PRESENT"},
 {"name":"user.ids","dataType":{"type":"array","elementType":{"type":"string"}},"status":"PRESENT"}],
 "sloInfo":{"sloEligible":true}}}"#;

fn tecton(features: &[&str]) -> TectonFeatures {
    let of = (&Arc::from("prod"), &Arc::from("fraud_detection"));
    TectonFeatures::build(&view(features), &server(), of, means(&TlsRoots::none())).unwrap()
}

#[test]
fn one_entity_and_several_are_asked_for_at_their_own_paths() {
    let tecton = tecton(&["count"]);
    let one = tecton.asked(&[key(7)]);
    assert_eq!(one["params"]["joinKeyMap"], json!({"customer_id": "7"}));
    assert_eq!(
        (&one["params"]["workspaceName"], &one["params"]["featureServiceName"]),
        (&json!("prod"), &json!("fraud_detection"))
    );
    let several = tecton.asked(&[key(7), key(8)]);
    assert_eq!(
        several["params"]["requestData"],
        json!([{"joinKeyMap": {"customer_id": "7"}}, {"joinKeyMap": {"customer_id": "8"}}])
    );
    assert!(several["params"].get("joinKeyMap").is_none());
}

#[test]
fn values_are_found_by_either_name() {
    let tecton = tecton(&["last_merchant.count", "amount", "is_fraud_mean_1d_1d", "ids"]);
    let rows = tecton.read(&Bytes::from_static(ONE_ANSWER.as_bytes()), 1).unwrap();
    let day = 1_683_072_000_000;
    let wanted = [
        Found { value: Some(FeatureValue::Integer(669)), at: Some(day) },
        Found { value: Some(FeatureValue::Number(58.349395161290275)), at: Some(day - 43_200_000) },
        Found { value: None, at: Some(day) },
        Found { value: None, at: None },
    ];
    assert_eq!(*rows[0], wanted);
}

#[test]
fn answers_that_make_no_sense_are_faults() {
    let fault = |features: &[&str], body: &'static str, rows| {
        tecton(features).read(&Bytes::from_static(body.as_bytes()), rows).unwrap_err().says.into_owned()
    };
    assert!(fault(&["nope"], ONE_ANSWER, 1).contains("has no feature `nope`"));
    assert!(fault(&["count"], ONE_ANSWER, 2).contains("1 vectors for 2 entities"));
    assert!(
        fault(&["a"], r#"{"result":{"features":[]},"metadata":{"features":[{"name":"v.a"}]}}"#, 1)
            .contains("another number")
    );
    assert!(fault(&["a"], "{}", 1).contains("names no features"));
}

/// What Tecton's own clients send, and what their tests have it answer.
fn recorded(status: u16) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/peers/tecton.json");
    let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let exchanges = all["exchanges"]["server"].as_array().unwrap();
    exchanges.iter().filter(|one| one["answered"]["status"] == status).cloned().collect()
}

#[test]
fn what_is_asked_is_what_tectons_clients_ask() {
    let sent: Vec<Value> = recorded(200).into_iter().map(|one| one["sent"].clone()).collect();
    let of =
        |path: &str| sent.iter().find(|sent| sent["path"] == path && !sent["body"].is_null()).unwrap()["body"].clone();
    let tecton = tecton(&["count"]);
    let alike = |ours: &Value, theirs: &Value| {
        for (name, value) in ours.as_object().unwrap() {
            assert!(
                theirs.get(name).is_some_and(|known| std::mem::discriminant(known) == std::mem::discriminant(value)),
                "{name}: {value} where they send {theirs}"
            );
        }
    };
    let (ours, theirs) = (tecton.asked(&[key(7)]), of(ONE));
    alike(&ours["params"], &theirs["params"]);
    alike(&ours["params"]["metadataOptions"], &theirs["params"]["metadataOptions"]);
    let (ours, several) = (tecton.asked(&[key(7), key(8)]), of(SEVERAL));
    alike(&ours["params"]["requestData"][0], &several["params"]["requestData"][0]);
    for (name, value) in ours["params"]["requestData"][1]["joinKeyMap"].as_object().unwrap() {
        assert!(name == "customer_id" && value.is_string());
    }
}

#[test]
fn what_tecton_answers_is_found_by_its_types() {
    let answers: Vec<Value> = recorded(200).into_iter().map(|one| one["answered"]["body"].clone()).collect();
    let names =
        ["rain_in_last_24_hrs", "precipitation_higher_than_average", "atmospheric_pressure", "average_rain.cloud_type"];
    let wanted = [
        Some(FeatureValue::Integer(0)),
        Some(FeatureValue::Truth(false)),
        None,
        Some(FeatureValue::Text("nimbostratus".into())),
    ];
    for answer in &answers[..2] {
        let row = tecton(&names).read(&answer.to_string().into(), 1).unwrap();
        assert_eq!(row[0].iter().map(|found| found.value.clone()).collect::<Vec<_>>(), wanted);
    }
    // Lists are no values of a column.
    let lists = tecton(&["rain_in_last_24_hrs", "cloud_type"]).read(&answers[2].to_string().into(), 1).unwrap();
    assert!(lists[0].iter().all(|found| found.value.is_none()));
    let several = tecton(&["distinct_merchant_transaction_count_30d", "is_fraud_mean_1d_1d"]);
    let rows = several.read(&answers[3].to_string().into(), 7).unwrap();
    assert_eq!(rows[1][0].value, Some(FeatureValue::Integer(668)));
    assert!(matches!(rows[0][1].value, Some(FeatureValue::Number(number)) if (number - 0.018_181).abs() < 1e-6));
}
