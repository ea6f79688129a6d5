//! Local models that sleep: by an order or by themselves, woken by calls, within the memory that they share; and what of a
//! process's memory that gives back.

use crate::harness::client::Answer;
use crate::harness::events::{Counts, event};
use crate::harness::home::{BASE, repository};
use crate::harness::{Client, Gateway, Home, eventually};
use crate::quickstart::{ask, quickstart_with};
use serde_json::json;

/// The digest of `tiny.gguf`, a random llama of 40 kB.
const TINY: &str = "1aefd4cfda869e54752e904ce4ea21609b94e2be966f5dc161a4083f6c57921d";

/// A configuration with two models of one provider, each of which takes its 8 MiB of cache and 64 MiB beside.
fn two(provider: &str, model: &str) -> String {
    let gguf = repository().join("tests/golden/adapters/tiny.gguf");
    let source = format!("{{uris: [\"file:{}\"], sha256: {TINY}}}", gguf.display());
    let one = |name: &str| format!("{name}: {{provider: here, source: {source}{model}}}");
    format!(
        "{BASE}providers: {{here: {{local: {{kv_cache: 8MiB, threads: 1{provider}}}}}}}\n\
         models: {{{}, {}}}\nroutes: {{one: {{model: one}}, two: {{model: two}}}}\n",
        one("one"),
        one("two")
    )
}

async fn complete(client: &Client, model: &str) -> Answer {
    let body = json!({"model": model, "prompt": "The quick", "max_tokens": 8, "temperature": 0});
    client.post("/v1/completions", &body).await
}

async fn order(admin: &Client, model: &str, order: &str) -> Answer {
    admin.send("POST", &format!("/admin/v1/models/{model}/{order}"), &[], b"").await
}

/// Whether both models sleep.
async fn asleep(admin: &Client) -> [bool; 2] {
    let counts = Counts::read(admin).await;
    ["one", "two"].map(|model| counts.series(&format!("tidegate_engine_asleep{{model=\"{model}\"}}")) == 1.0)
}

async fn serving(home: &Home, provider: &str, model: &str) -> (Gateway, Client, Client) {
    home.write("config.yaml", &two(provider, model));
    let key = home.key(&["infer"]);
    let gateway = home.serve().await;
    let (client, admin) = (gateway.client().with_key(&key), gateway.admin());
    (gateway, client, admin)
}

#[tokio::test]
async fn a_model_sleeps_by_an_order_and_calls_wake_it_and_wait() {
    let home = Home::new();
    let (gateway, client, admin) = serving(&home, "", "").await;
    let said = complete(&client, "one").await;
    assert_eq!(said.status(), 200, "{}", said.text());
    let slept = eventually("its last call is over", async || {
        let slept = order(&admin, "one", "sleep").await;
        (slept.status() == 200).then_some(slept)
    });
    assert_eq!(slept.await.json(), json!({"model": "one", "state": "asleep"}));
    assert_eq!(asleep(&admin).await, [true, false]);
    assert_eq!(admin.get("/readyz").await.status(), 200, "who sleeps is ready");
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { complete(&client, "one").await })
        })
        .collect();
    for call in calls {
        let woken = call.await.expect("an answer");
        assert_eq!(woken.json()["choices"], said.json()["choices"], "{}", woken.text());
    }
    let counts = Counts::read(&admin).await;
    assert_eq!(counts.series("tidegate_engine_wakes_total{model=\"one\"}"), 1.0, "once for all of them");
    let shown = admin.get("/admin/v1/models/one/sleep").await;
    assert_eq!((shown.status(), &shown.json()["model"]), (200, &json!("one")));
    assert_eq!(
        home.run(&["model", "sleep", "two", "--url", &format!("http://{}", gateway.address("admin"))]).out(),
        "two is asleep\n"
    );
    assert_eq!(
        home.run(&["model", "wake", "two", "--url", &format!("http://{}", gateway.address("admin"))]).out(),
        "two is awake\n"
    );
    for (roles, reads, writes) in [(&["read"][..], 200, 403), (&["write"], 403, 200), (&["infer"], 403, 403)] {
        let key = home.key(roles);
        let reloaded = admin.post("/admin/v1/reload", &json!({})).await;
        assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
        let other = admin.without_key().with_key(&key);
        assert_eq!(other.get("/admin/v1/models/two/sleep").await.status(), reads, "{roles:?}");
        assert_eq!(order(&other, "two", "sleep").await.status(), writes, "{roles:?}");
        assert_eq!(order(&other, "two", "wake").await.status(), writes, "{roles:?}");
    }
    assert_eq!(order(&admin, "three", "sleep").await.status(), 404);
}

