//! Errors: OpenAI's envelope with the right status, which names what was wrong; never a 5xx for bad input, never a 200
//! for an upstream that failed.

use crate::harness::upstream::{self, Act, Step};
use crate::harness::{Stage, chat, chat_stream};
use serde_json::{Value, json};

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let stage = Stage::new().await;
    for body in [chat("no-such-model"), chat_stream("no-such-model")] {
        let answer = stage.client.chat(&body).await;
        let error = answer.error();
        assert_eq!(
            (answer.status(), &error["code"], &error["param"]),
            (404, &json!("model_not_found"), &json!("model"))
        );
        assert!(error["message"].as_str().unwrap().contains("no-such-model"));
    }
    assert_eq!(stage.client.get("/v1/models/no-such-model").await.status(), 404);
    assert_eq!(stage.client.get("/v1/models/mock").await.json()["id"], "mock");
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let stage = Stage::new().await;
    let cases: &[(&str, Value)] = &[
        ("messages", json!("hello")),
        ("messages", json!([])),
        ("temperature", json!("hot")),
        ("temperature", json!(2.5)),
        ("top_p", json!(1.5)),
        ("max_tokens", json!(-1)),
        ("max_tokens", json!(1.5)),
        ("max_completion_tokens", json!("x")),
        ("n", json!(0)),
        ("stop", json!(["a", "b", "c", "d", "e"])),
        ("stop", json!(7)),
        ("stream", json!("yes")),
        ("seed", json!("x")),
        ("presence_penalty", json!(3)),
        ("frequency_penalty", json!([])),
        ("logit_bias", json!([1])),
        ("top_logprobs", json!(21)),
        ("logprobs", json!(1)),
        ("model", json!(5)),
        ("model", json!(null)),
        ("stream_options", json!(true)),
    ];
    for (field, value) in cases {
        let mut body = chat("mock");
        body[*field] = value.clone();
        let answer = stage.client.chat(&body).await;
        let error = answer.error();
        assert_eq!(
            (answer.status(), &error["type"]),
            (400, &json!("invalid_request_error")),
            "{field} = {value}: {error}"
        );
        let param = error["param"].as_str().unwrap_or_default();
        assert!(param.split(['.', '[']).next() == Some(*field), "{field} = {value}: param is {param:?}");
    }
    assert_eq!(stage.upstream.count(), 0, "a bad call reached the upstream");
}

