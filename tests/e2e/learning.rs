//! Routes that learn, from outside: traffic goes where callers say that answers are better, goes away from what became
//! worse, goes on where it was after a restart, and each decision can be drawn again from its record.

use crate::harness::events::newest;
use crate::harness::{Gateway, Home, Upstream, chat, eventually, home, upstream};
use serde_json::{Value, json};

/// A gateway with three upstreams, `a`, `b` and `c`, of which each answers with its name.
struct Three {
    home: Home,
    gateway: Gateway,
    key: String,
    upstreams: Vec<Upstream>,
    /// A number that is different each time.
    turn: u64,
}

impl Three {
    async fn with(policy: &str, rewards: &str) -> Self {
        let mut upstreams = Vec::new();
        let (mut providers, mut models) = (Vec::new(), Vec::new());
        for name in ["a", "b", "c"] {
            let one = Upstream::start().await;
            one.always(upstream::completion(name, 3, 2));
            providers.push(format!("p{name}: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}", one.url()));
            models.push(format!("m{name}: {{provider: p{name}, model: at-{name}}}"));
            upstreams.push(one);
        }
        let text = format!(
            "{}providers: {{{}}}\nmodels: {{{}}}\nrewards: {{{rewards}}}\nroutes: {{mock: {{variants: {{a: {{model: ma}}, b: {{model: mb}}, c: {{model: mc}}}}, policy: {policy}}}}}\n",
            home::BASE,
            providers.join(", "),
            models.join(", ")
        );
        let home = Home::new();
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "feedback", "read"]);
        let gateway = home.serve().await;
        Self { home, gateway, key, upstreams, turn: 1 }
    }

    fn chance(&mut self) -> f64 {
        // SplitMix64, so that a run is the same each time.
        self.turn = self.turn.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.turn;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// So many calls, each followed by feedback: an arm's answers are good as often as `good` says. How many calls each
    /// arm had among the last `last`.
    async fn calls(&mut self, calls: usize, good: [f64; 3], last: usize) -> [usize; 3] {
        let client = self.gateway.client().with_key(&self.key);
        let mut counts = [0; 3];
        for call in 0..calls {
            let answer = client.chat(&chat("mock")).await;
            let text = answer.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned();
            let arm = ["a", "b", "c"].iter().position(|name| *name == text).expect("one of the three");
            let value = self.chance() < good[arm];
            let said = json!({"inference_id": answer.request_id(), "reward": "resolved", "value": value});
            let taken = client.post("/v1/feedback", &said).await;
            assert_eq!((taken.status(), &taken.json()["learnt"]), (200, &json!(["mock"])), "{}", taken.text());
            counts[arm] += usize::from(call >= calls - last);
        }
        counts
    }
}

const RESOLVED: &str = "resolved: {kind: boolean}";

