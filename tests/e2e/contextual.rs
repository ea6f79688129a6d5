//! Routes whose best arm depends on the call, from outside: each kind of call goes where answers to its kind are better, a
//! restart goes on, and each vector can be made again from its state and the call's features.

use crate::harness::client::Answer;
use crate::harness::events::{event, newest, settled};
use crate::harness::redis::Redis;
use crate::harness::{Client, Gateway, Home, Upstream, eventually, home, upstream};
use serde_json::{Value, json};

const FEATURES: &str = "features: [{prompt_length: {most: 4096}}, language, hour, \
                        {key_tag: {name: tier, values: [free, paid]}}, {header: {name: X-Task, values: [chat, code]}}]";

/// A gateway with two upstreams, `a` and `b`, of which each answers with its name.
struct Two {
    home: Home,
    gateway: Gateway,
    key: String,
    _upstreams: [Upstream; 2],
}

impl Two {
    async fn with(policy: &str, store: &str) -> Self {
        let upstreams = [Upstream::start().await, Upstream::start().await];
        let (mut providers, mut models) = (Vec::new(), Vec::new());
        for (name, one) in ["a", "b"].into_iter().zip(&upstreams) {
            one.always(upstream::completion(name, 3, 2));
            providers.push(format!("p{name}: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}", one.url()));
            models.push(format!("m{name}: {{provider: p{name}, model: at-{name}}}"));
        }
        let home = Home::new();
        home.write(
            "config.yaml",
            &format!(
                "{}providers: {{{}}}\nmodels: {{{}}}\nrewards: {{resolved: {{kind: boolean}}}}\n\
                 routes: {{mock: {{variants: {{a: {{model: ma}}, b: {{model: mb}}}}, policy: {policy}}}}}\n",
                home::BASE.replace("store: {", &format!("store: {{{store}")),
                providers.join(", "),
                models.join(", ")
            ),
        );
        let key = home.key(&["infer", "feedback", "read"]);
        let gateway = home.serve().await;
        Self { home, gateway, key, _upstreams: upstreams }
    }

    fn client(&self) -> Client {
        self.gateway.client().with_key(&self.key)
    }

    /// So many calls of both kinds in turn, each followed by feedback: `a` is good for code, `b` for chat. How many of the
    /// last `last` had the better arm, by kind.
    async fn calls(&self, calls: usize, last: usize) -> [usize; 2] {
        let client = self.client();
        let mut right = [0; 2];
        for call in 0..calls {
            let kind = call % 2;
            let answer = called(&client, ["code", "chat"][kind]).await;
            let text = answer.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned();
            let is_right = text == ["a", "b"][kind];
            let said = json!({"inference_id": answer.request_id(), "reward": "resolved", "value": is_right});
            let taken = client.post("/v1/feedback", &said).await;
            assert_eq!((taken.status(), &taken.json()["learnt"]), (200, &json!(["mock"])), "{}", taken.text());
            right[kind] += usize::from(is_right && call >= calls - last);
        }
        right
    }

    fn run(&self, arguments: &[&str]) -> String {
        let ran = self.home.run(arguments);
        assert_eq!(ran.code(), 0, "{arguments:?}: {}{}", ran.out(), ran.err());
        ran.out()
    }

    async fn restart(&mut self) {
        self.gateway.signal("TERM");
        self.gateway.ended().await;
        self.gateway = self.home.serve().await;
    }
}

