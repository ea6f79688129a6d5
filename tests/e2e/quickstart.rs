//! The quickstart with the real model: it talks, streams the same words, and takes turns fairly.

use crate::harness::home::{models, repository};
use crate::harness::{Client, Gateway, Home, Upstream, eventually, may_be_left_out, upstream};
use serde_json::{Value, json};

/// The quickstart, but for its fixed addresses; none where there is no model.
async fn quickstart(test: &str) -> Option<(Home, Gateway)> {
    quickstart_with(test, "", "").await
}

/// The same with `from` in its configuration replaced by `to`.
pub(crate) async fn quickstart_with(test: &str, from: &str, to: &str) -> Option<(Home, Gateway)> {
    let is_there = models().is_some_and(|folder| {
        let mut files = std::fs::read_dir(folder)
            .unwrap()
            .flat_map(|entry| std::fs::read_dir(entry.unwrap().path()).into_iter().flatten());
        files.any(|file| file.unwrap().path().extension().is_some_and(|end| end == "gguf"))
    });
    if !is_there
        && may_be_left_out(
            test,
            "the small model: set TIDEGATE_TEST_MODELS to a folder that `tidegate pull smollm2` filled",
        )
    {
        return None;
    }
    let home = Home::new();
    let text = std::fs::read_to_string(repository().join("configs/quickstart.yaml")).expect("the quickstart is there");
    let mut text = text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:8081", "127.0.0.1:0");
    if !text.lines().any(|line| line.starts_with("admin:")) {
        text += "\nadmin: {address: \"127.0.0.1:0\", token: \"${env:TIDEGATE_ADMIN_TOKEN}\"}\n";
    }
    assert!(text.contains(from), "{text}");
    home.write("config.yaml", &text.replacen(from, to, 1));
    let gateway = home.serve().await;
    Some((home, gateway))
}

pub(crate) fn ask(text: &str, tokens: u64) -> Value {
    json!({"model": "smollm2", "messages": [{"role": "user", "content": text}], "max_tokens": tokens, "temperature": 0})
}

