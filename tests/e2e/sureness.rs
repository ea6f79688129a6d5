//! How sure a local model is of its answers: a cascade goes by it though no caller asks for log-probabilities, and no caller
//! sees any.

use crate::harness::client::Answer;
use crate::harness::events::event;
use crate::harness::home::{BASE, repository};
use crate::harness::{Client, Gateway, Home, Upstream, upstream};
use serde_json::{Value, json};

/// The digest of `tiny.gguf`, a random llama of 40 kB: it knows 259 tokens, and is sure of none.
const TINY: &str = "1aefd4cfda869e54752e904ce4ea21609b94e2be966f5dc161a4083f6c57921d";

/// A route for each condition, whose first variant is the tiny model.
async fn routes(of: &[(&str, &str)]) -> (Home, Gateway, Client, Upstream) {
    let big = Upstream::start().await;
    big.always(upstream::completion("a good answer", 10, 20));
    let routes: String = of
        .iter()
        .map(|(name, weakness)| {
            format!(
                "  {name}: {{variants: {{small: {{model: tiny}}, big: {{model: big}}}}, \
                 policy: {{cascade: {{explore: 0%, escalate: [{weakness}]}}}}}}\n"
            )
        })
        .collect();
    let home = Home::new();
    home.write(
        "config.yaml",
        &format!(
            "{BASE}providers: {{here: {{local: {{kv_cache: 8MiB, threads: 1}}}}, pb: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\n\
             models: {{tiny: {{provider: here, source: {{uris: [\"file:{}\"], sha256: {TINY}}}}}, big: {{provider: pb}}}}\nroutes:\n{routes}",
            big.url(),
            repository().join("tests/golden/adapters/tiny.gguf").display()
        ),
    );
    let key = home.key(&["infer", "read"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    (home, gateway, client, big)
}

fn body(route: &str, more: &Value) -> Value {
    let mut body = json!({"model": route, "prompt": "The quick", "max_tokens": 8, "temperature": 0});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn ask(client: &Client, route: &str, more: &Value) -> Answer {
    let answer = client.post("/v1/completions", &body(route, more)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer
}

#[tokio::test]
async fn a_cascade_goes_by_how_sure_a_local_model_is_without_log_probabilities() {
    let cases = [
        ("sure", "{confidence_below: 0.001%}", None),
        ("unsure", "{confidence_below: 99.9%}", Some("unsure")),
        // No more than ln 259 is possible.
        ("calm", "{entropy_above: 5.6}", None),
        ("scattered", "{entropy_above: 0.01}", Some("unsure")),
    ];
    let (_home, gateway, client, _big) = routes(&cases.map(|(name, weakness, _)| (name, weakness))).await;
    let admin = gateway.admin();
    for (route, weakness, poor) in cases {
        for more in [json!({}), json!({"n": 2, "temperature": 1, "seed": 5}), json!({"logprobs": 0})] {
            let answer = ask(&client, route, &more).await;
            let doc = answer.json();
            let is_big = doc["choices"][0]["message"]["content"] == "a good answer";
            assert_eq!(is_big, poor.is_some(), "{weakness} {more}: {doc}");
            let told = &doc["choices"][0]["logprobs"];
            assert!(is_big || told.is_object() == (more["logprobs"] == 0), "{weakness} {more}: {doc}");
            let record = event(&admin, &answer.request_id()).await;
            assert_eq!(record["attempts"][0]["poor"].as_str(), poor, "{record}");
        }
    }
}

#[tokio::test]
async fn a_held_stream_is_judged_by_it_too() {
    let (_home, gateway, client, big) =
        routes(&[("calm", "{entropy_above: 5.6}"), ("scattered", "{entropy_above: 0.01}")]).await;
    let admin = gateway.admin();
    big.always(upstream::failure(500));
    for (route, poor) in [("calm", None), ("scattered", Some("unsure"))] {
        let mut body = body(route, &json!({"stream": true}));
        body["stream_options"] = json!({"include_usage": true});
        let mut stream = client.open("POST", "/v1/completions", &[], body.to_string().as_bytes()).await;
        let id = stream.request_id();
        let events = stream.events().await;
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
        assert!(events[..events.len() - 1].iter().all(|chunk| !chunk.contains("sureness")), "{events:?}");
        let record = event(&admin, &id).await;
        assert_eq!(record["attempts"][0]["poor"].as_str(), poor, "the poor answer is better than none: {record}");
        assert_eq!(record["variant"], "small", "{record}");
    }
}
