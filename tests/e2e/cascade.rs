//! Cascades from outside: a poor answer goes on to the next variant, streamed or not, and its caller sees the better one
//! alone; what it cost is counted; where no better one comes he gets it all the same. Plugins and monitors have a say in what
//! is poor. And forms of answers as rewards.

use crate::harness::events::newest;
use crate::harness::home::repository;
use crate::harness::upstream::{self, Act, Step, chunk, done, opening, piece, usage};
use crate::harness::{Client, Gateway, Home, Upstream, chat, chat_stream, eventually, home};
use serde_json::{Value, json};
use tidegate_core::dice::{mix, unit};

/// A gateway with a cheap, a dear and a judging upstream.
struct Shop {
    home: Home,
    gateway: Gateway,
    client: Client,
    small: Upstream,
    big: Upstream,
    judge: Upstream,
}

impl Shop {
    async fn with(policy: &str, more: &str) -> Self {
        let (small, big, judge) = (Upstream::start().await, Upstream::start().await, Upstream::start().await);
        let provider =
            |name: &str, of: &Upstream| format!("{name}: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}", of.url());
        let text = format!(
            "{}providers: {{{}, {}, {}}}\nmodels:\n  small: {{provider: ps, model: s, price: {{input: 1.0, output: 2.0}}}}\n  \
             big: {{provider: pb, model: b, price: {{input: 10.0, output: 20.0}}}}\n  \
             judge: {{provider: pj, model: j, price: {{input: 1.0, output: 1.0}}}}\nroutes:\n  mock:\n    \
             variants: {{small: {{model: small}}, big: {{model: big}}}}\n    retry: {{attempts: 1}}\n    policy: {policy}\n    {more}\n",
            home::BASE,
            provider("ps", &small),
            provider("pb", &big),
            provider("pj", &judge),
        );
        big.always(upstream::completion("a good answer", 10, 20));
        let home = Home::new();
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "read"]);
        let gateway = home.serve().await;
        let client = gateway.client().with_key(&key);
        Self { home, gateway, client, small, big, judge }
    }

    async fn records(&self, calls: usize) -> Vec<Value> {
        let admin = self.gateway.admin();
        eventually("all records", async || Some(newest(&admin, 1000).await).filter(|found| found.len() >= calls)).await
    }

    /// The text that one call gets.
    async fn answer(&self) -> String {
        let answer = self.client.chat(&chat("mock")).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }
}