async fn called(client: &Client, task: &str) -> Answer {
    let body = json!({"model": "mock", "messages": [{"role": "user", "content": "what is the time?"}]});
    let headers = [("content-type", "application/json"), ("x-task", task)];
    let answer = client.send("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes()).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_call_finds_its_better_arm() {
    for (rule, settings) in [("linucb", ", alpha: 1.0, explore: 2%"), ("linear_thompson", "")] {
        let policy = format!("{{{rule}: {{reward: resolved, {FEATURES}{settings}, half_life: 500}}}}");
        let mut two = Two::with(&policy, "").await;
        let right = two.calls(2000, 500).await;
        println!("figure: {rule}: of the last 250 calls of each kind {right:?} went to the better arm");
        assert!(right.iter().all(|right| *right >= 200), "{rule}: {right:?}");
        two.restart().await;
        let right = two.calls(100, 100).await;
        assert!(right.iter().all(|right| *right >= 40), "{rule} after a restart: {right:?}");
        recorded(&two, rule).await;
    }
}

/// Records have the features, and all follows from the log again.
async fn recorded(two: &Two, rule: &str) {
    let admin = two.gateway.admin();
    settled(&admin, 100.0).await;
    let events = newest(&admin, 100).await;
    for event in &events {
        let features = event["decision"]["regarded"]["features"].as_array().expect("features");
        let numbers: Vec<f64> = features.iter().filter_map(Value::as_f64).collect();
        assert!(numbers.len() == 15 && numbers.iter().all(|number| number.abs() <= 1.0), "{event}");
        assert_eq!((numbers[1], numbers[13] + numbers[14]), (1.0, 1.0), "English, and one of two tasks: {event}");
    }
    let said = two.run(&["replay", "--config", "config.yaml", "--verify"]);
    println!("figure: {rule}: {said}");
    for part in [
        "2100 of 2100 decisions are the same when they are drawn again\n",
        "2100 of 2100 vectors are the same to the bit",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let states = said.lines().find(|line| line.contains("states are the same")).expect("states");
    let counts: Vec<&str> = states.split(' ').filter(|word| word.parse::<u64>().is_ok()).collect();
    assert!(counts.len() == 2 && counts[0] == counts[1], "{states}");
    let id = events[0]["id"].as_str().expect("an id");
    let says = two.run(&["explain", id, "--config", "config.yaml"]);
    assert!(says.contains("header x-task=") && says.contains("the same to the bit"), "{says}");
    let other = |policy: &str| {
        let text = two.home.read("config.yaml");
        let at = text.find("policy: ").expect("a policy");
        two.home.write("other.yaml", &format!("{}policy: {policy}}}}}\n", &text[..at]));
        let ran = two.home.run(&["replay", "--config", "other.yaml", "--route", "mock", "--relearn"]);
        (ran.code(), ran.out(), ran.err())
    };
    let (code, out, err) = other(&format!("{{linear_thompson: {{reward: resolved, {FEATURES}, explore: 10%}}}}"));
    assert!(code == 0 && out.contains("2100 calls"), "{out}{err}");
    let (code, _, err) = other("{linear_thompson: {reward: resolved, features: [language]}}");
    assert!(code == 1 && err.contains("the same `features`"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_features_begin_anew_and_a_blind_rule_keeps_the_rewards() {
    let two = Two::with(
        "{linear_thompson: {reward: resolved, features: [{header: {name: x-task, values: [code, chat]}}]}}",
        "",
    )
    .await;
    two.calls(60, 60).await;
    let text = two.home.read("config.yaml");
    for (features, folds) in [("[chat, code]", 0.0), ("[code, chat, sums]", 0.0)] {
        two.home.write("config.yaml", &text.replace("[code, chat]", features));
        assert_eq!(two.gateway.admin().post("/admin/v1/reload", &json!({})).await.status(), 200);
        assert!((known(&two).await - folds).abs() < 1e-9, "{features}");
    }
    two.calls(20, 20).await;
    let (from, to) = (text.find("{linear_thompson").expect("a policy"), text.rfind("}}").expect("an end"));
    two.home.write("config.yaml", &format!("{}{{thompson: {{reward: resolved}}}}{}", &text[..from], &text[to..]));
    assert_eq!(two.gateway.admin().post("/admin/v1/reload", &json!({})).await.status(), 200);
    assert!((known(&two).await - 20.0).abs() < 1e-9);
    two.run(&["replay", "--config", "config.yaml", "--verify"]);
}

/// How many rewards the newest state knows.
async fn known(two: &Two) -> f64 {
    let id = called(&two.client(), "code").await.request_id();
    event(&two.gateway.admin(), &id).await;
    let shown: Value =
        serde_json::from_str(&two.run(&["explain", &id, "--config", "config.yaml", "--json"])).expect("JSON");
    let each = shown["state"]["tallies"].as_array().expect("tallies").iter();
    each.map(|sums| sums[0].as_f64().or_else(|| sums["a"][0].as_f64()).expect("a count")).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_pool_what_they_learn_by_features() {
    let redis = Redis::start().await;
    let shared = format!("shared: \"{}\", ", redis.url());
    let policy = "{linear_thompson: {reward: resolved, features: [{header: {name: x-task, values: [code, chat]}}]}}";
    let (one, other) = (Two::with(policy, &shared).await, Two::with(policy, &shared).await);
    one.calls(400, 1).await;
    // Who had no call yet knows where each kind goes.
    eventually("what the other learnt", async || {
        let mut right = 0;
        for call in 0..40 {
            let answer = called(&other.client(), ["code", "chat"][call % 2]).await;
            right += usize::from(answer.text().contains(["\"a\"", "\"b\""][call % 2]));
        }
        (right >= 32).then_some(())
    })
    .await;
    for replica in [&one, &other] {
        replica.run(&["replay", "--config", "config.yaml", "--verify"]);
    }
}