/// Draws the decisions of the newest records again; tells how many.
async fn replayed(gateway: &Gateway) -> usize {
    let events = newest(&gateway.admin(), 1000).await;
    for event in &events {
        let decision = &event["decision"];
        let (draw, mut sum) = (decision["draw"].as_f64().expect("a draw"), 0.0);
        let shares: Vec<f64> =
            decision["shares"].as_array().expect("shares").iter().filter_map(Value::as_f64).collect();
        let arm = shares.iter().position(|share| {
            sum += share;
            draw < sum
        });
        assert_eq!(json!(arm), decision["arm"], "{event}");
        assert!(decision["state"].is_string(), "{event}");
    }
    events.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_follows_feedback_and_leaves_what_became_worse() {
    let mut three = Three::with("{thompson: {reward: resolved, half_life: 500}}", RESOLVED).await;
    let counts = three.calls(2000, [0.4, 0.8, 0.5], 500).await;
    println!("figure: of the last 500 of 2,000 calls the best of three arms had {}", counts[1]);
    assert!(counts[1] >= 400, "{counts:?}");
    let counts = three.calls(1000, [0.4, 0.1, 0.7], 200).await;
    println!(
        "figure: of the last 200 of 1,000 calls after it degraded it had {}, the best one {}",
        counts[1], counts[2]
    );
    assert!(counts[2] >= 140, "{counts:?}");
    let count = replayed(&three.gateway).await;
    println!("figure: {count} decisions drawn again from their records");
    assert_eq!(count, 1000);
    replays(&three);
    explained(&three).await;
    // A restart goes on where it was.
    three.gateway.signal("TERM");
    three.gateway.ended().await;
    three.gateway = three.home.serve().await;
    let counts = three.calls(60, [0.4, 0.1, 0.7], 60).await;
    assert!(counts[2] >= 40, "{counts:?}");
}

/// The command line draws every decision again, says why a call went where it went, and reckons other policies.
fn replays(three: &Three) {
    let run = |arguments: &[&str]| {
        let ran = three.home.run(arguments);
        (ran.code(), ran.out(), ran.err())
    };
    let (code, out, err) = run(&["replay", "--config", "config.yaml", "--verify"]);
    assert!(
        code == 0 && out.starts_with("3000 of 3000 decisions are the same when they are drawn again\n"),
        "{out}{err}"
    );
    // What other shares would have earned, from the propensities: a was good in 0.4 of all calls, b in 0.8 of the first 2,000
    // and 0.1 of the last 1,000, c in 0.5 and 0.7. An arm alone that had its least share of 1 % most of the time is worth
    // about 1 % of the calls, which is where replay refuses.
    let other = (2.0 * 0.8 + 0.1) / 3.0;
    let text = three.home.read("config.yaml");
    let policy = "{thompson: {reward: resolved, half_life: 500}}";
    assert!(text.contains(policy));
    for (name, shares, expected) in [
        ("half a", "a: 50%, b: 25%, c: 25%", 0.5 * 0.4 + 0.5 * other),
        ("half c", "a: 25%, b: 25%, c: 50%", 0.25 * 0.4 + 0.75 * other),
    ] {
        three.home.write("other.yaml", &text.replace(policy, &format!("{{weighted: {{{shares}}}}}")));
        let (code, out, err) =
            run(&["replay", "--config", "other.yaml", "--reward", "resolved", "--route", "mock", "--json"]);
        assert_eq!(code, 0, "{err}");
        let found: Value = serde_json::from_str(&out).expect("JSON");
        // Bounds that are not known yet are null.
        let bound = |end: &str, open: f64| found[0]["bounds"]["dr"][end].as_f64().unwrap_or(open);
        let (low, high) = (bound("low", f64::NEG_INFINITY), bound("high", f64::INFINITY));
        let estimate = found[0]["estimates"]["snips"].as_f64().expect("a number");
        let worth = &found[0]["estimates"]["effective_sample_size"];
        println!(
            "figure: `{name}` alone would have earned {estimate:.3} (true {expected:.3}), {low:.3} to {high:.3}, worth {worth} calls"
        );
        assert!((estimate - expected).abs() < 0.3 && low <= expected && expected <= high, "{found}");
    }
    three.home.write("other.yaml", &text.replace(policy, "{epsilon_greedy: {reward: resolved, epsilon: 20%}}"));
    let (code, _, err) = run(&["replay", "--config", "other.yaml"]);
    assert!(code == 1 && err.contains("--relearn"), "{err}");
    let (code, out, err) = run(&["replay", "--config", "other.yaml", "--relearn"]);
    assert!(code == 0 && out.contains("doubly robust") && out.contains("3000 calls"), "{out}{err}");
    // An arm that no call had cannot be judged.
    let more = text.replace("c: {model: mc}}", "c: {model: mc}, d: {model: mc}}");
    three.home.write("other.yaml", &more.replace(policy, "{weighted: {a: 0%, b: 0%, c: 0%, d: 100%}}"));
    let (code, _, err) = run(&["replay", "--config", "other.yaml", "--reward", "resolved"]);
    assert!(code == 1 && err.contains("cannot be replayed"), "{err}");
}

/// A call is explained with what the state knew.
async fn explained(three: &Three) {
    let event = newest(&three.gateway.admin(), 1).await.remove(0);
    let id = event["id"].as_str().expect("an id").to_owned();
    let ran = three.home.run(&["explain", &id, "--config", "config.yaml"]);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    let says = ran.out();
    for part in
        ["thompson gave a ", "as it had learnt of `resolved`", "chance drew 0.", "drawn again it is ", "the same"]
    {
        assert!(says.contains(part), "{part}: {says}");
    }
    let shown: Value =
        serde_json::from_str(&three.home.run(&["explain", &id, "--config", "config.yaml", "--json"]).out())
            .expect("JSON");
    assert_eq!((&shown["agrees"], &shown["shares_agree"]), (&json!(true), &json!(true)), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_arm_that_fails_is_left_without_any_feedback() {
    let three = Three::with("{thompson: {reward: error}}", "").await;
    let client = three.gateway.client().with_key(&three.key);
    three.upstreams[0].always(upstream::failure(500));
    for _ in 0..300 {
        client.chat(&chat("mock")).await;
    }
    let before = three.upstreams[0].count();
    for _ in 0..200 {
        client.chat(&chat("mock")).await;
    }
    let after = three.upstreams[0].count() - before;
    // Its least share is 1 %, and each call of it is tried twice.
    assert!(after <= 30, "{after} of 200");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feedback_is_checked_and_taken_once() {
    let three = Three::with(
        "{ucb1: {reward: stars}}",
        "stars: {kind: float, range: [1, 5]}, solved: {kind: boolean, level: episode}",
    )
    .await;
    let client = three.gateway.client().with_key(&three.key);
    let answer = client.chat(&chat("mock")).await;
    let id = answer.request_id();
    let say = async |body: Value| {
        let answer = client.post("/v1/feedback", &body).await;
        (answer.status(), answer.json())
    };
    for (body, status, param) in [
        (json!({"inference_id": id, "reward": "stars", "value": 9}), 400, "value"),
        (json!({"inference_id": id, "reward": "stars", "value": true}), 400, "value"),
        (json!({"inference_id": id, "reward": "likes", "value": 1}), 400, "reward"),
        (json!({"inference_id": "x", "reward": "stars", "value": 1}), 400, "inference_id"),
        (json!({"episode_id": "e", "reward": "stars", "value": 1}), 400, "inference_id"),
        (json!({"inference_id": id, "reward": "solved", "value": true}), 400, "episode_id"),
        (json!({"reward": "stars", "value": 1}), 400, "inference_id"),
    ] {
        let (got, said) = say(body.clone()).await;
        assert_eq!((got, &said["error"]["param"]), (status, &json!(param)), "{body}: {said}");
    }
    let unknown = json!({"inference_id": "01931c2e-8f10-7cc3-98c4-dc0c0c07398f", "reward": "stars", "value": 1});
    assert_eq!(say(unknown).await.0, 404);
    let once = |value: f64| json!({"inference_id": id, "reward": "stars", "value": value, "idempotency_key": "k"});
    assert_eq!(say(once(4.0)).await.1["was_known"], false);
    assert_eq!(say(once(4.0)).await.1["was_known"], true);
    assert_eq!(say(once(5.0)).await.0, 409);
    let several = json!([{"inference_id": id, "reward": "stars", "value": 2}, {"inference_id": id, "reward": "stars", "value": 7}]);
    let (status, said) = say(several).await;
    assert_eq!((status, said["data"][0]["learnt"][0].clone()), (200, json!("mock")), "{said}");
    assert_eq!(said["data"][1]["error"]["param"], "value", "{said}");
    // Another tenant's call is not known, and who may not give feedback is refused.
    let other = three.gateway.client().with_key(&three.home.key_of("another", &["feedback"]));
    let body = json!({"inference_id": id, "reward": "stars", "value": 2});
    eventually("the key", async || (other.post("/v1/feedback", &body).await.status() == 404).then_some(())).await;
    let caller = three.gateway.client().with_key(&three.home.key(&["infer"]));
    eventually("the key", async || (caller.post("/v1/feedback", &body).await.status() == 403).then_some(())).await;
}
