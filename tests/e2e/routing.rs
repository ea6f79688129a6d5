//! Where a call goes: shares, sticky units, endpoints, retries and fallbacks, as the records of the calls tell it.

use crate::harness::events::event;
use crate::harness::upstream::{self, Act, Step, opening, piece};
use crate::harness::{Home, Stage, Upstream, chat, chat_stream, home};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A gateway with two upstreams, each behind a provider and a model of its own: `a` and `b`.
struct Two {
    a: Upstream,
    b: Upstream,
    stage: Stage,
}

impl Two {
    async fn with(route: &str) -> Self {
        let (a, b) = (Upstream::start().await, Upstream::start().await);
        let text = format!(
            "{}providers:\n  pa: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}\n  pb: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}\nmodels: {{ma: {{provider: pa, model: at-a}}, mb: {{provider: pb, model: at-b}}}}\nroutes: {{mock: {route}}}\n",
            home::BASE,
            a.url(),
            b.url(),
        );
        // The stage's own upstream is not in this configuration.
        let stage = Stage::of(Upstream::start().await, &text).await;
        Self { a, b, stage }
    }

    fn counts(&self) -> (usize, usize) {
        (self.a.count(), self.b.count())
    }
}

const VARIANTS: &str = "variants: {a: {model: ma}, b: {model: mb}}";

#[tokio::test]
async fn shares_are_kept() {
    let two = Two::with(&format!("{{{VARIANTS}, policy: {{weighted: {{a: 75%, b: 25%}}}}}}")).await;
    for _ in 0..400 {
        assert_eq!(two.stage.client.chat(&chat("mock")).await.status(), 200);
    }
    let (a, b) = two.counts();
    assert_eq!(a + b, 400);
    // Five standard deviations: a right gateway fails this once in two million runs.
    assert!((a as f64 - 300.0).abs() < 5.0 * (400.0f64 * 0.75 * 0.25).sqrt(), "{a} of 400 where 300 were due");
    assert_eq!(two.a.last().json()["model"], "at-a");
    assert_eq!(two.b.last().json()["model"], "at-b");
}

#[tokio::test]
async fn a_unit_stays_on_its_arm() {
    let two = Two::with(&format!(
        "{{{VARIANTS}, policy: {{weighted: {{a: 50%, b: 50%}}}}, sticky: {{by: {{header: x-user-id}}}}}}"
    ))
    .await;
    let mut arms: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..3 {
        for user in 0..24 {
            let user = format!("user-{user}");
            let answer = two
                .stage
                .client
                .send("POST", "/v1/chat/completions", &[("x-user-id", &user)], chat("mock").to_string().as_bytes())
                .await;
            let record = event(&two.stage.admin, &answer.request_id()).await;
            let arm = record["variant"].as_str().unwrap().to_owned();
            assert_eq!(record["decision"]["sticky"], json!(true));
            assert_eq!(*arms.entry(user.clone()).or_insert_with(|| arm.clone()), arm, "{user} moved in round {round}");
        }
    }
    let on_a = arms.values().filter(|arm| *arm == "a").count();
    assert!((1..24).contains(&on_a), "all units are on one arm");
}

#[tokio::test]
async fn a_record_tells_how_the_arm_was_drawn() {
    let two = Two::with(&format!("{{{VARIANTS}, policy: {{weighted: {{a: 90%, b: 10%}}}}}}")).await;
    let answer = two.stage.client.chat(&chat("mock")).await;
    let record = event(&two.stage.admin, &answer.request_id()).await;
    assert_eq!(record["decision"]["shares"], json!([0.9, 0.1]));
    let (draw, arm) = (record["decision"]["draw"].as_f64().unwrap(), record["decision"]["arm"].as_u64().unwrap());
    assert_eq!(arm, u64::from(draw >= 0.9), "the draw decides: {record}");
    assert_eq!(record["variant"], ["a", "b"][arm as usize]);
}

const FALLBACK: &str = "{variants: {a: {model: ma}, b: {model: mb}}, policy: {weighted: {a: 100%, b: 0%}}, retry: {attempts: 1}, fallback: [{when: [\"5xx\", \"429\", timeout], to: {variant: b}}]}";

