//! Rollouts, from outside: a new variant that fails is taken back by itself, a good one gets all calls, people may
//! interfere, and a kill in the middle loses nothing of where it stands.

use crate::harness::events::newest;
use crate::harness::{Client, Gateway, Home, Upstream, chat, eventually, upstream};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const BASE: &str = "\
listeners: {public: {address: \"127.0.0.1:0\"}}
admin: {address: \"127.0.0.1:0\", token: \"${env:TIDEGATE_ADMIN_TOKEN}\"}
store: {events: {to: \"file:events\"}, registry: \"sqlite:registry.db\"}
keys: {file: keys.yaml}
";

/// A gateway with two variants, `blue` and `green`, each of which answers with its name.
struct Two {
    home: Home,
    gateway: Gateway,
    key: String,
    blue: Upstream,
    green: Upstream,
}

impl Two {
    async fn with(route: &str) -> Self {
        let (blue, green) = (Upstream::start().await, Upstream::start().await);
        blue.always(upstream::completion("blue", 3, 2));
        green.always(upstream::completion("green", 3, 2));
        let text = format!(
            "{BASE}providers: {{pb: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, pg: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\nmodels: {{mb: {{provider: pb, model: b}}, mg: {{provider: pg, model: g}}}}\nrewards: {{good: {{kind: boolean}}}}\nroutes: {{mock: {{variants: {{blue: {{model: mb}}, green: {{model: mg}}}}, retry: {{attempts: 1}}, {route}}}}}\n",
            blue.url(),
            green.url()
        );
        let home = Home::new();
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "feedback", "read"]);
        let gateway = home.serve().await;
        Self { home, gateway, key, blue, green }
    }

    fn client(&self) -> Client {
        self.gateway.client().with_key(&self.key)
    }

    async fn standing(&self) -> Value {
        self.gateway.admin().get("/admin/v1/rollouts/mock").await.json()
    }

    async fn until(&self, stage: &str) -> Value {
        eventually(stage, async || Some(self.standing().await).filter(|now| now["stage"] == *stage)).await
    }

    /// The command line, which must succeed.
    fn rollout(&self, arguments: &[&str]) -> String {
        let url = format!("http://{}", self.gateway.address("admin"));
        let ran = self.home.run(&[&["rollout"], arguments, &["--url", &url]].concat());
        assert!(ran.code() == 0, "{arguments:?}: {}", ran.err());
        ran.out()
    }
}

/// Callers that call until they are told to stop; they say what failed.
struct Load {
    is_over: Arc<AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn by(callers: usize, client: &Client) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let callers = (0..callers).map(|_| {
            let (client, is_over) = (client.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let answer = client.chat(&chat("mock")).await;
                    if answer.status() != 200 {
                        failed.push(answer.request_id());
                    }
                }
                failed
            })
        });
        Self { callers: callers.collect(), is_over }
    }

    async fn end(self) -> Vec<String> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        for caller in self.callers {
            failed.extend(caller.await.expect("no caller panicked"));
        }
        failed
    }
}

/// Every fifth answer of it fails from now on.
fn fails_sometimes(one: &Upstream) {
    for nth in 0..20_000 {
        one.then(if nth % 5 == 0 { upstream::failure(500) } else { upstream::completion("green", 3, 2) });
    }
}

