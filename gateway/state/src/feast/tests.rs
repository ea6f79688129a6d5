//! Bytes held against those that Feast itself wrote (`tests/golden/feast`), and against damage.

use super::key::redis_key;
use super::value::{As, Unread, read_timestamp, read_value, write_timestamp, write_value};
use super::{field, timestamp_field};
use proptest::prelude::*;
use serde_json::Value;
use tidegate_core::port::features::{FeatureKey, FeatureValue, KeyValue};
use tidegate_core::spec::{KeyKind, KeySpec};

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/feast/golden.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let text = hex.as_str().unwrap().as_bytes();
    text.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn keys_of_entities_are_feasts() {
    let golden = golden();
    for case in list(&golden["keys"]) {
        let mut specs = Vec::new();
        let mut values = Vec::new();
        for part in list(&case["keys"]) {
            let (kind, value) = match part[1].as_str().unwrap() {
                "int32" => (KeyKind::Int32, KeyValue::Integer(part[2].as_i64().unwrap())),
                "int64" => (KeyKind::Int64, KeyValue::Integer(part[2].as_i64().unwrap())),
                _ => (KeyKind::Text, KeyValue::Text(part[2].as_str().unwrap().into())),
            };
            specs.push(KeySpec { name: part[0].as_str().unwrap().into(), kind });
            values.push(value);
        }
        let key = redis_key(&specs, &FeatureKey(values.into()), case["project"].as_str().unwrap());
        assert_eq!(hex(&key), case["hex"].as_str().unwrap(), "{case}");
    }
    assert_eq!(list(&golden["keys"]).len(), 7);
}

#[test]
fn fields_are_feasts() {
    for case in list(&golden()["fields"]) {
        let field = field(case["view"].as_str().unwrap(), case["feature"].as_str().unwrap());
        assert_eq!(hex(&field), case["hex"].as_str().unwrap(), "{case}");
    }
    assert_eq!(timestamp_field("customer_stats"), "_ts:customer_stats");
}

#[test]
fn values_and_times_are_feasts_both_ways() {
    for case in list(&golden()["values"]) {
        let given = bytes(&case["hex"]);
        let field = case["field"].as_str();
        let read = read_value(&given);
        if field == Some("double_list_val") {
            assert_eq!(read, Err(Unread::Kind(15)));
            continue;
        }
        let (wanted, as_) = match (field, &case["value"]) {
            (None, _) => (None, As::Text),
            (Some("int32_val"), value) => (value.as_i64().map(FeatureValue::Integer), As::Int32),
            (Some("int64_val" | "unix_timestamp_val"), value) => (value.as_i64().map(FeatureValue::Integer), As::Int64),
            (Some("double_val"), value) => (value.as_f64().map(FeatureValue::Number), As::Double),
            (Some("float_val"), value) => (value.as_f64().map(FeatureValue::Number), As::Float),
            (Some("bool_val"), value) => (value.as_bool().map(FeatureValue::Truth), As::Truth),
            (_, value) => (value.as_str().map(|text| FeatureValue::Text(text.into())), As::Text),
        };
        assert_eq!(read.unwrap(), wanted, "{case}");
        if field != Some("unix_timestamp_val") {
            assert_eq!(hex(&write_value(wanted.as_ref(), as_)), case["hex"].as_str().unwrap(), "{case}");
        }
    }
    for case in list(&golden()["times"]) {
        let ms = case["ms"].as_u64().unwrap();
        assert_eq!(read_timestamp(&bytes(&case["hex"])), Ok(ms));
        assert_eq!(hex(&write_timestamp(ms)), case["hex"].as_str().unwrap());
    }
}

#[test]
fn damaged_values_are_told_and_not_guessed() {
    for damaged in
        [&b"\x12\x07gr"[..], b"\x20", b"\x29\0\0", b"\x35\0", b"\x23", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
    {
        assert_eq!(read_value(damaged), Err(Unread::Damaged), "{damaged:?}");
        assert!(read_timestamp(damaged).is_err(), "{damaged:?}");
    }
    assert_eq!(read_value(b"\x12\x02\xff\xff"), Err(Unread::Damaged), "no UTF-8");
    assert_eq!(read_value(b"\x98\x01\x00"), Ok(None), "a null");
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        // Neither panics, whatever comes; what is read of it is anybody's guess.
        prop_assert!(read_value(&bytes).is_ok() || read_value(&bytes).is_err());
        prop_assert!(read_timestamp(&bytes).is_ok() || read_timestamp(&bytes).is_err());
    }

    #[test]
    fn what_is_written_is_read(integer: i64, number in prop::num::f64::NORMAL, truth: bool, text in ".{0,20}", ms in 0u64..1 << 52) {
        for (value, as_) in [
            (FeatureValue::Integer(integer), As::Int64), (FeatureValue::Number(number), As::Double),
            (FeatureValue::Truth(truth), As::Truth), (FeatureValue::Text(text.into()), As::Text),
        ] {
            prop_assert_eq!(read_value(&write_value(Some(&value), as_)), Ok(Some(value)));
        }
        prop_assert_eq!(read_timestamp(&write_timestamp(ms)), Ok(ms));
    }
}
