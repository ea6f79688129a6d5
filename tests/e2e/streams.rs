//! Streams end clearly: `[DONE]` only when done, an error event when cut, and a caller that leaves takes the upstream's
//! work with it.

use crate::harness::events::event;
use crate::harness::upstream::{self, Act, Step, chunk, done, opening, piece};
use crate::harness::{Stage, chat_stream, soon};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;

fn is_error(event: &str) -> bool {
    let parsed: Value = serde_json::from_str(event).unwrap_or_default();
    parsed["error"]["message"].as_str().is_some_and(|message| !message.is_empty())
        && parsed["error"].get("code").is_some()
}

#[tokio::test]
async fn a_good_stream_ends_with_one_done() {
    let stage = Stage::new().await;
    let mut stream = stage.client.stream(&chat_stream("mock")).await;
    let id = stream.request_id();
    let events = stream.events().await;
    assert!(stream.is_whole);
    assert_eq!(events.iter().filter(|event| *event == "[DONE]").count(), 1);
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    let record = event(&stage.admin, &id).await;
    assert_eq!((&record["outcome"], &record["stream"], &record["status"]), (&json!("ok"), &json!(true), &json!(200)));
    assert_eq!((&record["usage"]["prompt"], &record["usage"]["completion"]), (&json!(5), &json!(2)));
}

#[tokio::test]
async fn a_cut_stream_ends_with_an_error_event_and_without_done() {
    let stage = Stage::new().await;
    for cut in [Step::Cut, Step::End] {
        stage.upstream.then(Act::Stream(vec![opening(), piece("half a sen"), cut.clone()]));
        let mut stream = stage.client.stream(&chat_stream("mock")).await;
        assert_eq!(stream.status(), 200);
        let id = stream.request_id();
        let events = stream.events().await;
        assert!(events.iter().any(|event| event.contains("half a sen")), "{events:?}");
        assert!(events.last().is_some_and(|event| is_error(event)), "{cut:?}: {events:?}");
        assert!(!events.contains(&"[DONE]".to_owned()), "{cut:?}: {events:?}");
        let record = event(&stage.admin, &id).await;
        assert_eq!(record["outcome"], json!({"fault": "stream_cut"}), "{cut:?}");
    }
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_ends_it() {
    let stage = Stage::new().await;
    stage.upstream.then(Act::Stream(vec![
        opening(),
        piece("a"),
        upstream::event(
            &json!({"error": {"message": "out of memory", "type": "server_error", "param": null, "code": null}}),
        ),
        done(),
    ]));
    let mut stream = stage.client.stream(&chat_stream("mock")).await;
    let id = stream.request_id();
    let events = stream.events().await;
    assert_eq!(events.iter().filter(|event| is_error(event)).count(), 1, "{events:?}");
    assert!(!events.contains(&"[DONE]".to_owned()), "{events:?}");
    assert_ne!(event(&stage.admin, &id).await["outcome"], json!("ok"));
}

#[tokio::test]
async fn the_words_error_and_usage_in_a_text_are_text() {
    let stage = Stage::new().await;
    let text = "an \"error\": {\"message\": \"x\"} and \"usage\": {\"prompt_tokens\": 9}";
    stage.upstream.then(Act::Stream(vec![opening(), piece(text), chunk(&json!({}), Some("stop")), done()]));
    let events = stage.client.stream(&chat_stream("mock")).await.events().await;
    assert_eq!((events.len(), events.last().map(String::as_str)), (4, Some("[DONE]")), "{events:?}");
}

#[tokio::test]
async fn a_caller_that_leaves_takes_the_upstreams_work_with_it() {
    let stage = Stage::new().await;
    let hold = Arc::new(Semaphore::new(0));
    stage.upstream.then(Act::Stream(vec![
        opening(),
        piece("one"),
        piece("two"),
        Step::Hold(hold),
        piece("never"),
        done(),
    ]));
    let mut stream = stage.client.stream(&chat_stream("mock")).await;
    let id = stream.request_id();
    while !stream.event().await.expect("events come").contains("two") {}
    drop(stream);
    stage.upstream.was_left().await;
    let record = event(&stage.admin, &id).await;
    assert_eq!(record["outcome"], "cancelled");
    assert_eq!(record["usage_estimated"], json!(true), "what was produced is billed: {record}");
    assert!(record["usage"]["completion"].as_u64().is_some_and(|tokens| (1..=3).contains(&tokens)), "{record}");
    assert!(record["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0), "{record}");
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_cancels_as_well() {
    let stage = Stage::new().await;
    stage.upstream.then(Act::Hang);
    let mut wire = stage.client.connect().await;
    wire.write(&stage.client.request(
        "POST",
        "/v1/chat/completions",
        &[("x-client-request-id", "the-one-that-left")],
        chat_stream("mock").to_string().as_bytes(),
    ))
    .await;
    crate::harness::eventually("the upstream to be called", async || (stage.upstream.count() == 1).then_some(())).await;
    drop(wire);
    let record = crate::harness::eventually("the record", async || {
        let all = crate::harness::events::newest(&stage.admin, 10).await;
        all.into_iter().find(|event| event["client_request_id"] == "the-one-that-left")
    })
    .await;
    assert_eq!((&record["outcome"], &record["status"]), (&json!("cancelled"), &json!(0)));
}

#[tokio::test]
async fn events_reach_the_caller_when_they_are_there() {
    let stage = Stage::new().await;
    let hold = Arc::new(Semaphore::new(0));
    let steps = vec![
        opening(),
        Step::Hold(Arc::clone(&hold)),
        piece("first"),
        Step::Hold(Arc::clone(&hold)),
        piece("second"),
        chunk(&json!({}), Some("stop")),
        done(),
    ];
    stage.upstream.then(Act::Stream(steps));
    let mut stream = stage.client.stream(&chat_stream("mock")).await;
    assert!(stream.event().await.unwrap().contains("assistant"));
    hold.add_permits(1);
    // The upstream does not go on before this came through: nothing is gathered on the way.
    assert!(soon("the first piece", stream.event()).await.unwrap().contains("first"));
    hold.add_permits(1);
    assert!(stream.event().await.unwrap().contains("second"));
    assert_eq!(stream.events().await.last().map(String::as_str), Some("[DONE]"));
}

#[tokio::test]
async fn an_upstream_that_falls_silent_is_given_up() {
    let stage = Stage::of_route("routes: {mock: {model: up, timeouts: {connect: 1s, first_token: 300ms, idle: 300ms, total: 20s}, retry: {attempts: 1}}}\n").await;
    stage.upstream.then(Act::Stream(vec![opening(), piece("then nothing"), Step::Stall]));
    let mut stream = stage.client.stream(&chat_stream("mock")).await;
    let id = stream.request_id();
    let events = stream.events().await;
    assert!(events.last().is_some_and(|event| is_error(event)) && !events.contains(&"[DONE]".to_owned()), "{events:?}");
    assert!(event(&stage.admin, &id).await["outcome"]["fault"].is_string());
    stage.upstream.then(Act::Hang);
    let answer = stage.client.chat(&chat_stream("mock")).await;
    assert_eq!((answer.status(), answer.error()["code"].clone()), (504, json!("upstream_timeout")));
}