#[tokio::test]
async fn nulls_are_unset_and_unknown_fields_are_taken() {
    let stage = Stage::new().await;
    let mut body = chat("mock");
    for field in [
        "temperature",
        "top_p",
        "n",
        "stop",
        "seed",
        "stream",
        "stream_options",
        "logprobs",
        "top_logprobs",
        "user",
        "tools",
        "tool_choice",
        "response_format",
        "logit_bias",
        "metadata",
        "presence_penalty",
    ] {
        body[field] = Value::Null;
    }
    body["verbosity"] = json!("low");
    body["a_field_of_next_year"] = json!([{"x": 1}]);
    let answer = stage.client.chat(&body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[tokio::test]
async fn bodies_that_are_no_valid_json_object_are_refused() {
    let stage = Stage::new().await;
    let deep = format!(
        "{{\"model\":\"mock\",\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"x\":{}{}}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    let cases: [&[u8]; 9] = [
        b"",
        b"{",
        b"[]",
        b"\"text\"",
        b"{\"model\":\"mock\",\"model\":\"mock\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"model\":\"mock\",\"m\\u006fdel\":\"other\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"model\":\"mock\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}",
        b"{\"model\":\"mock\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]} trailing",
        deep.as_bytes(),
    ];
    for body in cases {
        let answer = stage.client.send("POST", "/v1/chat/completions", &[], body).await;
        assert_eq!(
            (answer.status(), answer.error()["type"].clone()),
            (400, json!("invalid_request_error")),
            "{:?}",
            String::from_utf8_lossy(&body[..body.len().min(80)])
        );
    }
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn a_wrong_method_learns_the_right_ones() {
    let stage = Stage::new().await;
    for (method, path, allowed) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/models", "GET, HEAD"),
        ("PUT", "/v1/embeddings", "POST"),
    ] {
        let answer = stage.client.send(method, path, &[], b"").await;
        assert_eq!((answer.status(), answer.header("allow")), (405, Some(allowed)), "{method} {path}");
        answer.error();
    }
    let head = stage.client.send("HEAD", "/v1/models", &[], b"").await;
    assert_eq!((head.status(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn a_path_that_is_not_there_says_so() {
    let stage = Stage::new().await;
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/chat",
        "/v1/chat/completions/",
        "/v3/models",
        "/admin/v1/config",
        "/v1/chat/completions%00",
    ] {
        let answer = stage.client.send("POST", path, &[], b"{}").await;
        assert!(matches!(answer.status(), 400 | 404), "{path}: {}", answer.status());
        answer.error();
    }
}

#[tokio::test]
async fn a_browser_may_ask_before_it_calls() {
    let stage = Stage::new().await;
    let headers = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-stainless-lang"),
    ];
    let answer = stage.client.without_key().send("OPTIONS", "/v1/chat/completions", &headers, b"").await;
    assert!(matches!(answer.status(), 200 | 204), "{}", answer.status());
    let allowed = answer.header("access-control-allow-headers").unwrap_or_default().to_ascii_lowercase();
    assert!(allowed.contains("authorization") && allowed.contains("x-stainless-lang"), "{allowed}");
    assert!(answer.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
}

#[tokio::test]
async fn a_body_too_large_is_refused_before_it_is_sent() {
    let stage = Stage::new().await;
    let length = (1u64 << 32).to_string();
    let open = stage.client.open("POST", "/v1/chat/completions", &[("content-length", &length)], b"{").await;
    let answer = open.whole().await;
    assert_eq!((answer.status(), answer.error()["code"].clone()), (413, json!("request_too_large")));
}

#[tokio::test]
async fn other_types_and_encodings_are_refused() {
    let stage = Stage::new().await;
    let body = chat("mock").to_string();
    for header in [
        ("content-type", "text/plain"),
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-encoding", "gzip"),
    ] {
        let answer = stage.client.send("POST", "/v1/chat/completions", &[header], body.as_bytes()).await;
        assert_eq!(answer.status(), 415, "{header:?}");
        answer.error();
    }
    let answer = stage
        .client
        .send("POST", "/v1/chat/completions", &[("content-type", "application/json; charset=utf-8")], body.as_bytes())
        .await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn without_a_valid_key_nothing_is_read_or_told() {
    let stage = Stage::new().await;
    let mut said = Vec::new();
    for client in [stage.client.without_key(), stage.client.with_key("sk-wrong"), stage.client.with_key("")] {
        for body in [chat("mock"), chat("no-such-model"), json!({"model": 5})] {
            let answer = client.chat(&body).await;
            let error = answer.error();
            assert_eq!(
                (answer.status(), &error["type"], &error["code"]),
                (401, &json!("authentication_error"), &json!("invalid_api_key"))
            );
            said.push(error["message"].as_str().unwrap().to_owned());
        }
    }
    assert!(said.iter().all(|message| !message.contains("sk-wrong") && !message.contains("mock")), "{said:?}");
    assert_eq!(stage.client.without_key().get("/v1/models").await.status(), 401);
}

#[tokio::test]
async fn keys_come_in_the_headers_that_clients_use() {
    let stage = Stage::new().await;
    let key = stage.home.key(&["infer"]);
    let client = stage.client.without_key();
    // The new key is read when its file has changed.
    crate::harness::eventually("the new key to be known", async || {
        (client.with_key(&key).get("/v1/models").await.status() == 200).then_some(())
    })
    .await;
    let body = chat("mock").to_string();
    for header in [
        ("authorization", format!("bearer {key}")),
        ("authorization", format!("BEARER {key}")),
        ("x-api-key", key.clone()),
        ("api-key", key.clone()),
    ] {
        let answer = client.send("POST", "/v1/chat/completions", &[(header.0, &header.1)], body.as_bytes()).await;
        assert_eq!(answer.status(), 200, "{}", header.0);
    }
    for header in [
        ("authorization", key.clone()),
        ("authorization", format!("Basic {key}")),
        ("authorization", "Bearer".to_owned()),
    ] {
        let answer = client.send("POST", "/v1/chat/completions", &[(header.0, &header.1)], body.as_bytes()).await;
        assert_eq!(answer.status(), 401, "{header:?}");
    }
}

/// The upstream's status, and what a caller sees of it.
const UPSTREAM_STATUSES: [(u16, u16, &str); 9] = [
    (400, 400, "upstream_refused"),
    (422, 422, "upstream_refused"),
    (401, 502, "upstream_misconfigured"),
    (403, 502, "upstream_misconfigured"),
    (404, 502, "upstream_misconfigured"),
    (429, 429, "upstream_rate_limited"),
    (500, 502, "upstream_failed"),
    (503, 503, "upstream_overloaded"),
    (529, 502, "upstream_failed"),
];

#[tokio::test]
async fn an_upstreams_error_keeps_its_meaning() {
    let stage = Stage::with("").await;
    for (theirs, ours, code) in UPSTREAM_STATUSES {
        for body in [chat("mock"), chat_stream("mock")] {
            stage.upstream.always(upstream::failure(theirs));
            let answer = stage.client.chat(&body).await;
            let error = answer.error();
            assert_eq!(
                (answer.status(), error["code"].as_str()),
                (ours, Some(code)),
                "the upstream said {theirs}: {error}"
            );
            assert!(ours < 500 || !error["message"].as_str().unwrap().contains(crate::harness::home::UPSTREAM_KEY));
        }
    }
}

#[tokio::test]
async fn an_upstream_that_makes_no_sense_is_a_bad_gateway() {
    let stage = Stage::new().await;
    for act in [Act::Reset, Act::Answer(200, vec![], "no json at all".into()), Act::Answer(200, vec![], "".into())] {
        stage.upstream.always(act.clone());
        let answer = stage.client.chat(&chat("mock")).await;
        answer.error();
        assert_eq!(answer.status(), 502, "{act:?}");
    }
}

#[tokio::test]
async fn a_stream_that_begins_with_an_error_is_an_error() {
    let stage = Stage::new().await;
    stage.upstream.always(Act::Stream(vec![
        upstream::event(&json!({"error": {"message": "no capacity", "type": "server_error", "code": null}})),
        Step::End,
    ]));
    let answer = stage.client.chat(&chat_stream("mock")).await;
    assert!(answer.status() >= 500, "{} {}", answer.status(), answer.text());
    answer.error();
}

#[tokio::test]
async fn an_upstream_that_nobody_runs_is_unreachable() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let stage = Stage::of(
        crate::harness::Upstream::start().await,
        &format!(
            "{}providers: {{pool: {{openai: {{endpoints: [{{url: \"http://{closed}/v1\"}}]}}}}}}\n{}",
            crate::harness::home::BASE,
            crate::harness::ROUTES
        ),
    )
    .await;
    let answer = stage.client.chat(&chat("mock")).await;
    assert_eq!((answer.status(), answer.error()["code"].clone()), (502, json!("upstream_unreachable")));
    assert!(!answer.text().contains(&closed.port().to_string()), "an internal address is told: {}", answer.text());
}
