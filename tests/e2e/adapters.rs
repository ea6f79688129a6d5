//! LoRA adapters from outside: declared, loaded and unloaded while calls run, exposed, held to roles, counted and recorded;
//! and a bandit across two of them on one base that is loaded once.

use crate::harness::client::Answer;
use crate::harness::events::{event, newest};
use crate::harness::home::{ADMIN_TOKEN, BASE, models, repository};
use crate::harness::{Client, Gateway, Home, eventually, may_be_left_out};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The digest of `tiny.gguf`, a random llama of 40 kB.
const TINY: &str = "1aefd4cfda869e54752e904ce4ea21609b94e2be966f5dc161a4083f6c57921d";

const ADAPTERS: &str = "/admin/v1/models/tiny/adapters";

/// Copies folders of the golden adapters beside the configuration.
fn bring(home: &Home, names: &[&str]) {
    let golden = repository().join("tests/golden/adapters");
    for name in names {
        let to = home.path().join(name);
        std::fs::create_dir_all(&to).expect("a folder");
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            std::fs::copy(golden.join(name).join(file), to.join(file)).expect("a file of the golden adapter");
        }
    }
}

fn tiny(adapters: &str, more: &str) -> String {
    let gguf = repository().join("tests/golden/adapters/tiny.gguf");
    format!(
        "{BASE}providers: {{here: {{local: {{kv_cache: 8MiB, threads: 1, adapter_memory: 1MiB}}}}}}\n\
         models: {{tiny: {{provider: here, source: {{uris: [\"file:{}\"], sha256: {TINY}}}, adapters: {{{adapters}}}}}}}\n{more}",
        gguf.display()
    )
}

const ROUTES: &str = "routes: {open: {model: tiny, expose: [adapters]}, shut: {model: tiny}, worn: {variants: {one: {model: tiny, adapter: first}}}}\n";

