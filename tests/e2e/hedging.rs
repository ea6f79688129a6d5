//! Calls that are slow, filtered or find nobody there: second requests beside slow ones, and the fallbacks by `connect`
//! and `content_filter`.

use crate::harness::events::{Counts, event, settled};
use crate::harness::upstream::{self, Act, Step};
use crate::harness::{Stage, Upstream, chat, chat_stream, home};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A route whose provider has two endpoints that take turns, so that the first request of each call goes to the first
/// one as long as all of them are hedged.
async fn pair(route: &str) -> (Stage, Upstream) {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    let text = format!(
        "{}providers: {{pool: {{openai: {{endpoints: [{{url: \"{}\"}}, {{url: \"{}\"}}], balance: round_robin}}}}}}\nmodels: {{up: {{provider: pool, model: m, price: {{input: 1000.0, output: 2000.0}}}}}}\nroutes: {{mock: {{model: up, {route}}}}}\n",
        home::BASE,
        a.url(),
        b.url()
    );
    (Stage::of(a, &text).await, b)
}

/// Two variants of two providers, all calls to `a`.
async fn variants(first: &str, route: &str) -> (Stage, Upstream) {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    let first = if first.is_empty() { a.url() } else { first.to_owned() };
    let text = format!(
        "{}providers:\n  pa: {{openai: {{endpoints: [{{url: \"{first}\"}}]}}}}\n  pb: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}\nmodels: {{ma: {{provider: pa, model: m, price: {{input: 1.0, output: 2.0}}}}, mb: {{provider: pb, model: m, price: {{input: 1.0, output: 2.0}}}}}}\nroutes: {{mock: {{variants: {{a: {{model: ma}}, b: {{model: mb}}}}, policy: {{weighted: {{a: 100%, b: 0%}}}}, retry: {{attempts: 1}}, {route}}}}}\n",
        home::BASE,
        b.url()
    );
    (Stage::of(a, &text).await, b)
}

/// Takes the call and says nothing; it is seen when the gateway leaves.
fn stalled() -> Act {
    Act::Stream(vec![Step::Stall, Step::End])
}

fn attempts(record: &Value) -> &Vec<Value> {
    record["attempts"].as_array().expect("attempts")
}

/// Where an upstream is, as records name it.
fn place(upstream: &Upstream) -> String {
    upstream.url().trim_start_matches("http://").trim_end_matches("/v1").to_owned()
}

