//! Routes that look at their variants or at the call, from outside: calls go to the quicker, the idle or the cheaper one, or
//! where a rule sends them, each event has the vector that its arm was drawn from, and what was pushed away comes back.

use crate::harness::events::{event, newest};
use crate::harness::upstream::{self, Act, Step, done, opening, piece};
use crate::harness::{Client, Gateway, Home, Upstream, chat, chat_stream, eventually, home};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A gateway with an upstream for each of some variants, which are called `a`, `b` and so on.
struct Shop {
    home: Home,
    gateway: Gateway,
    client: Client,
    upstreams: Vec<Upstream>,
    text: String,
}

impl Shop {
    /// What is said of each model, and of the route beside its variants.
    async fn with(models: &[&str], route: &str) -> Self {
        let mut upstreams = Vec::new();
        let (mut providers, mut named, mut variants) = (Vec::new(), Vec::new(), Vec::new());
        for (name, more) in ["a", "b", "c"].into_iter().zip(models) {
            let one = Upstream::start().await;
            one.always(upstream::completion(name, 3, 2));
            providers.push(format!("p{name}: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}", one.url()));
            named.push(format!("m{name}: {{provider: p{name}, model: at-{name}{more}}}"));
            variants.push(format!("{name}: {{model: m{name}}}"));
            upstreams.push(one);
        }
        let (providers, named, variants) = (providers.join(", "), named.join(", "), variants.join(", "));
        let text = format!(
            "{}providers: {{{providers}}}\nmodels: {{{named}}}\nroutes: {{mock: {{variants: {{{variants}}}, {route}}}}}\n",
            home::BASE
        );
        let home = Home::new();
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "read"]);
        let gateway = home.serve().await;
        let client = gateway.client().with_key(&key);
        Self { home, gateway, client, upstreams, text }
    }

    fn counts(&self) -> Vec<usize> {
        self.upstreams.iter().map(Upstream::count).collect()
    }

    async fn call(&self) {
        let answer = self.client.chat(&chat("mock")).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    /// The records of so many calls, the newest first.
    async fn records(&self, calls: usize) -> Vec<Value> {
        let admin = self.gateway.admin();
        eventually("all records", async || Some(newest(&admin, 1000).await).filter(|found| found.len() >= calls)).await
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let ran = self.home.run(arguments);
        (ran.code(), ran.out(), ran.err())
    }
}

fn shares(event: &Value) -> Vec<f64> {
    event["decision"]["shares"].as_array().expect("shares").iter().filter_map(Value::as_f64).collect()
}

/// The decision of a record, drawn again from its shares.
fn drawn_again(event: &Value) {
    let (draw, mut sum) = (event["decision"]["draw"].as_f64().expect("a draw"), 0.0);
    let arm = shares(event).iter().position(|share| {
        sum += share;
        draw < sum
    });
    assert_eq!(json!(arm), event["decision"]["arm"], "{event}");
    assert!(event["decision"]["state"].is_null(), "{event}");
}

