//! What goes out is what came in, and what comes back is what the upstream said: byte for byte, but for the model's name,
//! the wish for a stream's usage and the headers that belong to one side only.

use crate::harness::upstream::{Act, Step};
use crate::harness::{Client, Home, Stage, UPSTREAM_MODEL, Upstream, chat, chat_stream, home};
use bytes::Bytes;
use serde_json::json;

/// A body with everything that a re-serialisation would change: spaces, the order of members, escapes, numbers that no
/// float holds, members that nobody knows, and the model's name in other places too.
const ODD: &str = include_str!("../golden/chat/odd.json");

#[tokio::test]
async fn a_body_goes_out_as_it_came_but_for_the_models_name() {
    let stage = Stage::new().await;
    let answer = stage.client.send("POST", "/v1/chat/completions", &[], ODD.as_bytes()).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let wanted = ODD.replace("\"model\" :\t\"mock\"", &format!("\"model\" :\t\"{UPSTREAM_MODEL}\""));
    assert_ne!(wanted, ODD, "the golden body names the model as this test expects");
    assert_eq!(String::from_utf8_lossy(&stage.upstream.last().body), wanted);
}

#[tokio::test]
async fn a_stream_asks_for_its_usage_and_changes_nothing_else() {
    let stage = Stage::new().await;
    for (more, wanted) in [
        (json!({}), json!({"include_usage": true})),
        (json!({"stream_options": null}), json!({"include_usage": true})),
        (json!({"stream_options": {}}), json!({"include_usage": true})),
        (json!({"stream_options": {"include_usage": false, "other": 1}}), json!({"include_usage": true, "other": 1})),
        (json!({"stream_options": {"include_usage": true}}), json!({"include_usage": true})),
    ] {
        let mut body = chat_stream("mock");
        body["unknown"] = json!({"keep": [1.5, "é"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut stream = stage.client.stream(&body).await;
        assert_eq!(stream.events().await.last().map(String::as_str), Some("[DONE]"), "{more}");
        let mut seen = stage.upstream.last().json();
        assert_eq!(seen["stream_options"], wanted, "asked with {more}");
        seen["model"] = json!("mock");
        for doc in [&mut seen, &mut body] {
            doc.as_object_mut().unwrap().remove("stream_options");
        }
        assert_eq!(seen, body);
    }
}

#[tokio::test]
async fn an_answer_comes_back_byte_for_byte() {
    let stage = Stage::new().await;
    let odd = Bytes::from_static(b"{ \"id\":\"x\", \"object\":\"chat.completion\",\"created\":1,\"model\":\"M\",\n\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"\\u00e9\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2,\"new_detail\":{}},\"x\":1.10 }");
    stage.upstream.then(Act::Answer(
        200,
        vec![("x-upstream-secret", "internal".into()), ("set-cookie", "a=b".into())],
        odd.clone(),
    ));
    let answer = stage.client.chat(&chat("mock")).await;
    assert_eq!(Bytes::from(answer.body.clone()), odd);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!((answer.header("set-cookie"), answer.header("x-upstream-secret")), (None, None));
}

#[tokio::test]
async fn the_events_of_a_stream_come_back_byte_for_byte() {
    let stage = Stage::new().await;
    let first = "data: {\"id\":\"a\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"M\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"odd\":1.10}\n\n";
    let second = "data: {\"id\":\"a\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"M\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"the words \\\"usage\\\" and \\\"error\\\" \\u00e9\"},\"finish_reason\":\"stop\"}]}\n\n";
    // Torn across the wire in the middle of an event.
    let (a, b) = second.split_at(71);
    let steps = [first, a, b, "data: [DONE]\n\n"].map(|text| Step::Send(text.to_owned().into()));
    stage.upstream.then(Act::Stream(steps.to_vec()));
    let answer = stage.client.chat(&chat_stream("mock")).await;
    assert_eq!(answer.text(), format!("{first}{second}data: [DONE]\n\n"));
    assert_eq!(answer.header("content-type").map(|kind| kind.split(';').next().unwrap()), Some("text/event-stream"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
}

#[tokio::test]
async fn the_usage_chunk_comes_only_to_those_who_ask() {
    let stage = Stage::new().await;
    let with_usage = |events: &[String]| events.iter().filter(|event| event.contains("\"usage\":{")).count();
    let silent = stage.client.stream(&chat_stream("mock")).await.events().await;
    assert_eq!(with_usage(&silent), 0, "{silent:?}");
    assert!(silent.iter().all(|event| !event.contains("\"choices\":[]")), "{silent:?}");
    let mut body = chat_stream("mock");
    body["stream_options"] = json!({"include_usage": true});
    let told = stage.client.stream(&body).await.events().await;
    assert_eq!(with_usage(&told), 1, "{told:?}");
    assert_eq!(told.len(), silent.len() + 1);
}

#[tokio::test]
async fn completions_and_embeddings_go_through_as_well() {
    let stage = Stage::new().await;
    let answer = stage
        .client
        .post("/v1/completions", &json!({"model": "mock", "prompt": "Once upon a time", "max_tokens": 2}))
        .await;
    assert_eq!((answer.status(), answer.json()["choices"][0]["text"].clone()), (200, json!(" there was")));
    let answer = stage.client.post("/v1/embeddings", &json!({"model": "mock", "input": ["a", "b"]})).await;
    assert_eq!((answer.status(), answer.json()["data"][0]["embedding"].clone()), (200, json!([0.6, 0.8])));
    let paths: Vec<String> =
        stage.upstream.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    assert_eq!(paths, ["POST /v1/completions", "POST /v1/embeddings"]);
}

#[tokio::test]
async fn headers_of_the_caller_stay_here_and_ours_go_out() {
    let stage = Stage::new().await;
    let headers = [
        ("cookie", "session=1"),
        ("x-api-key", "sk-other"),
        ("x-stainless-lang", "python"),
        ("openai-organization", "org"),
        ("openai-project", "p"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("proxy-authorization", "Basic x"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("x-forwarded-for", "6.6.6.6"),
        ("user-agent", "secret-agent"),
        ("x-client-request-id", "mine-1"),
    ];
    let answer = stage.client.send("POST", "/v1/chat/completions", &headers, chat("mock").to_string().as_bytes()).await;
    assert_eq!(answer.status(), 200);
    let seen = stage.upstream.last();
    for (name, _) in
        headers.iter().filter(|(name, _)| !matches!(*name, "x-client-request-id" | "connection" | "user-agent"))
    {
        assert_eq!(seen.header(name), None, "{name} went out");
    }
    assert!(
        seen.headers.iter().all(|(_, value)| !value.contains("secret-agent") && !value.contains("x-hop")),
        "{:?}",
        seen.headers
    );
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {}", home::UPSTREAM_KEY).as_str()));
    assert_eq!(seen.header("x-client-request-id"), Some("mine-1"));
    assert_eq!(seen.header("content-length").map(str::to_owned), Some(seen.body.len().to_string()));
}

#[tokio::test]
async fn a_trace_goes_on_and_one_begins_where_there_is_none() {
    let stage = Stage::new().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    stage
        .client
        .send(
            "POST",
            "/v1/chat/completions",
            &[("traceparent", &parent), ("tracestate", "a=b")],
            chat("mock").to_string().as_bytes(),
        )
        .await;
    let seen = stage.upstream.last();
    let out = seen.header("traceparent").expect("a trace goes out").to_owned();
    assert!(out.starts_with(&format!("00-{trace}-")) && out.ends_with("-01") && out != parent, "{out}");
    assert_eq!(seen.header("tracestate"), Some("a=b"));
    stage.client.chat(&chat("mock")).await;
    let begun = stage.upstream.last().header("traceparent").expect("a trace begins").to_owned();
    assert!(begun.len() == 55 && !begun.contains(trace), "{begun}");
}

#[tokio::test]
async fn a_providers_own_headers_and_query_are_added() {
    let upstream = Upstream::start().await;
    let text = format!(
        "{}providers: {{azure: {{openai: {{endpoints: [{{url: \"{}\"}}], auth: {{header: {{api-key: \"${{env:UPSTREAM_KEY}}\"}}}}, headers: {{x-team: blue}}, query: {{api-version: \"2024-10-21\"}}}}}}}}\nmodels: {{up: {{provider: azure, model: m}}}}\nroutes: {{mock: {{model: up}}}}\n",
        home::BASE,
        upstream.url(),
    );
    let stage = Stage::of(upstream, &text).await;
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    let seen = stage.upstream.last();
    assert_eq!(seen.path, "/v1/chat/completions?api-version=2024-10-21");
    assert_eq!(
        (seen.header("api-key"), seen.header("x-team"), seen.header("authorization")),
        (Some(home::UPSTREAM_KEY), Some("blue"), None)
    );
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let stage = Stage::new().await;
    let mut ids = Vec::new();
    for answer in [
        stage.client.chat(&chat("mock")).await,
        stage.client.chat(&chat("no-such-model")).await,
        stage.client.get("/v1/models").await,
        stage.client.get("/nowhere").await,
        stage.client.without_key().chat(&chat("mock")).await,
        stage.client.send("TRACE", "/v1/models", &[], b"").await,
    ] {
        ids.push(answer.request_id());
    }
    let stream = stage.client.stream(&chat_stream("mock")).await;
    ids.push(stream.request_id());
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let stage = Stage::new().await;
    let mut wire = stage.client.connect().await;
    for _ in 0..20 {
        wire.write(&stage.client.request("POST", "/v1/chat/completions", &[], chat("mock").to_string().as_bytes()))
            .await;
        let head = wire.head().await.expect("the connection stays open");
        assert_eq!(head.status, 200);
        let mut framing = head.framing();
        while let crate::harness::wire::Part::Data(_) = wire.part(&mut framing).await {}
    }
    assert_eq!(stage.upstream.count(), 20);
}

#[tokio::test]
async fn without_keys_anybody_on_loopback_may_call() {
    let upstream = Upstream::start().await;
    let home = Home::new();
    let text = format!(
        "{}{}{}",
        home::BASE.replace("keys: {file: keys.yaml}\n", ""),
        crate::harness::provider("pool", &[&upstream]),
        crate::harness::ROUTES
    );
    home.write("config.yaml", &text);
    let gateway = home.serve().await;
    let client: Client = gateway.client();
    assert_eq!(client.chat(&chat("mock")).await.status(), 200);
    assert_eq!(client.with_key("whatever").chat(&chat("mock")).await.status(), 200);
    assert_eq!(
        gateway.admin().without_key().get("/admin/v1/config").await.status(),
        401,
        "the admin interface has its token all the same"
    );
}