#[tokio::test]
async fn a_stalled_endpoint_is_overtaken_and_left_and_its_prompt_is_paid() {
    let (stage, b) = pair("hedge: {after: 60ms, max_extra: 100%}").await;
    stage.upstream.always(stalled());
    let mut answered = Vec::new();
    for nth in 0..6 {
        let began = Instant::now();
        if nth % 2 == 0 {
            let answer = stage.client.chat(&chat("mock")).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            answered.push(answer.request_id());
        } else {
            let mut stream = stage.client.stream(&chat_stream("mock")).await;
            answered.push(stream.request_id());
            assert_eq!(stream.events().await.last().map(String::as_str), Some("[DONE]"));
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        stage.upstream.was_left().await;
    }
    assert_eq!((stage.upstream.count(), b.count()), (6, 6));
    for id in &answered {
        let record = event(&stage.admin, id).await;
        let [first, second] = attempts(&record).as_slice() else { panic!("two attempts: {record}") };
        assert_eq!((&first["lost"], first.get("hedge")), (&json!(true), None), "{record}");
        assert_eq!((&second["hedge"], second.get("lost")), (&json!(true), None), "{record}");
        assert_eq!((&first["endpoint"], &second["endpoint"]), (&json!(place(&stage.upstream)), &json!(place(&b))));
        assert!(first["us"].as_u64().is_some_and(|us| us >= 60_000), "{record}");
        // A tenth of a cent for each token: what the answer cost, and with it the loser's prompt.
        let (lost, usage) = (first["cost_usd"].as_f64().expect("a cost"), &record["usage"]);
        let answer = usage["prompt"].as_f64().unwrap() * 1e-3 + usage["completion"].as_f64().unwrap() * 2e-3;
        assert!(lost > 0.0 && (record["cost_usd"].as_f64().unwrap() - answer - lost).abs() < 1e-9, "{record}");
    }
    let counts = settled(&stage.admin, 6.0).await;
    assert_eq!(counts.series("tidegate_hedges_total{route=\"mock\",result=\"won\"}"), 6.0);
    let explained = stage.home.run(&["explain", &answered[0], "--config", "config.yaml"]);
    for part in ["was given up, since the other one answered first", "asked beside the one before that was slow"] {
        assert!(explained.out().contains(part), "{}{}", explained.out(), explained.err());
    }
}

#[tokio::test]
async fn second_requests_stay_within_their_allowance() {
    const CALLS: usize = 60;
    let (stage, b) = pair("hedge: {after: 10ms, max_extra: 10%}").await;
    let late = Act::After(Duration::from_millis(60), Box::new(upstream::completion("late", 1, 1)));
    stage.upstream.always(late.clone());
    b.always(late);
    for _ in 0..CALLS {
        assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    }
    let counts = settled(&stage.admin, CALLS as f64).await;
    let hedged = counts.sum("tidegate_hedges_total");
    assert!((1.0..=6.0).contains(&hedged), "{hedged} of {CALLS} calls");
    assert_eq!(counts.sum("tidegate_upstream_attempts_total"), CALLS as f64 + hedged);
    assert!(stage.upstream.count() + b.count() <= CALLS + hedged as usize);
}

#[tokio::test]
async fn a_percentile_is_that_of_the_calls_before() {
    let (stage, _b) = pair("hedge: {after: p95, max_extra: 20%}").await;
    for _ in 0..120 {
        assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    }
    // One of the next two calls asks it, first or second.
    stage.upstream.then(stalled());
    let mut hedged = Vec::new();
    for _ in 0..2 {
        let answer = stage.client.chat(&chat("mock")).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        hedged.push(event(&stage.admin, &answer.request_id()).await);
    }
    let lost = hedged.iter().flat_map(attempts).filter(|attempt| attempt["lost"] == true).count();
    assert!(lost >= 1, "{hedged:?}");
    // Streams are measured by themselves, and none of them is known yet.
    let before = settled(&stage.admin, 122.0).await.sum("tidegate_hedges_total");
    for _ in 0..20 {
        assert_eq!(stage.client.stream(&chat_stream("mock")).await.events().await.last().unwrap(), "[DONE]");
    }
    assert_eq!(settled(&stage.admin, 142.0).await.sum("tidegate_hedges_total"), before);
}

#[tokio::test]
async fn a_failure_before_the_second_request_is_retried_as_ever() {
    let (stage, b) =
        pair("hedge: {after: 5s, max_extra: 100%}, retry: {attempts: 2, backoff: 1ms, budget: 100%}").await;
    stage.upstream.always(upstream::failure(500));
    b.always(upstream::failure(503));
    let answer = stage.client.chat(&chat("mock")).await;
    assert!(answer.status() >= 500, "{}", answer.text());
    let record = event(&stage.admin, &answer.request_id()).await;
    assert_eq!(attempts(&record).len(), 2, "{record}");
    assert!(attempts(&record).iter().all(|attempt| attempt.get("hedge").is_none()), "{record}");
    let page = Counts::read(&stage.admin).await;
    assert!(!page.text().contains("tidegate_hedges_total{"), "none went out");
}

/// A refusal by a filter of contents, as Azure says it.
fn filtered() -> Act {
    let body = json!({"error": {"message": "the prompt was filtered", "type": null, "param": "prompt", "code": "content_filter", "status": 400}});
    Act::Answer(400, vec![], body.to_string().into())
}

/// An answer that a filter has withheld.
fn withheld() -> Act {
    let body = json!({
        "id": "chatcmpl-up", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "content_filter"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
    });
    Act::Answer(200, vec![], body.to_string().into())
}

#[tokio::test]
async fn what_a_filter_refuses_or_withholds_falls_back() {
    let (stage, b) = variants("", "fallback: [{when: [\"4xx\", content_filter], to: {variant: b}}]").await;
    for (act, status) in [(filtered(), 400), (withheld(), 200)] {
        stage.upstream.always(act);
        let answer = stage.client.chat(&chat("mock")).await;
        assert_eq!((answer.status(), answer.json()["choices"][0]["message"]["content"].as_str()), (200, Some("Hello")));
        let record = event(&stage.admin, &answer.request_id()).await;
        let [first, second] = attempts(&record).as_slice() else { panic!("two attempts: {record}") };
        assert_eq!((&first["fault"], &first["status"]), (&json!("content_filter"), &json!(status)), "{record}");
        assert!(second.get("fault").is_none() && record["variant"] == "b", "{record}");
        // The withheld answer was paid: 7 + 2 · 1 in millionths, beside 5 + 2 · 2 of the one that served.
        let wasted = if status == 200 { 9e-6 } else { 0.0 };
        assert!((record["cost_usd"].as_f64().unwrap() - 9e-6 - wasted).abs() < 1e-12, "{record}");
    }
    // A stream is refused before its first byte.
    stage.upstream.always(filtered());
    let events = stage.client.stream(&chat_stream("mock")).await.events().await;
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    // Where the other one withholds too, its answer is the answer.
    stage.upstream.always(withheld());
    b.always(withheld());
    let answer = stage.client.chat(&chat("mock")).await;
    assert_eq!((answer.status(), &answer.json()["choices"][0]["finish_reason"]), (200, &json!("content_filter")));
}

#[tokio::test]
async fn without_the_condition_a_filters_word_reaches_the_caller_and_ejects_nobody() {
    let (stage, b) = variants("", "fallback: [{when: [\"5xx\"], to: {variant: b}}]").await;
    stage.upstream.always(filtered());
    for _ in 0..8 {
        let answer = stage.client.chat(&chat("mock")).await;
        assert_eq!((answer.status(), &answer.error()["code"]), (400, &json!("content_filter")), "{}", answer.text());
        assert!(answer.text().contains("the prompt was filtered"), "{}", answer.text());
    }
    stage.upstream.always(withheld());
    let answer = stage.client.chat(&chat("mock")).await;
    let Act::Answer(_, _, body) = withheld() else { panic!("an answer") };
    assert_eq!((answer.status(), answer.body.as_slice()), (200, &*body), "byte for byte");
    assert_eq!((stage.upstream.count(), b.count()), (9, 0));
    assert_eq!(Counts::read(&stage.admin).await.sum("tidegate_endpoint_state"), 0.0);
}

#[tokio::test]
async fn no_connection_falls_back_and_a_failure_does_not() {
    let lost = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let dead = format!("http://{}/v1", lost.local_addr().expect("it is bound"));
    drop(lost);
    let route = "fallback: [{when: [connect], to: {variant: b}}]";
    let (stage, _b) = variants(&dead, route).await;
    for name in ["one", "other"] {
        let answer = stage.client.chat(&chat("mock")).await;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
        let record = event(&stage.admin, &answer.request_id()).await;
        assert_eq!(
            (&attempts(&record)[0]["fault"], &record["variant"]),
            (&json!("unreachable"), &json!("b")),
            "{record}"
        );
    }
    let (stage, b) = variants("", route).await;
    stage.upstream.always(upstream::failure(502));
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 502);
    assert_eq!(b.count(), 0);
}