#[tokio::test]
async fn a_failed_call_falls_back() {
    let two = Two::with(FALLBACK).await;
    for failure in [upstream::failure(500), upstream::failure(503), upstream::failure(429), Act::Reset] {
        two.a.always(failure.clone());
        let answer = two.stage.client.chat(&chat("mock")).await;
        assert_eq!(answer.status(), 200, "{failure:?}: {}", answer.text());
        let record = event(&two.stage.admin, &answer.request_id()).await;
        let tried: Vec<&Value> =
            record["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["variant"]).collect();
        assert_eq!(tried, [&json!("a"), &json!("b")], "{failure:?}");
        assert!(record["attempts"][0]["fault"].is_string() && record["attempts"][1].get("fault").is_none(), "{record}");
        assert_eq!(record["variant"], "b");
    }
}

#[tokio::test]
async fn a_stream_falls_back_before_its_first_byte_and_never_after() {
    let two = Two::with(FALLBACK).await;
    for failure in [
        upstream::failure(503),
        Act::Stream(vec![
            upstream::event(&json!({"error": {"message": "no capacity", "type": "server_error", "code": null}})),
            Step::End,
        ]),
        Act::Stream(vec![Step::Cut]),
    ] {
        two.a.always(failure.clone());
        let mut stream = two.stage.client.stream(&chat_stream("mock")).await;
        assert_eq!(stream.status(), 200, "{failure:?}");
        assert_eq!(stream.events().await.last().map(String::as_str), Some("[DONE]"), "{failure:?}");
    }
    let before = two.b.count();
    two.a.always(Act::Stream(vec![opening(), piece("begun"), Step::Cut]));
    let events = two.stage.client.stream(&chat_stream("mock")).await.events().await;
    assert!(events.iter().any(|event| event.contains("begun")) && !events.contains(&"[DONE]".to_owned()), "{events:?}");
    assert_eq!(two.b.count(), before, "tokens that were sent must not be sent again by another");
}

#[tokio::test]
async fn each_try_has_the_parameters_of_its_variant_and_the_caller_is_heard_first() {
    let two = Two::with(
        "{variants: {a: {model: ma, parameters: {temperature: 0.2, max_tokens: 300, stop: [\"a\\\"b\", END], seed: 7}}, b: {model: mb, parameters: {top_p: 0.5}}}, policy: {weighted: {a: 100%, b: 0%}}, retry: {attempts: 1}, fallback: [{when: [\"5xx\"], to: {variant: b}}]}",
    )
    .await;
    let mut asked = chat("mock");
    asked.as_object_mut().expect("an object").remove("max_tokens");
    assert_eq!(two.stage.client.chat(&asked).await.status(), 200);
    let mut wanted = asked;
    wanted["model"] = json!("at-a");
    for (name, value) in [("temperature", json!(0.2)), ("max_tokens", json!(300)), ("seed", json!(7))] {
        wanted[name] = value;
    }
    wanted["stop"] = json!(["a\"b", "END"]);
    assert_eq!(two.a.last().json(), wanted);
    // What the caller says stays as he wrote it, be it by the other name of a bound, or null.
    let said = r#"{"model":"mock","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":5,"temperature":1.50,"seed":null}"#;
    let answer = two.stage.client.send("POST", "/v1/chat/completions", &[], said.as_bytes()).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let sent = said.replace("\"mock\"", "\"at-a\"").replace("null}", r#"null,"stop":["a\"b","END"]}"#);
    assert_eq!(String::from_utf8_lossy(&two.a.last().body), sent);
    // A fallback has its own.
    two.a.always(upstream::failure(500));
    assert_eq!(two.stage.client.chat(&chat("mock")).await.status(), 200);
    let fell = two.b.last().json();
    assert_eq!((&fell["top_p"], &fell["temperature"], &fell["stop"]), (&json!(0.5), &Value::Null, &Value::Null));
    // Completions have other names, embeddings none.
    two.a.always(upstream::completion("x", 1, 1));
    two.stage.client.post("/v1/embeddings", &json!({"model": "mock", "input": "a"})).await;
    assert_eq!(two.a.last().json(), json!({"model": "at-a", "input": "a"}));
}

#[tokio::test]
async fn a_callers_fault_goes_nowhere_else() {
    let two = Two::with(FALLBACK).await;
    two.a.always(upstream::failure(400));
    assert_eq!(two.stage.client.chat(&chat("mock")).await.status(), 400);
    assert_eq!(two.counts(), (1, 0));
}

#[tokio::test]
async fn a_call_is_tried_again() {
    let stage =
        Stage::of_route("routes: {mock: {model: up, retry: {attempts: 3, backoff: 1ms, budget: 100%}}}\n").await;
    stage.upstream.then(upstream::failure(503));
    stage.upstream.then(upstream::failure(500));
    let answer = stage.client.chat(&chat("mock")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(stage.upstream.count(), 3);
    let record = event(&stage.admin, &answer.request_id()).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 3, "{record}");
}

#[tokio::test]
async fn an_upstreams_wait_is_kept_or_told() {
    let stage = Stage::of_route(
        "routes: {mock: {model: up, retry: {attempts: 2, backoff: 1ms, budget: 100%}, timeouts: {total: 2s}}}\n",
    )
    .await;
    let wait = |seconds: u32| {
        Act::Answer(
            429,
            vec![("retry-after", seconds.to_string())],
            "{\"error\":{\"message\":\"too many\",\"type\":\"x\"}}".into(),
        )
    };
    stage.upstream.then(wait(1));
    let began = std::time::Instant::now();
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    assert!(began.elapsed() >= std::time::Duration::from_millis(950), "it came again after {:?}", began.elapsed());
    // Longer than the call may take: the caller is told instead.
    stage.upstream.always(wait(30));
    let began = std::time::Instant::now();
    let answer = stage.client.chat(&chat("mock")).await;
    assert_eq!((answer.status(), answer.header("retry-after")), (429, Some("30")));
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "it waited {:?} for nothing", began.elapsed());
}

#[tokio::test]
async fn retries_stay_within_their_budget() {
    let stage = Stage::of_route("routes: {mock: {model: up, retry: {attempts: 5, backoff: 1ms, budget: 20%}}}\n").await;
    stage.upstream.always(upstream::failure(503));
    for _ in 0..100 {
        assert_eq!(stage.client.chat(&chat("mock")).await.status(), 503);
    }
    let extra = stage.upstream.count() - 100;
    // The budget lets a few through before there is any history.
    assert!(extra <= 20 + 12, "{extra} retries of 100 calls");
}

#[tokio::test]
async fn a_dead_endpoint_costs_no_call() {
    let (good, lost) = (Upstream::start().await, tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let dead = lost.local_addr().unwrap();
    drop(lost);
    let text = format!(
        "{}providers: {{pool: {{openai: {{endpoints: [{{url: \"http://{dead}/v1\"}}, {{url: \"{}\"}}], balance: p2c}}}}}}\nmodels: {{up: {{provider: pool, model: m}}}}\nroutes: {{mock: {{model: up, retry: {{attempts: 3, backoff: 1ms, budget: 100%}}}}}}\n",
        home::BASE,
        good.url(),
    );
    let stage = Stage::of(good, &text).await;
    for _ in 0..50 {
        assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    }
    assert_eq!(stage.upstream.count(), 50);
}

#[tokio::test]
async fn endpoints_share_the_calls() {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    let text = format!(
        "{}{}models: {{up: {{provider: pool, model: m}}}}\nroutes: {{mock: {{model: up}}}}\n",
        home::BASE,
        crate::harness::provider("pool", &[&a, &b])
    );
    let home = Home::new();
    home.write("config.yaml", &text);
    let key = home.key(&["infer"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    for _ in 0..100 {
        assert_eq!(client.chat(&chat("mock")).await.status(), 200);
    }
    assert_eq!(a.count() + b.count(), 100);
    assert!(a.count() > 20 && b.count() > 20, "{} and {}", a.count(), b.count());
}