const CANARY: &str = "canary: {from: blue, to: green, steps: [10%, 100%], every: 30s, interval: 1s, min_samples: 20, analysis: [{error_rate: {worse_by_points: 1%}}]}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_fails_is_rolled_back_within_an_interval_and_nobody_notices() {
    let route = format!("rollout: {{{CANARY}}}, fallback: [{{when: [\"5xx\"], to: {{variant: blue}}}}]");
    let two = Two::with(&route).await;
    fails_sometimes(&two.green);
    let began = Instant::now();
    let load = Load::by(8, &two.client());
    let over = two.until("rolled back").await;
    let took = began.elapsed();
    let (calls, failed) = (&over["seen"], load.end().await);
    println!("figure: a canary with 20 % errors was rolled back {took:?} after the first call; {calls}");
    assert!(took < Duration::from_millis(1_600), "one interval of 1 s, and what a look takes: {took:?}");
    assert!(failed.is_empty(), "{} calls failed, such as {}", failed.len(), failed[0]);
    let why = over["turns"][0]["why"].as_str().expect("a reason");
    assert!(why.starts_with("error_rate: worse than allowed: "), "{why}");
    // All calls go to blue, and stay there.
    let before = two.green.count();
    for _ in 0..50 {
        assert_eq!(two.client().chat(&chat("mock")).await.status(), 200);
    }
    assert_eq!(two.green.count(), before);
    // It stands in the audit log, with its reason, and people can read it.
    let entry = eventually("the entry in the audit log", async || {
        let exported = two.home.run(&["audit", "export", "--config", "config.yaml"]).out();
        exported.lines().find(|line| line.contains("rollout.turn")).map(str::to_owned)
    })
    .await;
    assert!(entry.contains("error_rate: worse than allowed") && entry.contains("routes:/mock"), "{entry}");
    let status = two.rollout(&["status", "mock"]);
    assert!(status.starts_with("mock: rolled back, 0 % to green; error_rate: worse than allowed"), "{status}");
    assert!(two.rollout(&["status"]).lines().count() == 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_fallback_only_the_canarys_share_sees_errors() {
    let two = Two::with(&format!("rollout: {{{CANARY}}}")).await;
    fails_sometimes(&two.green);
    let load = Load::by(8, &two.client());
    two.until("rolled back").await;
    let failed = load.end().await;
    assert!(!failed.is_empty(), "green did fail");
    let events = eventually("the records", async || {
        let events = newest(&two.gateway.admin(), 1000).await;
        // All that failed, or as many calls as are shown.
        let known = events.iter().filter(|event| event["status"] != 200).count();
        (known >= failed.len() || events.len() == 1000).then_some(events)
    })
    .await;
    assert!(events.iter().any(|event| event["status"] != 200));
    for event in events.iter().filter(|event| event["status"] != 200) {
        assert_eq!((&event["decision"]["arm"], &event["variant"]), (&json!(1), &json!("green")), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_canary_gets_all_calls_and_a_kill_in_the_middle_harms_nothing() {
    let mut two = Two::with(
        "sticky: {by: user}, rollout: {canary: {from: blue, to: green, steps: [20%, 60%, 100%], every: 300ms, interval: 50ms, min_samples: 30, analysis: [{error_rate: {worse_by_points: 5%}}, {reward: {name: good, worse_by: 0.5}}]}}",
    )
    .await;
    let client = two.client();
    let user = |n: usize| {
        let mut body = chat("mock");
        body["user"] = json!(format!("user-{n}"));
        body
    };
    let mut arms: Vec<String> = Vec::new();
    for n in 0..400 {
        let answer = client.chat(&user(n % 200)).await;
        let text = answer.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned();
        if n < 200 {
            arms.push(text);
        }
        if two.standing().await["stage"] == "step 1" {
            let said = json!({"inference_id": answer.request_id(), "reward": "good", "value": n % 10 != 0});
            assert_eq!(client.post("/v1/feedback", &said).await.status(), 200);
        }
    }
    let green = arms.iter().filter(|arm| *arm == "green").count();
    assert!((20..=62).contains(&green), "{green} of 200 users at 20 %");
    two.until("step 2").await;
    assert!(two.rollout(&["pause", "mock", "--why", "lunch"]).contains("waits for: paused by"));
    // Killed in the middle; what it knew stands on disk.
    let kept = two.standing().await;
    two.gateway.signal("KILL");
    two.gateway.ended().await;
    two.gateway = two.home.serve().await;
    let now = two.standing().await;
    assert_eq!((&now["stage"], &now["share"], &now["turns"]), (&json!("step 2"), &json!(0.6), &kept["turns"]));
    assert!(now["paused_by"].is_string());
    two.rollout(&["resume", "mock"]);
    // Who had green keeps it: shares only grew.
    let client = two.client();
    for (n, arm) in arms.iter().enumerate() {
        let answer = client.chat(&user(n)).await.json();
        let given = &answer["choices"][0]["message"]["content"];
        assert!(arm == "blue" || *given == json!(arm), "user {n} had {arm}, and has {given}");
    }
    // The last step compares with what the old arm did at the one before, so that has to be known.
    let old = || async { two.standing().await["seen"]["from"]["calls"].as_u64() };
    eventually("calls of the old arm", async || old().await.filter(|calls| *calls > 0)).await;
    two.rollout(&["promote", "mock"]);
    two.until("step 3").await;
    let load = Load::by(4, &client);
    eventually("its wait for rewards", async || {
        let now = two.standing().await;
        now["waits_for"].as_str().is_some_and(|waits| waits.starts_with("good: nothing was seen of")).then_some(())
    })
    .await;
    two.rollout(&["promote", "mock", "--full", "--why", "reviewed"]);
    assert!(load.end().await.is_empty());
    let over = two.standing().await;
    assert_eq!((&over["stage"], &over["share"], &over["waits_for"]), (&json!("done"), &json!(1.0), &Value::Null));
    let before = two.blue.count();
    for n in 0..20 {
        client.chat(&user(n)).await;
    }
    assert_eq!(two.blue.count(), before);
    let refused =
        two.home.run(&["rollout", "pause", "mock", "--url", &format!("http://{}", two.gateway.address("admin"))]);
    assert!(refused.code() == 1 && refused.err().contains("it is over"), "{}", refused.err());
}

#[tokio::test]
async fn orders_need_a_role_and_a_rollout() {
    let two = Two::with(&format!("rollout: {{{CANARY}}}")).await;
    let admin = two.gateway.admin();
    let reader = admin.clone().with_key(&two.key);
    assert_eq!(reader.get("/admin/v1/rollouts").await.json()["data"][0]["stage"], "step 1");
    for (client, path, status) in [
        (&reader, "/admin/v1/rollouts/mock/abort", 403),
        (&admin, "/admin/v1/rollouts/other/abort", 404),
        (&admin, "/admin/v1/rollouts/mock/explode", 404),
        (&admin, "/admin/v1/rollouts/mock/resume", 409),
        (&admin, "/admin/v1/rollouts/mock/abort", 200),
        (&admin, "/admin/v1/rollouts/mock/abort", 409),
        (&admin, "/admin/v1/rollouts/mock/restart", 200),
    ] {
        let answer = client.post(path, &json!({"why": "a test"})).await;
        assert_eq!(answer.status(), status, "{path}: {}", answer.text());
    }
    assert_eq!(admin.post("/admin/v1/rollouts/mock/pause", &json!({"because": 1})).await.status(), 400);
    // Another change of the route is another rollout.
    admin.post("/admin/v1/rollouts/mock/abort", &json!({})).await;
    let text = two.home.read("config.yaml").replace("steps: [10%, 100%]", "steps: [50%, 100%]");
    two.home.replace("config.yaml", &text);
    eventually("the new rollout", async || (two.standing().await["share"] == 0.5).then_some(())).await;
    assert_eq!(two.standing().await["turns"], json!([]));
}
