//! The records of calls, the metrics and the log: what they hold, what they must not hold, and that no input forges them.

use crate::harness::events::{Counts, event, newest, settled};
use crate::harness::upstream::completion;
use crate::harness::{Stage, chat, chat_stream};
use serde_json::{Value, json};

#[tokio::test]
async fn a_record_says_who_what_where_and_how_much() {
    let stage = Stage::new().await;
    stage.upstream.then(completion("Hello", 1000, 500));
    let headers = [
        ("x-client-request-id", "req-7"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-tidegate-episode", "episode-9"),
    ];
    let answer = stage.client.send("POST", "/v1/chat/completions", &headers, chat("mock").to_string().as_bytes()).await;
    let record = event(&stage.admin, &answer.request_id()).await;
    for (field, wanted) in [
        ("id", json!(answer.request_id())),
        ("api", json!("chat_completions")),
        ("route", json!("mock")),
        ("model", json!("up")),
        ("provider", json!("pool")),
        ("principal", json!("tester")),
        ("tenant", json!("tester")),
        ("client_request_id", json!("req-7")),
        ("episode", json!("episode-9")),
        ("trace_id", json!("0af7651916cd43dd8448eb211c80319c")),
        ("stream", json!(false)),
        ("outcome", json!("ok")),
        ("status", json!(200)),
        ("answer_bytes", json!(answer.body.len())),
        ("request_bytes", json!(chat("mock").to_string().len())),
    ] {
        assert_eq!(record[field], wanted, "{field} of {record}");
    }
    // A thousand tokens at 1 USD a million, five hundred at 2.
    assert!((record["cost_usd"].as_f64().unwrap() - 0.002).abs() < 1e-12, "{record}");
    assert!(record["total_us"].as_u64().unwrap() >= record["first_us"].as_u64().unwrap());
    assert!(record["content"].is_null(), "content is kept by choice only");
}

#[tokio::test]
async fn a_stream_costs_what_the_same_answer_costs_at_once() {
    let stage = Stage::new().await;
    stage.upstream.then(completion("Hello", 5, 2));
    let whole = stage.client.chat(&chat("mock")).await;
    let mut stream = stage.client.stream(&chat_stream("mock")).await;
    let id = stream.request_id();
    stream.events().await;
    let (whole, streamed) = (event(&stage.admin, &whole.request_id()).await, event(&stage.admin, &id).await);
    assert_eq!(whole["usage"], streamed["usage"]);
    assert_eq!(whole["cost_usd"], streamed["cost_usd"]);
    assert!(whole["cost_usd"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn refused_calls_are_recorded_as_well() {
    let stage = Stage::new().await;
    for (answer, wanted) in [
        (stage.client.chat(&chat("nought")).await, json!({"fault": "model_not_found"})),
        (stage.client.without_key().chat(&chat("mock")).await, json!({"fault": "unauthenticated"})),
        (stage.client.chat(&json!({"model": 5})).await, json!({"fault": "invalid_request"})),
    ] {
        let record = event(&stage.admin, &answer.request_id()).await;
        assert_eq!((&record["outcome"], &record["status"]), (&wanted, &json!(answer.status())));
    }
    let counts = settled(&stage.admin, 3.0).await;
    assert_eq!(counts.sum("tidegate_calls_total"), 3.0);
    // What is no call of an interface leaves no record.
    stage.client.get("/v1/models").await;
    stage.client.get("/nowhere").await;
    assert_eq!(Counts::read(&stage.admin).await.sum("tidegate_calls_total"), 3.0);
}

#[tokio::test]
async fn content_is_kept_as_the_policy_says() {
    let secret = "the caller's own words";
    for (policy, holds) in [("none", false), ("hash", false), ("redacted", false), ("full", true)] {
        let upstream = crate::harness::Upstream::start().await;
        let base = crate::harness::home::BASE
            .replace("{to: \"file:events\"}", &format!("{{to: \"file:events\", content: {policy}}}"));
        let text = format!("{base}{}{}", crate::harness::provider("pool", &[&upstream]), crate::harness::ROUTES);
        let stage = Stage::of(upstream, &text).await;
        let mut body = chat("mock");
        body["messages"][0]["content"] = json!(secret);
        let answer = stage.client.chat(&body).await;
        let record = event(&stage.admin, &answer.request_id()).await;
        assert_eq!(record.to_string().contains(secret), holds, "{policy}: {record}");
        assert_eq!(record["content"].is_null(), policy == "none", "{policy}: {record}");
        if policy == "hash" {
            assert_eq!(record["content"]["request_sha256"].as_str().map(str::len), Some(64));
        }
    }
}

#[tokio::test]
async fn the_newest_records_come_first() {
    let stage = Stage::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(stage.client.chat(&chat("mock")).await.request_id());
    }
    event(&stage.admin, ids.last().unwrap()).await;
    ids.reverse();
    let listed: Vec<String> =
        newest(&stage.admin, 3).await.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, ids[..3]);
    for limit in ["0", "1001", "x", "-1"] {
        assert_eq!(stage.admin.get(&format!("/admin/v1/events?limit={limit}")).await.status(), 400, "{limit}");
    }
    assert_eq!(stage.admin.get("/admin/v1/events/no-id").await.status(), 400);
    assert_eq!(stage.admin.get("/admin/v1/events/01931c2e-8f10-7cc3-98c4-dc0c0c07398f").await.status(), 404);
}

#[tokio::test]
async fn no_caller_adds_a_series_to_the_metrics() {
    let stage = Stage::new().await;
    stage.client.chat(&chat("mock")).await;
    let series = |counts: &Counts| {
        counts
            .text()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    stage.client.chat(&chat("nought")).await;
    settled(&stage.admin, 2.0).await;
    let before = series(&Counts::read(&stage.admin).await);
    for i in 0..50 {
        stage
            .client
            .send(
                "POST",
                "/v1/chat/completions",
                &[("x-user-id", &format!("u{i}"))],
                chat(&format!("model-{i}")).to_string().as_bytes(),
            )
            .await;
        stage.client.get(&format!("/path-{i}")).await;
        stage.client.with_key(&format!("key-{i}")).chat(&chat("mock")).await;
    }
    settled(&stage.admin, 102.0).await;
    let after = series(&Counts::read(&stage.admin).await);
    // Classes of statuses that were not seen before are of a closed set.
    let new: Vec<_> = after
        .difference(&before)
        .filter(|series| !series.contains("status_class") && !series.contains("fault"))
        .collect();
    assert!(new.is_empty(), "{new:?}");
    assert!(
        after
            .iter()
            .all(|series| !series.contains("model-1") && !series.contains("path-1") && !series.contains("key-1"))
    );
}

#[tokio::test]
async fn no_input_forges_a_line_of_the_log() {
    let stage = Stage::new().await;
    let evil = "x\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}\u{1b}[31m\u{0}";
    stage.client.chat(&chat(evil)).await;
    let mut body = chat("mock");
    body["user"] = json!(evil);
    stage.upstream.then(crate::harness::upstream::failure(500));
    stage
        .client
        .send(
            "POST",
            "/v1/chat/completions",
            &[("x-client-request-id", "x\u{1b}[31mforged")],
            body.to_string().as_bytes(),
        )
        .await;
    stage.gateway.signal("HUP");
    crate::harness::eventually("the reload to be logged", async || {
        (!stage.gateway.log_of("reload").is_empty()).then_some(())
    })
    .await;
    for line in stage.gateway.log() {
        let parsed: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("no JSON in the log ({e}): {line}"));
        assert_ne!(parsed["message"], "forged");
        assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
    }
}

#[tokio::test]
async fn the_command_shows_the_same_records() {
    let stage = Stage::new().await;
    let answer = stage.client.chat(&chat("mock")).await;
    let record = event(&stage.admin, &answer.request_id()).await;
    let ran = stage.home.run(&["events", "tail", "-n", "5", "--json", "--config", "config.yaml"]);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    let told: Vec<Value> = ran.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told, [record]);
    let ran = stage.home.run(&["events", "show", &answer.request_id(), "--config", "config.yaml"]);
    assert!(ran.code() == 0 && ran.out().contains(&answer.request_id()), "{}{}", ran.out(), ran.err());
    // The configuration that the record names can be had as long as the record, and after it.
    let hash = told[0]["config"].as_str().expect("a hash");
    let ran = stage.home.run(&["events", "configuration", hash, "--config", "config.yaml"]);
    let kept: Value = serde_json::from_str(&ran.out()).unwrap_or_else(|e| panic!("{e}: {}", ran.err()));
    assert_eq!(kept["hash"], hash);
    assert!(kept["routes"]["mock"].is_object(), "{kept}");
    for (other, code) in [("00", 1), ("../x", 1)] {
        assert_eq!(stage.home.run(&["events", "configuration", other, "--config", "config.yaml"]).code(), code);
    }
}