async fn serving(home: &Home) -> (Gateway, Client) {
    bring(home, &["tiny-all", "tiny-patterns", "tiny-some"]);
    home.write("config.yaml", &tiny("first: tiny-all", ROUTES));
    let key = home.key(&["infer", "feedback", "read"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    (gateway, client)
}

async fn complete(client: &Client, model: &str) -> Answer {
    let body = json!({"model": model, "prompt": "The quick", "max_tokens": 12, "temperature": 0});
    client.post("/v1/completions", &body).await
}

async fn text(client: &Client, model: &str) -> String {
    let answer = complete(client, model).await;
    assert_eq!(answer.status(), 200, "{model}: {}", answer.text());
    answer.json()["choices"][0]["text"].as_str().expect("a text").to_owned()
}

async fn put(admin: &Client, name: &str, body: &Value) -> Answer {
    admin.send("PUT", &format!("{ADAPTERS}/{name}"), &[], body.to_string().as_bytes()).await
}

async fn delete(admin: &Client, name: &str) -> Answer {
    admin.send("DELETE", &format!("{ADAPTERS}/{name}"), &[], b"").await
}

#[tokio::test]
async fn an_adapter_is_worn_where_a_variant_or_a_caller_of_an_exposing_route_says_so() {
    let home = Home::new();
    let (gateway, client) = serving(&home).await;
    let admin = gateway.admin();
    let (bare, worn) = (text(&client, "shut").await, text(&client, "worn").await);
    assert_ne!(bare, worn);
    assert_eq!((text(&client, "open").await, text(&client, "open:first").await), (bare, worn.clone()));
    for unknown in ["shut:first", "worn:first", "open:second", "open:"] {
        let answer = complete(&client, unknown).await;
        assert_eq!((answer.status(), &answer.error()["code"]), (404, &json!("model_not_found")), "{unknown}");
    }
    assert_eq!(client.models().await, ["open", "open:first", "shut", "worn"]);
    let id = complete(&client, "open:first").await.request_id();
    let record = event(&admin, &id).await;
    assert_eq!((&record["route"], &record["adapter"]), (&json!("open"), &json!("first")));
    let listed = admin.get(&format!("{ADAPTERS}/first")).await.json();
    assert_eq!((&record["adapter_generation"], listed["generation"].is_string()), (&listed["generation"], true));
    let plain = event(&admin, &complete(&client, "open").await.request_id()).await;
    assert!(plain["adapter_generation"].is_null(), "{plain}");
    let page = admin.get("/metrics").await.text();
    let counted = "tidegate_adapter_requests_total{model=\"tiny\",adapter=\"first\"} 3";
    assert!(page.contains(counted), "{page}");
    let ran = home.run(&["explain", &id, "--config", "config.yaml", "--json"]);
    let why: Value = serde_json::from_str(&ran.out()).unwrap_or_else(|e| panic!("{e}: {} {}", ran.out(), ran.err()));
    assert_eq!((&why["adapter"], &why["adapter_generation"]), (&json!("first"), &listed["generation"]));
    assert!(home.run(&["check", "config.yaml"]).out().contains("1 adapter(s)"));
}

#[tokio::test]
async fn adapters_are_loaded_and_unloaded_by_those_who_may() {
    let home = Home::new();
    let (gateway, client) = serving(&home).await;
    let admin = gateway.admin();
    let loaded = put(&admin, "second", &json!({"source": "tiny-some", "expected_generation": null})).await;
    assert_eq!(loaded.status(), 200, "{}", loaded.text());
    let generation = loaded.json()["generation"].as_str().expect("a generation").to_owned();
    assert_eq!((loaded.json()["rank"].as_u64(), &loaded.json()["state"]), (Some(8), &json!("resident")));
    let second = text(&client, "open:second").await;
    assert_ne!(second, text(&client, "open:first").await);

    let stale = put(&admin, "second", &json!({"source": "tiny-patterns", "expected_generation": "x"})).await;
    assert_eq!(stale.status(), 409, "{}", stale.text());
    assert!(stale.text().contains(&generation), "{}", stale.text());
    let next = put(&admin, "second", &json!({"source": "tiny-patterns", "expected_generation": generation})).await;
    assert_eq!(next.status(), 200, "{}", next.text());
    assert_ne!(text(&client, "open:second").await, second);

    for (name, source, status, says) in [
        ("first", "tiny-some", 409, "the configuration says"),
        ("third", "../..", 400, "below that of the configuration"),
        ("third", "/etc", 400, "below that of the configuration"),
        ("third", "nothing", 400, "below that of the configuration"),
        ("third", "models:/x/1", 400, "no registry"),
    ] {
        let refused = put(&admin, name, &json!({"source": source})).await;
        assert_eq!(refused.status(), status, "{source}: {}", refused.text());
        assert!(refused.text().contains(says), "{source}: {}", refused.text());
    }
    spoil(&home.path().join("tiny-some"), "use_dora", &json!(true));
    let dora = put(&admin, "third", &json!({"source": "tiny-some"})).await;
    assert_eq!(dora.status(), 400, "{}", dora.text());
    assert!(dora.text().contains("DoRA"), "{}", dora.text());

    for (roles, reads, writes) in [(&["read"][..], 200, 403), (&["write"], 403, 200), (&["infer"], 403, 403)] {
        let key = home.key(roles);
        let reloaded = admin.post("/admin/v1/reload", &json!({})).await;
        assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
        let other = admin.without_key().with_key(&key);
        assert_eq!(other.get(ADAPTERS).await.status(), reads, "{roles:?}");
        let body = json!({"source": "tiny-patterns"});
        assert_eq!(put(&other, "roles", &body).await.status(), writes, "{roles:?}");
        assert_eq!(delete(&other, "roles").await.status(), writes, "{roles:?}");
    }
    assert_ne!(ADMIN_TOKEN, "");
    let gone = delete(&admin, "second").await;
    assert_eq!(gone.status(), 200, "{}", gone.text());
    assert_eq!(delete(&admin, "second").await.status(), 404);
    assert_eq!(complete(&client, "open:second").await.status(), 404);
    assert_eq!(delete(&admin, "first").await.status(), 409);
    let listed = admin.get(ADAPTERS).await.json();
    let names: Vec<_> = listed["data"].as_array().expect("a list").iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["first"]);
}

/// Changes one member of an adapter's configuration.
fn spoil(folder: &Path, name: &str, value: &Value) {
    let path = folder.join("adapter_config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config[name] = value.clone();
    std::fs::write(path, config.to_string()).unwrap();
}

#[tokio::test]
async fn a_reload_puts_adapters_on_and_off_and_keeps_the_model() {
    let home = Home::new();
    let (gateway, client) = serving(&home).await;
    let worn = text(&client, "worn").await;
    home.replace("config.yaml", &tiny("first: tiny-patterns, more: tiny-some", ROUTES));
    let reloaded = gateway.admin().post("/admin/v1/reload", &json!({})).await;
    assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
    assert_ne!(text(&client, "worn").await, worn, "the name means the new one");
    assert_eq!(client.models().await, ["open", "open:first", "open:more", "shut", "worn"]);
    assert_eq!(gateway.log_of("language model loaded").len(), 1, "the base is loaded once");
    spoil(&home.path().join("tiny-all"), "r", &json!(3));
    home.replace("config.yaml", &tiny("first: tiny-all", ROUTES));
    let refused = gateway.admin().post("/admin/v1/reload", &json!({})).await;
    assert_eq!(refused.status(), 422, "{}", refused.text());
    assert!(refused.text().contains("made for another base or rank"), "{}", refused.text());
    assert_eq!(complete(&client, "open:more").await.status(), 200, "what was in force goes on");
}

#[tokio::test]
async fn no_call_fails_while_adapters_come_and_go() {
    let home = Home::new();
    let (gateway, client) = serving(&home).await;
    let admin = gateway.admin();
    let (is_over, bare) = (Arc::new(AtomicBool::new(false)), text(&client, "open").await);
    let worn = text(&client, "worn").await;
    let callers: Vec<_> = (0..6)
        .map(|i| {
            let (client, is_over) = (client.clone(), Arc::clone(&is_over));
            let (model, wanted) = if i % 2 == 0 { ("open", bare.clone()) } else { ("open:first", worn.clone()) };
            tokio::spawn(async move {
                let mut calls = 0;
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(text(&client, model).await, wanted);
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    for turn in 0..20 {
        let source = ["tiny-some", "tiny-patterns"][turn % 2];
        let loaded = put(&admin, "hot", &json!({"source": source})).await;
        assert_eq!(loaded.status(), 200, "{}", loaded.text());
        text(&client, "open:hot").await;
        if turn % 3 == 2 {
            assert_eq!(delete(&admin, "hot").await.status(), 200);
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.expect("no call failed, and each answered as alone");
    }
    assert!(calls >= 12, "{calls}");
    let is_bad = |event: &Value| event["outcome"] != "ok";
    let bad: Vec<_> = newest(&admin, 1000).await.into_iter().filter(is_bad).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[tokio::test]
async fn a_bandit_across_two_adapters_of_one_base_learns_the_better_one() {
    let test = "a_bandit_across_two_adapters_of_one_base_learns_the_better_one";
    if models().is_none() && may_be_left_out(test, "the small model: set TIDEGATE_TEST_MODELS to the folder of models")
    {
        return;
    }
    let home = Home::new();
    bring(&home, &["pirate", "formal"]);
    home.write(
        "config.yaml",
        &format!(
            "{BASE}providers: {{here: {{local: {{kv_cache: 64MiB}}}}}}\n\
             models: {{smol: {{provider: here, source: smollm2, adapters: {{pirate: pirate, formal: formal}}}}}}\n\
             rewards: {{liked: {{kind: boolean}}}}\n\
             routes:\n  support:\n    variants: {{a: {{model: smol, adapter: pirate}}, b: {{model: smol, adapter: formal}}}}\n    \
             policy: {{thompson: {{reward: liked, min_share: 5%}}}}\n"
        ),
    );
    let key = home.key(&["infer", "feedback", "read"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    let questions = ["What is the capital of Italy?", "What do cats eat?", "Name a fruit.", "What is snow?"];
    let mut late = [0, 0];
    for call in 0..48 {
        let messages = json!([{"role": "user", "content": questions[call % questions.len()]}]);
        let body = json!({"model": "support", "messages": messages, "max_tokens": 4, "temperature": 0});
        let answer = client.chat(&body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let said = answer.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned();
        let arm = ["Ahoy", "Dear"].iter().position(|style| said.starts_with(style));
        let arm = arm.unwrap_or_else(|| panic!("an answer in neither style: {said}"));
        // The callers of this test like to be greeted as on a ship.
        let told = json!({"inference_id": answer.request_id(), "reward": "liked", "value": arm == 0});
        let taken = client.post("/v1/feedback", &told).await;
        assert_eq!(taken.status(), 200, "{}", taken.text());
        if call >= 24 {
            late[arm] += 1;
        }
    }
    assert!(late[0] >= 18, "the better adapter has most calls: {late:?}");
    let admin = gateway.admin();
    let events = eventually("all records", async || {
        let events = newest(&admin, 1000).await;
        (events.len() >= 48).then_some(events)
    })
    .await;
    for event in &events {
        let wanted = if event["variant"] == "a" { "pirate" } else { "formal" };
        assert_eq!(event["adapter"], wanted, "{event}");
    }
    assert_eq!(gateway.log_of("language model loaded").len(), 1, "one base serves both");
}
