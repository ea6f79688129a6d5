//! The queue and the cache of a local model, as callers see them: what was found of a prompt, a full queue, a turn that
//! did not come in time; and what proxied calls feel of an engine that computes all the time.

use crate::harness::events::Counts;
use crate::harness::{Client, Gateway, Home, Upstream, chat, eventually};
use crate::quickstart::{ask, quickstart_with};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A system prompt of some hundred tokens.
fn long() -> String {
    "You answer in one short sentence, as a lighthouse keeper would, and you never mention the sea. ".repeat(12)
}

fn told(doc: &Value) -> (u64, u64) {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number in {doc}"));
    (number(&doc["usage"]["prompt_tokens"]), number(&doc["usage"]["prompt_tokens_details"]["cached_tokens"]))
}

/// The usage that a stream tells.
async fn usage_of_stream(client: &Client, body: &Value) -> (u64, u64) {
    let mut body = body.clone();
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let events = client.stream(&body).await.events().await;
    let mut docs = events.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok());
    told(&docs.rfind(|doc| doc["usage"].is_object()).expect("a usage"))
}

#[tokio::test]
async fn what_was_found_of_a_prompt_is_told_on_answers_streams_and_metrics() {
    let test = "what_was_found_of_a_prompt_is_told_on_answers_streams_and_metrics";
    let Some((_home, gateway)) = quickstart_with(test, "", "").await else { return };
    let client = gateway.client();
    let with = |question: &str| {
        let mut body = ask(question, 4);
        let system = json!({"role": "system", "content": long()});
        body["messages"].as_array_mut().expect("messages").insert(0, system);
        body
    };
    let first = client.chat(&with("Who are you?")).await.json();
    let (prompt, found) = told(&first);
    assert_eq!(found, 0, "{first}");
    let (_, found) = told(&client.chat(&with("What do you eat?")).await.json());
    assert!(found >= 200 && found % 32 == 0, "{found} of {prompt}");
    assert_eq!(usage_of_stream(&client, &with("What do you drink?")).await.1, found);
    let counts = Counts::read(&gateway.admin()).await;
    let cached = counts.series("tidegate_engine_prompt_tokens_total{model=\"smollm2\",source=\"cached\"}");
    assert_eq!(cached, (2 * found) as f64, "{}", counts.text());
    // The last answer's blocks are given back after it was told.
    let admin = gateway.admin();
    eventually("the prompt's blocks are kept for who comes", async || {
        let counts = Counts::read(&admin).await;
        (counts.series("tidegate_engine_kv_blocks{model=\"smollm2\",state=\"cached\"}") > 6.0).then_some(())
    })
    .await;
}

/// Keeps the one place that is served, and as many that wait, busy.
async fn busy(gateway: &Gateway, calls: usize) -> Vec<tokio::task::JoinHandle<u16>> {
    let mut all = Vec::new();
    for n in 0..calls {
        let client = gateway.client();
        all.push(tokio::spawn(async move {
            let mut body = ask(&format!("Write a very long story about the number {n}."), 1500);
            body["stream"] = json!(true);
            let mut stream = client.stream(&body).await;
            let status = stream.status();
            while stream.event().await.is_some() {}
            status
        }));
        // One after another, so that it is known who waits.
        let admin = gateway.admin();
        eventually("the call is in the queue", async || {
            let counts = Counts::read(&admin).await;
            let all = counts.series("tidegate_engine_running{model=\"smollm2\"}")
                + counts.series("tidegate_engine_waiting{model=\"smollm2\"}");
            (all >= (n + 1) as f64).then_some(())
        })
        .await;
    }
    all
}

#[tokio::test]
async fn a_full_queue_is_429_with_a_time_and_opens_when_callers_leave() {
    let test = "a_full_queue_is_429_with_a_time_and_opens_when_callers_leave";
    let Some((_home, gateway)) = quickstart_with(test, "local: {}", "local: {max_batch: 1, queue: 2}").await else {
        return;
    };
    let calls = busy(&gateway, 3).await;
    let refused = gateway.client().chat(&ask("Hi", 2)).await;
    assert_eq!(refused.status(), 429, "{}", refused.text());
    let after: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("a time");
    assert!((1..=60).contains(&after), "{after}");
    assert_eq!(refused.json()["error"]["code"], "overloaded");
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("2 calls wait"), "{}", refused.text());
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    let served = eventually("the queue opens", async || {
        let answer = gateway.client().chat(&ask("Hi", 2)).await;
        (answer.status() == 200).then_some(())
    });
    served.await;
    let admin = gateway.admin();
    let counts = eventually("all blocks are given back", async || {
        let counts = Counts::read(&admin).await;
        let held = counts.series("tidegate_engine_kv_blocks{model=\"smollm2\",state=\"held\"}");
        (held == 0.0).then_some(counts)
    })
    .await;
    assert!(counts.series("tidegate_engine_refused_total{model=\"smollm2\"}") >= 1.0);
}

