//! Tests of what is taken of calls, hostile ones among them.

use super::*;
use crate::monitors::testing::{answered, field};
use tidegate_core::spec::FieldKind::{Category, Number, Text, Vector};

fn of(request: &str, pointer: &str, kind: Option<FieldKind>) -> Value<'static> {
    one(FieldFrom::Request(pointer.to_owned()), kind, request, &[])
}

fn one(from: FieldFrom, kind: Option<FieldKind>, request: &str, answer: &[&str]) -> Value<'static> {
    let (fields, call) = ([field("f", from, kind)], answered(1, request, answer));
    Call::read(&call, &fields).row(&fields, &RolesSpec::default()).remove(0)
}

fn said(text: &str) -> Value<'static> {
    Value::Text(Cow::Owned(text.to_owned()))
}

#[test]
fn values_are_what_they_are_or_what_is_asked_for() {
    let body = r#"{"n": 1.5, "i": 3, "s": "x", "b": true, "v": [1, 2.5], "m": [1, "a"], "o": {}, "z": null, "e": []}"#;
    for (pointer, kind, expected) in [
        ("/n", None, Value::Number(1.5)),
        ("/n", Some(Category), said("1.5")),
        ("/i", Some(Category), said("3")),
        ("/n", Some(Text), Value::Missing),
        ("/s", None, said("x")),
        ("/s", Some(Number), Value::Missing),
        ("/b", None, said("true")),
        ("/b", Some(Number), Value::Missing),
        ("/v", None, Value::Vector(Cow::Owned(vec![1.0, 2.5]))),
        ("/v", Some(Vector), Value::Vector(Cow::Owned(vec![1.0, 2.5]))),
        ("/v/1", None, Value::Number(2.5)),
        ("/v/01", None, Value::Missing),
        ("/v/-", None, Value::Missing),
        ("/v/2", None, Value::Missing),
        ("/m", None, Value::Missing),
        ("/e", None, Value::Missing),
        ("/o", None, Value::Missing),
        ("/z", None, Value::Missing),
        ("/none", None, Value::Missing),
        ("/s/0", None, Value::Missing),
    ] {
        assert_eq!(of(body, pointer, kind), expected, "{pointer} {kind:?}");
    }
}

#[test]
fn pointers_have_their_escapes() {
    let body = r#"{"a/b": 1, "m~n": 2, "~1": 3, "": {"": 4}, "0": 5}"#;
    for (pointer, expected) in [("/a~1b", 1.0), ("/m~0n", 2.0), ("/~01", 3.0), ("//", 4.0), ("/0", 5.0)] {
        assert_eq!(of(body, pointer, None), Value::Number(expected), "{pointer}");
    }
}