fn cost(record: &Value) -> f64 {
    record["cost_usd"].as_f64().expect("a cost") * 1e6
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poor_answer_is_replaced_by_that_of_the_next_variant_and_counted() {
    let policy = "{cascade: {explore: 0%, escalate: [empty, {contains: [\"I don't know\"]}]}}";
    let shop = Shop::with(policy, "").await;
    shop.small.always(upstream::completion("Forty-two.", 10, 5));
    assert_eq!(shop.answer().await, "Forty-two.");
    shop.small.always(upstream::completion("Sorry, I DON'T know.", 10, 5));
    assert_eq!(shop.answer().await, "a good answer");
    shop.small.always(upstream::failure(500));
    assert_eq!(shop.answer().await, "a good answer", "a variant that fails is as one that knows nothing");
    let records = shop.records(3).await;
    let [failed, poor, good] = [&records[0], &records[1], &records[2]];
    assert_eq!((good["variant"].as_str(), poor["variant"].as_str()), (Some("small"), Some("big")));
    assert_eq!(good["attempts"].as_array().unwrap().len(), 1);
    assert!(good["attempts"][0]["poor"].is_null());
    let [first, second] = [&poor["attempts"][0], &poor["attempts"][1]];
    assert_eq!((first["variant"].as_str(), first["poor"].as_str()), (Some("small"), Some("contains")));
    assert!(second["poor"].is_null() && second["variant"] == "big");
    assert!((first["cost_usd"].as_f64().unwrap() * 1e6 - 20.0).abs() < 1e-6, "10 in, 5 out at 1 and 2: {first}");
    assert!((cost(good) - 20.0).abs() < 1e-6 && (cost(poor) - 520.0).abs() < 1e-6, "{} {}", cost(good), cost(poor));
    assert_eq!(failed["attempts"][0]["fault"], "upstream_failed");
    assert!((cost(failed) - 500.0).abs() < 1e-6);
    for record in &records {
        assert_eq!((&record["decision"]["arm"], &record["decision"]["shares"]), (&json!(0), &json!([1.0, 0.0])));
    }
    let page = shop.gateway.admin().get("/metrics").await.text();
    let line = "tidegate_escalations_total{route=\"mock\",variant=\"small\",reason=\"contains\"} 1";
    assert!(page.contains(line), "{page}");
    let explained = shop.home.run(&["explain", poor["id"].as_str().unwrap(), "--config", "config.yaml"]).out();
    assert!(
        explained.contains("the cascade begins with it") && explained.contains("too poorly (contains)"),
        "{explained}"
    );
    let replayed = shop.home.run(&["replay", "--config", "config.yaml", "--route", "mock", "--reward", "cost"]);
    assert!(
        replayed.err().contains("cascade") || replayed.out().contains("cascade"),
        "{}{}",
        replayed.out(),
        replayed.err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_held_until_it_is_known_to_be_good() {
    let shop = Shop::with("{cascade: {explore: 0%, escalate: [length]}}", "").await;
    let ended = |text: &str, by: &str| {
        Act::Stream(vec![opening(), piece(text), chunk(&json!({}), Some(by)), usage(10, 5), done()])
    };
    shop.big.always(ended("whole", "stop"));
    shop.small.always(ended("good", "stop"));
    let first = shop.client.chat(&chat_stream("mock")).await;
    assert!(first.text().contains("good") && first.text().ends_with("data: [DONE]\n\n"), "{}", first.text());
    shop.small.always(ended("cut sho", "length"));
    let second = shop.client.chat(&chat_stream("mock")).await;
    assert!(second.text().contains("whole") && !second.text().contains("cut sho"), "{}", second.text());
    // One that breaks while it is held has harmed nobody.
    shop.small.always(Act::Stream(vec![opening(), piece("bro"), Step::Cut]));
    let third = shop.client.chat(&chat_stream("mock")).await;
    assert!(third.text().contains("whole") && !third.text().contains("bro"), "{}", third.text());
    let records = shop.records(3).await;
    let reasons: Vec<&Value> = records.iter().map(|record| &record["attempts"][0]["poor"]).collect();
    assert_eq!(reasons, [&Value::Null, &json!("length"), &Value::Null]);
    assert_eq!(records[0]["attempts"][0]["fault"], "stream_cut");
    assert!((cost(&records[1]) - 220.0).abs() < 1e-6, "10 in, 5 out at both: {}", cost(&records[1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poor_answer_is_better_than_none() {
    let shop = Shop::with("{cascade: {explore: 0%, escalate: [invalid_json]}}", "").await;
    shop.small.always(upstream::completion("no JSON", 10, 5));
    shop.big.always(upstream::failure(503));
    assert_eq!(shop.answer().await, "no JSON");
    let record = &shop.records(1).await[0];
    assert_eq!((record["variant"].as_str(), record["outcome"].as_str()), (Some("small"), Some("ok")));
    assert_eq!((&record["model"], record["usage"]["completion"].as_u64()), (&json!("small"), Some(5)));
    assert!((cost(record) - 20.0).abs() < 1e-6, "it is paid for once: {}", cost(record));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judge_is_asked_and_not_waited_for_too_long() {
    let policy = "{cascade: {explore: 0%, escalate: [empty, {judge: {model: judge, below: 60%, timeout: 300ms}}]}}";
    let shop = Shop::with(policy, "").await;
    shop.small.always(upstream::completion("perhaps", 10, 5));
    shop.judge.always(upstream::completion("8", 100, 1));
    assert_eq!(shop.answer().await, "perhaps");
    shop.judge.always(upstream::completion("3", 100, 1));
    assert_eq!(shop.answer().await, "a good answer");
    let asked = shop.judge.last().json().to_string();
    assert!(asked.contains("perhaps") && asked.contains("from 0 to 10"), "{asked}");
    shop.judge.always(Act::After(std::time::Duration::from_secs(20), Box::new(upstream::completion("3", 100, 1))));
    assert_eq!(shop.answer().await, "perhaps", "without a word in time it passes");
    let records = shop.records(3).await;
    assert_eq!(records[1]["attempts"][0]["poor"], "judged");
    assert!((cost(&records[2]) - 121.0).abs() < 1e-6, "the judge's word costs too: {}", cost(&records[2]));
    assert!((cost(&records[1]) - 621.0).abs() < 1e-6, "{}", cost(&records[1]));
}

/// Further sections: a plugin that ships, under this name with this configuration.
fn plugin(name: &str, component: &str, config: &str) -> String {
    let component = repository().join("plugins/dist").join(component);
    // Its time is not what is tested, and others may have the processor for longer than it usually has.
    let rest = format!("config: {config}, limits: {{deadline: 2s}}");
    format!("\nplugins: {{{name}: {{component: \"{}\", {rest}}}}}\n", component.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_a_plugin_objects_to_goes_on() {
    let more = plugin("leaks", "pii.wasm", "{mode: refuse}");
    let shop = Shop::with("{cascade: {explore: 0%, escalate: [empty, {plugin: leaks}]}}", &more).await;
    shop.small.always(upstream::completion("Forty-two.", 10, 5));
    assert_eq!(shop.answer().await, "Forty-two.");
    shop.small.always(upstream::completion("Ask ann.smith@example.com.", 10, 5));
    assert_eq!(shop.answer().await, "a good answer");
    shop.small.always(upstream::stream(&["ask ann.sm", "ith@example.com"], true));
    shop.big.always(upstream::stream(&["nobody ", "knows"], true));
    let streamed = shop.client.chat(&chat_stream("mock")).await;
    assert!(streamed.text().contains("nobody ") && !streamed.text().contains("ann.sm"), "{}", streamed.text());
    let records = shop.records(3).await;
    for poor in &records[..2] {
        let first = &poor["attempts"][0];
        assert_eq!((&first["variant"], &first["poor"]), (&json!("small"), &json!("plugin")), "{poor}");
        assert_eq!((&first["poor_by"], &poor["variant"]), (&json!("leaks"), &json!("big")), "{poor}");
    }
    assert!(records[2]["attempts"][0]["poor"].is_null() && records[2]["variant"] == "small", "{}", records[2]);
    let page = shop.gateway.admin().get("/metrics").await.text();
    let line = "tidegate_escalations_total{route=\"mock\",variant=\"small\",reason=\"plugin\"} 2";
    assert!(page.contains(line), "{page}");
    let explained = shop.home.run(&["explain", records[0]["id"].as_str().unwrap(), "--config", "config.yaml"]).out();
    assert!(explained.contains("too poorly (plugin leaks)"), "{explained}");
    let shown = shop.gateway.admin().get("/admin/v1/plugins/leaks").await.json();
    assert_eq!(shown["used_by"]["cascades"], json!(["mock"]), "{shown:#}");
    // A poor answer is better than none, unless a filter of the route may not let it pass.
    shop.big.always(upstream::failure(503));
    shop.small.always(upstream::completion("Ask ann.smith@example.com.", 10, 5));
    assert_eq!(shop.answer().await, "Ask ann.smith@example.com.");
    let text = shop.home.read("config.yaml");
    let text = text.replace("    policy:", "    filters: [{plugin: leaks, at: [answer]}]\n    policy:");
    shop.home.replace("config.yaml", &text);
    let reloaded = shop.gateway.admin().post("/admin/v1/reload", &json!({})).await;
    assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
    let refused = shop.client.chat(&chat("mock")).await;
    assert!((400..500).contains(&refused.status()) && !refused.text().contains("ann.smith"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_monitor_has_an_alarm_of_a_version_the_next_variant_answers() {
    let monitor = "monitors: {inputs: {plugin: drift, route: mock, fields: {x: /features/x}, \
                   window: {size: 20, min: 20}, baseline: {first: 40}, alarm: {breaches: 1, of: 1}}}\n";
    let more = plugin("drift", "drift.wasm", "{alpha: 0.001}") + monitor;
    let shop = Shop::with("{cascade: {explore: 0%, escalate: [{monitor: inputs}]}}", &more).await;
    shop.small.always(upstream::completion("small", 10, 5));
    let mut nth = 0;
    let mut by = async |shift: f64| {
        nth += 1;
        let mut body = chat("mock");
        body["features"] = json!({"x": unit(mix(nth)) + shift});
        let answer = shop.client.chat(&body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    };
    // The state of the version that is named, and how many of its windows were judged.
    let of = async |model: &str| {
        let monitor = shop.gateway.admin().get("/admin/v1/monitors/inputs").await.json();
        let watched = monitor["watched"].as_array().cloned().unwrap_or_default();
        watched.into_iter().find(|one| one["model"] == model).unwrap_or_default()
    };
    for _ in 0..60 {
        assert_eq!(by(0.0).await, "small");
    }
    eventually("a window that is well", async || (of("small").await["state"] == "well").then_some(())).await;
    for _ in 0..20 {
        assert_eq!(by(2.0).await, "small", "the window is not over yet");
    }
    eventually("the alarm", async || (of("small").await["state"] == "alarm").then_some(())).await;
    assert_eq!(by(2.0).await, "a good answer");
    let record = &shop.records(81).await[0];
    let first = &record["attempts"][0];
    assert_eq!((&first["poor"], &first["poor_by"]), (&json!("monitor"), &json!("inputs")), "{record}");
    assert!((cost(record) - 520.0).abs() < 1e-6, "what was held back is paid for: {}", cost(record));
    // The monitor sees what is held back: when all is well again, so is the version.
    let asked = shop.small.count();
    eventually("the first variant again", async || (by(0.0).await == "small").then_some(())).await;
    assert!(shop.small.count() >= asked + 20, "a window of calls that are well came first");
    let explained = shop.home.run(&["explain", record["id"].as_str().unwrap(), "--config", "config.yaml"]).out();
    assert!(explained.contains("too poorly (monitor inputs)"), "{explained}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_learn_which_variant_answers_in_json_and_calls_tools_as_they_want() {
    let shop = Shop::with("{thompson: {reward: valid_json}}", "checks: [valid_tool_call]").await;
    shop.small.always(upstream::completion("{\"a\": ", 10, 5));
    shop.big.always(upstream::completion("{\"a\": 1}", 10, 5));
    for _ in 0..60 {
        shop.answer().await;
    }
    // A learner publishes by the clock, not by the call: what it made of these calls is waited for.
    let state = |record: &Value| record["decision"]["state"].as_str().map(str::to_owned);
    let first = state(&shop.records(60).await[0]);
    eventually("a state that knows of these calls", async || {
        shop.answer().await;
        (state(&shop.records(1).await[0]) != first).then_some(())
    })
    .await;
    let before = shop.big.count();
    for _ in 0..200 {
        shop.answer().await;
    }
    let big = shop.big.count() - before;
    println!("figure: of 200 calls the variant that answers in JSON had {big}");
    assert!(big > 140, "{big} of 200");
    let calls = shop.small.count() + shop.big.count();
    let records = shop.records(calls).await;
    for record in &records {
        assert_eq!(record["checks"], json!({"json": record["variant"] == "big"}), "{record}");
    }
    let call = |arguments: &str| {
        let calls =
            json!([{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}]);
        Act::Stream(vec![
            opening(),
            chunk(&json!({"tool_calls": calls}), None),
            chunk(&json!({}), Some("tool_calls")),
            done(),
        ])
    };
    let mut body = chat_stream("mock");
    body["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["city"]}}}]);
    for (arguments, is) in [("{\"city\": \"Rome\"}", true), ("{\"town\": \"Rome\"}", false)] {
        shop.small.always(call(arguments));
        shop.big.always(call(arguments));
        let before = shop.records(calls).await.len();
        let answer = shop.client.chat(&body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let records = shop.records(before + 1).await;
        assert_eq!(records[0]["checks"], json!({"tool_calls": is}));
    }
    let compared = shop.home.run(&["experiment", "mock", "--reward", "valid_json", "--config", "config.yaml"]);
    assert!(compared.out().contains("valid_json"), "{}{}", compared.out(), compared.err());
}