#[tokio::test]
async fn a_turn_that_does_not_come_in_time_is_504_and_computes_nothing() {
    let test = "a_turn_that_does_not_come_in_time_is_504_and_computes_nothing";
    let to = "smollm2: {model: smollm2}\n  hasty: {model: smollm2, timeouts: {first_token: 1s, total: 2s}}";
    let Some((home, gateway)) = quickstart_with(test, "  smollm2: {model: smollm2}", &format!("  {to}")).await else {
        return;
    };
    drop(gateway);
    let text = home.read("config.yaml").replacen("local: {}", "local: {max_batch: 1}", 1);
    home.write("config.yaml", &text);
    let gateway = home.serve().await;
    let calls = busy(&gateway, 1).await;
    let generated = async || {
        let counts = Counts::read(&gateway.admin()).await;
        counts.series("tidegate_engine_prompt_tokens_total{model=\"smollm2\",source=\"computed\"}")
    };
    let before = generated().await;
    let mut body = ask("Hi", 2);
    body["model"] = json!("hasty");
    let began = Instant::now();
    let whole = gateway.client().chat(&body).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(whole.status(), 504, "{}", whole.text());
    assert!(whole.json()["error"]["message"].as_str().unwrap().contains("turn did not come"), "{}", whole.text());
    body["stream"] = json!(true);
    let stream = gateway.client().stream(&body).await;
    assert_eq!(stream.status(), 504);
    assert_eq!(generated().await, before, "nothing was computed for them");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Calls a second, and how long a phase is.
const RATE: u32 = 50;
const PHASE: Duration = Duration::from_secs(6);
const ROUNDS: usize = 7;

/// Proxied calls at a rate that waits for no answer; how long each took from when it was due.
async fn proxied(client: &Client) -> Vec<Duration> {
    let began = Instant::now();
    let mut all = Vec::new();
    for nth in 0..RATE * u32::try_from(PHASE.as_secs()).expect("seconds") {
        let due = began + Duration::from_secs(1) / RATE * nth;
        tokio::time::sleep_until(due.into()).await;
        let client = client.clone();
        all.push(tokio::spawn(async move {
            assert_eq!(client.chat(&chat("mock")).await.status(), 200);
            due.elapsed()
        }));
    }
    let mut took = Vec::new();
    for call in all {
        took.push(call.await.expect("it was answered"));
    }
    took.sort_unstable();
    took
}

/// The gateway with a mock upstream beside the local model.
async fn beside(home: &Home, upstream: &Upstream, local: &str) -> Gateway {
    let text = home.read("config.yaml");
    let text = text
        .replacen("local: {}", local, 1)
        .replacen(
            "providers:\n",
            &format!("providers:\n  up: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}\n", upstream.url()),
            1,
        )
        .replacen("models:\n", "models:\n  mock: {provider: up}\n", 1)
        .replacen("routes:\n", "routes:\n  mock: {model: mock}\n", 1);
    home.write("config.yaml", &text);
    home.serve().await
}

/// Eight callers who always wait for a long answer. It comes whole, so that what measures has nothing to do with it.
fn load(gateway: &Gateway) -> Vec<tokio::task::JoinHandle<()>> {
    let one = |n: usize| {
        let client = gateway.client();
        tokio::spawn(async move {
            for round in 0.. {
                client.chat(&ask(&format!("Write a very long story about the number {n}{round}."), 1000)).await;
            }
        })
    };
    (0..8).map(one).collect()
}

/// Waits until the engine has so many answers in work.
async fn works_on(gateway: &Gateway, least: f64, most: f64) {
    let admin = gateway.admin();
    eventually("the engine is as busy as it shall be", async || {
        let running = Counts::read(&admin).await.series("tidegate_engine_running{model=\"smollm2\"}");
        (least..=most).contains(&running).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "a measurement of minutes, on a machine that does nothing else: run it by its name"]
async fn proxied_calls_hardly_feel_an_engine_that_computes_all_the_time() {
    let test = "proxied_calls_hardly_feel_an_engine_that_computes_all_the_time";
    let local = std::env::var("TIDEGATE_LOCAL").unwrap_or_else(|_| "local: {}".to_owned());
    let Some((home, gateway)) = quickstart_with(test, "", "").await else { return };
    drop(gateway);
    let upstream = Upstream::start().await;
    let gateway = beside(&home, &upstream, &local).await;
    let client = gateway.client();
    proxied(&client).await;
    let (mut quiet, mut loaded) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(proxied(&client).await);
        let callers = load(&gateway);
        works_on(&gateway, 8.0, 16.0).await;
        loaded.push(proxied(&client).await);
        callers.iter().for_each(tokio::task::JoinHandle::abort);
        works_on(&gateway, 0.0, 0.0).await;
    }
    let quantile = |phases: &[Vec<Duration>], q: f64| {
        let mut each: Vec<f64> =
            phases.iter().map(|took| took[((took.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3).collect();
        each.sort_unstable_by(f64::total_cmp);
        (each[0], each[each.len() / 2], each[each.len() - 1])
    };
    for q in [0.5, 0.9, 0.99] {
        let (quiet, loaded) = (quantile(&quiet, q), quantile(&loaded, q));
        println!(
            "figure: {local}: p{}: idle {:.2} ms ({:.2} to {:.2}), saturated {:.2} ms ({:.2} to {:.2}): {:.2} times",
            q * 100.0,
            quiet.1,
            quiet.0,
            quiet.2,
            loaded.1,
            loaded.0,
            loaded.2,
            loaded.1 / quiet.1
        );
    }
    let counts = Counts::read(&gateway.admin()).await;
    let part =
        |part: &str| counts.series(&format!("tidegate_engine_step_seconds_total{{model=\"smollm2\",part=\"{part}\"}}"));
    println!(
        "figure: of a step {:.2} % is around the model",
        100.0 * part("around") / (part("around") + part("model"))
    );
    let ratio = quantile(&loaded, 0.99).1 / quantile(&quiet, 0.99).1;
    assert!(ratio <= 1.5, "p99 is {ratio:.2} times that beside an idle engine");
}