#[test]
fn hostile_bodies_hold_nothing() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "{",
        "no json",
        "{\"x\": 1e999}",
        "{\"x\": NaN}",
        "{\"x\": 1} {\"x\": 2}",
        "\u{0}",
        &deep,
        "[]",
        "null",
        "3",
    ] {
        assert_eq!(of(body, "/x", None), Value::Missing, "{}", &body[..body.len().min(20)]);
    }
    assert_eq!(of(r#"{"x": 1, "x": 2}"#, "/x", None), Value::Number(2.0), "as most readers have it");
    assert_eq!(of(r#"{"x": 123456789012345678901234567890}"#, "/x", None), Value::Number(1.234_567_890_123_456_8e29));
    let huge = format!("{{\"x\": [{}]}}", vec!["1"; LONGEST_VECTOR + 1].join(","));
    assert_eq!(of(&huge, "/x", None), Value::Missing, "a vector that is too long is none");
}

#[test]
fn contents_in_parts_are_one_text() {
    let body = r#"{"messages": [{"content": [{"type": "text", "text": "a"}, {"type": "image_url"}, "b"]}]}"#;
    assert_eq!(of(body, "/messages/0/content", Some(Text)), said("ab"));
    let long = format!("[{}]", vec![format!("\"{}\"", "x".repeat(1000)); 100].join(","));
    let Value::Text(text) = of(&format!("{{\"c\": {long}}}"), "/c", Some(Text)) else { panic!("a text") };
    assert_eq!(text.len(), 65_000);
}

#[test]
fn answers_are_looked_at_whole_or_as_the_whole_that_their_events_make() {
    let at = |pointer: &str| FieldFrom::Answer(pointer.to_owned());
    let whole = r#"{"id": "1", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, "score": 0.5}"#;
    assert_eq!(one(at("/usage/total_tokens"), None, "{}", &[whole]), Value::Number(5.0));
    assert_eq!(one(at("/score"), None, "{}", &[whole]), Value::Number(0.5));
    let events = [
        "data: {\"id\":\"1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\"}}]}\n\ndata: {\"choi",
        "ces\":[{\"index\":0,\"delta\":{\"content\":\"i\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
    ];
    for (pointer, expected) in [
        ("/choices/0/message/content", said("Hi")),
        ("/choices/0/finish_reason", said("stop")),
        ("/model", said("m")),
        ("/usage/total_tokens", Value::Number(5.0)),
        ("/choices/1/message/content", Value::Missing),
    ] {
        assert_eq!(one(at(pointer), None, "{}", &events), expected, "{pointer}");
    }
    assert_eq!(one(FieldFrom::Said, Some(Text), "{}", &events), said("Hi"));
    assert_eq!(one(FieldFrom::Said, Some(Category), "{}", &[r#"{"choices":[{"text":" spam\n"}]}"#]), said("spam"));
    assert_eq!(one(FieldFrom::Said, Some(Number), "{}", &[r#"{"choices":[{"text":" 0.5\n"}]}"#]), Value::Number(0.5));
    assert_eq!(one(at("/x"), None, "{}", &["data: no json\n\n", "event: ping\n\n"]), Value::Missing);
}

#[test]
fn facts_beside_the_bodies_are_values_too() {
    assert_eq!(one(FieldFrom::Variant, Some(Category), "{}", &[]), said("a"));
    assert_eq!(one(FieldFrom::Tag("team".to_owned()), Some(Category), "{}", &[]), said("search"));
    assert_eq!(one(FieldFrom::Tag("age".to_owned()), Some(Number), "{}", &[]), Value::Number(41.0));
    assert_eq!(one(FieldFrom::Tag("none".to_owned()), Some(Category), "{}", &[]), Value::Missing);
    assert_eq!(one(FieldFrom::Label("l".parse().unwrap()), Some(Category), "{}", &[]), Value::Missing);
}

#[test]
fn lists_go_on_as_json() {
    let roles = RolesSpec { passages: Some("p".to_owned()), ..RolesSpec::default() };
    let fields = [field("p", FieldFrom::Request("/passages".to_owned()), Some(Text))];
    let row = |body: &str| {
        let call = answered(1, body, &[]);
        Call::read(&call, &fields).row(&fields, &roles).remove(0)
    };
    assert_eq!(row(r#"{"passages": [{"id": 1, "text": "a"}, "b"]}"#), said(r#"[{"id":1,"text":"a"},"b"]"#));
    assert_eq!(row(r#"{"passages": "a"}"#), Value::Missing);
    let long = format!("{{\"passages\": [{}]}}", vec![format!("\"{}\"", "x".repeat(7000)); 5].join(","));
    let Value::Text(text) = row(&long) else { panic!("a list") };
    assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap().len(), 2, "as many as there is room for");
}

#[test]
fn what_is_said_later_has_its_kind() {
    assert_eq!(labelled("1", Some(Category)), said("1"));
    assert_eq!(labelled("1", Some(Number)), Value::Number(1.0));
    assert_eq!(labelled("x", Some(Number)), Value::Missing);
    assert_eq!(rewarded(RewardValue::Boolean(true), Some(Category)), said("true"));
    assert_eq!(rewarded(RewardValue::Boolean(true), Some(Number)), Value::Number(1.0));
    assert_eq!(rewarded(RewardValue::Float(0.5), Some(Number)), Value::Number(0.5));
}