#[tokio::test]
async fn models_that_nobody_calls_sleep_by_themselves_and_a_reload_changes_when() {
    let home = Home::new();
    let (gateway, client, admin) = serving(&home, "", ", sleep_after: 100ms").await;
    eventually("both sleep", async || (asleep(&admin).await == [true, true]).then_some(())).await;
    let answer = complete(&client, "one").await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    eventually("it sleeps again", async || (asleep(&admin).await == [true, true]).then_some(())).await;
    home.replace("config.yaml", &two("", ", sleep_after: 1h"));
    let reloaded = admin.post("/admin/v1/reload", &json!({})).await;
    assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
    assert_eq!(gateway.log_of("language model loaded").len(), 2, "no model is loaded anew for that");
    assert_eq!(asleep(&admin).await, [true, true]);
    assert_eq!(complete(&client, "two").await.status(), 200);
    assert_eq!(asleep(&admin).await, [true, false]);
}

#[tokio::test]
async fn what_does_not_fit_the_memory_of_a_provider_is_refused_and_who_sleeps_makes_room() {
    let home = Home::new();
    home.write("config.yaml", &two(", memory: 100MiB", ""));
    home.key(&["infer"]);
    let refused = home.run(&["serve", "--config", "config.yaml"]);
    assert_ne!(refused.code(), 0);
    assert!(
        refused.err().contains("of the 100 MiB of its provider's `memory` 27 MiB are left (`one` 73 MiB in use)"),
        "{}",
        refused.err()
    );
    let (_gateway, client, admin) = serving(&home, ", memory: 200MiB", "").await;
    assert_eq!(order(&admin, "two", "sleep").await.status(), 200);
    home.replace("config.yaml", &two(", memory: 100MiB", ""));
    let reloaded = admin.post("/admin/v1/reload", &json!({})).await;
    assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
    let crowded = complete(&client, "two").await;
    assert_eq!((crowded.status(), &crowded.error()["code"]), (503, &json!("overloaded")), "{}", crowded.text());
    assert_eq!(crowded.header("retry-after"), Some("5"));
    assert!(crowded.text().contains("other models have the memory"), "{}", crowded.text());
    assert_eq!(order(&admin, "two", "wake").await.status(), 503);
    let record = event(&admin, &crowded.request_id()).await;
    assert_eq!(record["outcome"], json!({"fault": "overloaded"}), "{record}");
    assert_eq!(order(&admin, "one", "sleep").await.status(), 200);
    let answer = complete(&client, "two").await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    home.replace("config.yaml", &two(", memory: 50MiB", ""));
    let refused = admin.post("/admin/v1/reload", &json!({})).await;
    assert_eq!(refused.status(), 422, "{}", refused.text());
    assert!(refused.text().contains("its models have 73 MiB"), "{}", refused.text());
    assert_eq!(complete(&client, "two").await.status(), 200, "what was in force goes on");
}

/// What a process has in memory, in MiB.
fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") / 1024.0
}

#[tokio::test]
async fn the_weights_of_a_real_model_are_given_back_and_it_says_the_same_afterwards() {
    let test = "the_weights_of_a_real_model_are_given_back_and_it_says_the_same_afterwards";
    let Some((_home, gateway)) = quickstart_with(test, "", "").await else { return };
    let (client, admin) = (gateway.client(), gateway.admin());
    let body = ask("Name three colours, and say of each what it reminds you of.", 48);
    let said = client.chat(&body).await;
    assert_eq!(said.status(), 200, "{}", said.text());
    let awake = resident(gateway.pid());
    let slept = eventually("its call is over", async || {
        let slept = order(&admin, "smollm2", "sleep").await;
        (slept.status() == 200).then_some(())
    });
    slept.await;
    // Its weights are 92 MiB; what the allocator holds of the rest it gives back a little later.
    let asleep = eventually("the memory is given back", async || {
        let now = resident(gateway.pid());
        (awake - now > 88.0).then_some(now)
    })
    .await;
    let woken = client.chat(&body).await;
    assert_eq!(woken.json()["choices"], said.json()["choices"]);
    println!("figure: {awake:.0} MiB awake, {asleep:.0} MiB asleep");
}