async fn streamed(client: &Client, mut body: Value) -> String {
    body["stream"] = json!(true);
    let events = client.stream(&body).await.events().await;
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
    let chunks = events[..events.len() - 1].iter().map(|event| serde_json::from_str::<Value>(event).unwrap());
    chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

/// What this model says of the capital of France when nothing is left to chance; llama.cpp's server says the same.
const GREEDY: &str = "L'Étoile, la Marseillaise, la femme";

#[tokio::test]
async fn the_model_answers_and_streams_the_same() {
    let Some((_home, gateway)) = quickstart("the_model_answers_and_streams_the_same").await else { return };
    let client = gateway.client();
    let body = ask("What is the capital of France?", 24);
    let answer = client.chat(&body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let doc = answer.json();
    let text = doc["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with(GREEDY), "{text}");
    assert_eq!(
        doc["usage"]["total_tokens"],
        json!(doc["usage"]["prompt_tokens"].as_u64().unwrap() + doc["usage"]["completion_tokens"].as_u64().unwrap())
    );
    assert_eq!(streamed(&client, body).await, text);
}

#[tokio::test]
async fn callers_at_once_get_what_they_get_alone() {
    let Some((_home, gateway)) = quickstart("callers_at_once_get_what_they_get_alone").await else { return };
    let client = gateway.client();
    let bodies: Vec<Value> = ["Name three colours.", "Count to five.", "What is water?", "Say hello."]
        .iter()
        .map(|text| ask(text, 16))
        .collect();
    let mut alone = Vec::new();
    for body in &bodies {
        alone.push(streamed(&client, body.clone()).await);
    }
    let at_once: Vec<_> = bodies
        .into_iter()
        .map(|body| {
            let client = client.clone();
            tokio::spawn(async move { streamed(&client, body).await })
        })
        .collect();
    for (call, alone) in at_once.into_iter().zip(alone) {
        assert_eq!(call.await.unwrap(), alone);
    }
}

#[tokio::test]
async fn streams_progress_together() {
    let Some((_home, gateway)) = quickstart("streams_progress_together").await else { return };
    let client = gateway.client();
    let mut body = ask("Write a long story about a dragon.", 24);
    body["stream"] = json!(true);
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(client.stream(&body).await);
    }
    // All four have begun before any has ended: each has events waiting when the others are read in turn.
    let mut open = vec![true; 4];
    let mut rounds = 0;
    while open.iter().any(|open| *open) {
        for (stream, open) in streams.iter_mut().zip(&mut open) {
            *open = *open && stream.event().await.is_some_and(|event| event != "[DONE]");
        }
        rounds += 1;
    }
    assert!(rounds >= 24, "{rounds} rounds");
}

#[tokio::test]
async fn control_tokens_in_a_callers_text_stay_text() {
    let Some((_home, gateway)) = quickstart("control_tokens_in_a_callers_text_stay_text").await else { return };
    let client = gateway.client();
    let tokens = async |text: &str| client.chat(&ask(text, 1)).await.json()["usage"]["prompt_tokens"].as_u64().unwrap();
    let (plain, control) = (tokens("x").await, tokens("<|im_end|>").await);
    assert!(control > plain, "a control token was taken for one: {control} tokens where a single one makes {plain}");
}

#[tokio::test]
async fn the_configured_context_is_shown_and_kept_to() {
    let (from, to) = ("source: smollm2}", "source: smollm2, context_length: 64}");
    let Some((_home, gateway)) = quickstart_with("the_configured_context_is_shown_and_kept_to", from, to).await else {
        return;
    };
    let client = gateway.client();
    assert_eq!(client.get("/v1/models/smollm2").await.json()["context_length"], 64);
    assert!(client.get("/v1/models/minilm").await.json().get("context_length").is_none());
    let long = client.chat(&ask(&"word ".repeat(80), 8)).await;
    assert_eq!(
        (long.status(), &long.json()["error"]["code"]),
        (400, &json!("context_length_exceeded")),
        "{}",
        long.text()
    );
    assert_eq!(client.chat(&ask("Hello", 8)).await.status(), 200);
}

/// What stands at the models' place in the quickstart, with the small embedder beside the small model.
const WATCHED: &str = "routes:\n  watched:\n    model: mock\n    shadow:\n      - {variant: {model: other}, compare: {embedding: {model: minilm}, judge: {model: smollm2}}}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shadows_are_compared_by_local_models() {
    let test = "shadows_are_compared_by_local_models";
    let Some((home, gateway)) = quickstart(test).await else { return };
    drop(gateway);
    let (primary, shadow) = (Upstream::start().await, Upstream::start().await);
    let text = std::fs::read_to_string(home.path().join("config.yaml")).expect("the quickstart's configuration");
    let text = text
        .replacen("providers:\n", &format!("providers:\n  one: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}\n  two: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}\n", primary.url(), shadow.url()), 1)
        .replacen("models:\n", "models:\n  mock: {provider: one}\n  other: {provider: two}\n", 1)
        .replacen("routes:\n", WATCHED, 1);
    home.write("config.yaml", &format!("{text}\nstore: {{events: {{to: \"file:events\"}}}}\n"));
    let gateway = home.serve().await;
    let client = gateway.client();
    let mut found = Vec::new();
    for (said, other) in [
        ("The cat sat on the mat.", "A cat was sitting on a mat."),
        ("The cat sat on the mat.", "Interest rates rose by half a point."),
    ] {
        primary.always(upstream::completion(said, 3, 2));
        shadow.always(upstream::completion(other, 3, 2));
        let answer = client
            .chat(&json!({"model": "watched", "messages": [{"role": "user", "content": "Where was the cat?"}]}))
            .await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let wanted = found.len() + 1;
        found = eventually("a comparison", async || Some(compared(&home)).filter(|all| all.len() >= wanted)).await;
    }
    let similarity = |entry: &Value| entry["compared"]["similarity"].as_f64().expect("a similarity");
    let (near, far) = (similarity(&found[0]), similarity(&found[1]));
    println!("figure: by MiniLM the same in other words is {near:.3} alike, something else {far:.3}");
    assert!(near > 0.7 && far < 0.3, "{near} {far}");
    for entry in &found {
        // So small a model need not say a number; where it does it is one.
        assert!(entry["compared"]["judged"].as_f64().is_none_or(|word| (0.0..=1.0).contains(&word)), "{entry}");
    }
}

fn compared(home: &Home) -> Vec<Value> {
    let files = std::fs::read_dir(home.path().join("events/shadows")).into_iter().flatten().flatten();
    let texts: Vec<String> = files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    texts.iter().flat_map(|text| text.lines()).filter_map(|line| serde_json::from_str(line).ok()).collect()
}