fn slow(name: &str, ms: u64) -> Act {
    Act::After(Duration::from_millis(ms), Box::new(upstream::completion(name, 3, 2)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quicker_variant_gets_the_calls_until_it_refuses_them() {
    let shop = Shop::with(
        &["", ""],
        "policy: {latency: {decay: 200ms, penalty: 1s, explore: 10%}}, retry: {attempts: 1}, fallback: [{when: [\"429\"], to: {variant: b}}]",
    )
    .await;
    shop.upstreams[1].always(slow("b", 40));
    for _ in 0..100 {
        shop.call().await;
    }
    let quick = shop.counts();
    println!("figure: of 100 calls the variant that answers at once had {}, that after 40 ms {}", quick[0], quick[1]);
    assert!(quick[0] >= 75, "{quick:?}");
    // A refusal comes fast, and counts as slow: the next calls go elsewhere, and no caller sees it.
    shop.upstreams[0].always(upstream::failure(429));
    for _ in 0..40 {
        shop.call().await;
    }
    let refused = shop.counts()[0] - quick[0];
    println!("figure: of 40 calls a variant that answers 429 had {refused}");
    assert!((1..=12).contains(&refused), "{refused} of 40");
    shop.upstreams[0].always(upstream::completion("a", 3, 2));
    let mut back = 0;
    for call in 1.. {
        let before = shop.counts()[0];
        shop.call().await;
        back = if shop.counts()[0] > before { back + 1 } else { 0 };
        if back == 8 {
            println!("figure: it had 8 calls in a row again after {call}");
            break;
        }
        assert!(call < 800, "it never came back");
    }
    let records = shop.records(148).await;
    for event in &records {
        drawn_again(event);
        let first = (shares(event)[0] * 1000.0).round();
        assert!([50.0, 500.0, 950.0].contains(&first), "{event}");
    }
    told(&shop, &records);
}

/// The command line says why, and reckons other policies from the vectors, but not what this one would have done.
fn told(shop: &Shop, records: &[Value]) {
    let id = records[0]["id"].as_str().expect("an id");
    let (code, says, err) = shop.run(&["explain", id, "--config", "config.yaml"]);
    assert_eq!(code, 0, "{err}");
    for part in [
        "because of two variants drawn at random the one that answers sooner",
        " of 2; 10.00 % are spread evenly",
        "latency gave a ",
        "drawn again it is ",
        "the same",
    ] {
        assert!(says.contains(part), "{part}: {says}");
    }
    let (code, out, _) = shop.run(&["replay", "--config", "config.yaml", "--verify"]);
    assert!(code == 0 && out.contains("are the same when they are drawn again"), "{out}");
    let policy = "{latency: {decay: 200ms, penalty: 1s, explore: 10%}}";
    let other = |policy_of: &str| shop.home.write("other.yaml", &shop.text.replace(policy, policy_of));
    other("{weighted: {a: 50%, b: 50%}}");
    let (code, out, err) = shop.run(&["replay", "--config", "other.yaml", "--reward", "error"]);
    assert!(code == 0 && out.contains("doubly robust"), "{out}{err}");
    other("{latency: {}}");
    let (code, _, err) = shop.run(&["replay", "--config", "other.yaml", "--reward", "error"]);
    assert!(code == 1 && err.contains("`latency` of `mock`") && err.contains("weighted"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_chance_the_event_says_so_and_a_log_of_it_cannot_be_replayed() {
    let shop = Shop::with(&["", ""], "policy: {latency: {decay: 10m, explore: 0%}}").await;
    shop.upstreams[1].always(slow("b", 20));
    // Until both are known a variant of which nothing is known is ahead.
    while shop.counts().contains(&0) {
        shop.call().await;
    }
    let before = shop.counts();
    for _ in 0..20 {
        shop.call().await;
    }
    let after = shop.counts();
    assert_eq!((after[0] - before[0], after[1] - before[1]), (20, 0));
    let records = shop.records(after.iter().sum()).await;
    assert!(records[..20].iter().all(|event| shares(event) == [1.0, 0.0]), "{}", records[0]);
    // The very first call had both variants to go to; calls since then had one.
    let (text, policy) = (&shop.text, "{latency: {decay: 10m, explore: 0%}}");
    shop.home.write("other.yaml", &text.replace(policy, "{weighted: {a: 0%, b: 100%}}"));
    let (code, _, err) = shop.run(&["replay", "--config", "other.yaml", "--reward", "error"]);
    assert!(code == 1 && err.contains("`mock` cannot be replayed"), "{err}");
}

/// The shares of one call that is answered.
async fn shares_of(shop: &Shop, body: &Value) -> Vec<f64> {
    let answer = shop.client.chat(body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    shares(&event(&shop.gateway.admin(), &answer.request_id()).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_where_the_fewest_are_under_way_and_one_that_leaves_frees_its_place() {
    let shop = Shop::with(&["", ""], "policy: {least_busy: {explore: 0%}}").await;
    assert_eq!(shares_of(&shop, &chat("mock")).await, [0.5, 0.5]);
    let hold = Arc::new(Semaphore::new(0));
    for one in &shop.upstreams {
        one.then(Act::Stream(vec![opening(), piece("begun"), Step::Hold(Arc::clone(&hold)), done()]));
    }
    let before = shop.counts();
    let mut first = shop.client.stream(&chat_stream("mock")).await;
    assert!(first.event().await.is_some());
    let busy = usize::from(shop.counts()[1] > before[1]);
    let mut second = shop.client.stream(&chat_stream("mock")).await;
    assert!(second.event().await.is_some());
    assert_eq!(shop.counts()[1 - busy], before[1 - busy] + 1, "it went to the idle one");
    let until = async |what: &str, wanted: [f64; 2]| {
        let reached = async || (shares_of(&shop, &chat("mock")).await == wanted).then_some(());
        eventually(what, reached).await;
    };
    drop(second);
    shop.upstreams[1 - busy].was_left().await;
    until("one place to be free", if busy == 0 { [0.0, 1.0] } else { [1.0, 0.0] }).await;
    drop(first);
    until("both to be idle", [0.5, 0.5]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_where_it_is_cheapest_unless_that_fails_or_takes_too_long() {
    let shop = Shop::with(
        &[", price: {input: 1, output: 20}", ", price: {input: 4, output: 4}", ", price: {input: 50, output: 50}"],
        "policy: {cost: {max_latency: 500ms, decay: 10m, penalty: 1ms, explore: 0%}}, retry: {attempts: 1}, fallback: [{when: [\"5xx\"], to: {variant: c}}]",
    )
    .await;
    let call = |text: &str, most: u32| json!({"model": "mock", "max_tokens": most, "messages": [{"role": "user", "content": text}]});
    let (reads, writes) = (call(&"word ".repeat(2000), 10), call("hi", 500));
    assert_eq!(shares_of(&shop, &reads).await, [1.0, 0.0, 0.0]);
    assert_eq!(shares_of(&shop, &writes).await, [0.0, 1.0, 0.0]);
    // One that fails is left alone after three times.
    shop.upstreams[0].always(upstream::failure(500));
    for _ in 0..3 {
        assert_eq!(shares_of(&shop, &reads).await, [1.0, 0.0, 0.0]);
    }
    assert_eq!(shares_of(&shop, &reads).await, [0.0, 1.0, 0.0]);
    // One that takes too long too, and then the dearest is the cheapest of those that are left.
    shop.upstreams[1].then(slow("b", 700));
    assert_eq!(shares_of(&shop, &reads).await, [0.0, 1.0, 0.0]);
    assert_eq!(shares_of(&shop, &reads).await, [0.0, 0.0, 1.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_send_calls_by_what_is_known_of_them() {
    let shop = Shop::with(
        &["", "", ""],
        "policy: {rules: [{when: {header: {x-tier: {is: gold}}}, to: {variant: c}}, \
         {when: {any: [{prompt_longer_than: 1000}, {tools: true}]}, to: {variant: b}}, \
         {when: {language: [german]}, to: {weighted: {a: 25%, b: 75%}}}, \
         {when: {all: [{tenant: {is: tester}}, {user: {prefix: vip-}}]}, to: {variant: b}}, {to: {variant: a}}]}",
    )
    .await;
    let says = |text: &str| json!({"model": "mock", "messages": [{"role": "user", "content": text}]});
    let mut vip = says("hello");
    vip["user"] = json!("vip-7");
    let mut tools = says("hello");
    tools["tools"] = json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]);
    for (body, wanted, why) in [
        (says("hello"), [1.0, 0.0, 0.0], "because none of the rules before the last was for it"),
        (says(&"word ".repeat(201)), [0.0, 1.0, 0.0], "because the first rule that it fitted was one of 2, 4"),
        (tools, [0.0, 1.0, 0.0], "was one of 2, 4"),
        (vip, [0.0, 1.0, 0.0], "was one of 2, 4"),
        (
            says("Wie sp\u{e4}t ist es, und was ist \"das\" f\u{fc}r eine Frage?"),
            [0.25, 0.75, 0.0],
            "because rule 3 was the first that it fitted",
        ),
    ] {
        let answer = shop.client.chat(&body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let event = event(&shop.gateway.admin(), &answer.request_id()).await;
        assert_eq!(shares(&event), wanted, "{body}");
        drawn_again(&event);
        let (code, says, err) = shop.run(&["explain", &answer.request_id(), "--config", "config.yaml"]);
        assert!(code == 0 && says.contains(why), "{why}: {says}{err}");
    }
    let body = says(&"word ".repeat(201)).to_string();
    let gold = shop.client.send("POST", "/v1/chat/completions", &[("x-tier", "gold")], body.as_bytes()).await;
    assert_eq!(gold.json()["choices"][0]["message"]["content"], "c", "the first rule that fits decides");
    let text = shop.text.replace("{variant: c}", "{variant: b}");
    shop.home.write("other.yaml", &text);
    let (code, _, err) = shop.run(&["replay", "--config", "other.yaml", "--reward", "error"]);
    assert!(code == 1 && err.contains("`rules` of `mock`"), "{err}");
}
