//! Replicas that have a monitor's windows together by a Redis: what all see is counted once, an alarm is told once, whoever
//! leads; what is said of a call finds it whichever replica is told; and a Redis that is away costs no call anything.

use crate::harness::home::repository;
use crate::harness::redis::Redis;
use crate::harness::upstream::{Act, completion};
use crate::harness::{Client, Gateway, Home, Upstream, chat, eventually};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tidegate_core::dice::{mix, unit};

/// A replica with its own folder.
struct Replica {
    home: Home,
    gateway: Gateway,
    key: String,
}

/// The model server behind all, and who is told of alarms.
struct Others {
    model: Upstream,
    duty: Upstream,
}

impl Others {
    async fn start() -> Self {
        let (model, duty) = (Upstream::start().await, Upstream::start().await);
        model.always(completion("good", 3, 2));
        duty.always(Act::Answer(200, vec![], "{}".into()));
        Self { model, duty }
    }

    /// The alarms (or their ends) that were told.
    fn told(&self, status: &str) -> Vec<Value> {
        let all = self.duty.seen().into_iter().map(|seen| seen.json());
        all.filter(|told| told["status"] == status).collect()
    }
}

impl Replica {
    async fn start(redis: &Redis, others: &Others, monitor: &str) -> Self {
        let text = format!(
            "listeners: {{public: {{address: \"127.0.0.1:0\"}}}}\n\
             admin: {{address: \"127.0.0.1:0\", token: \"${{env:TIDEGATE_ADMIN_TOKEN}}\"}}\n\
             store: {{events: {{to: \"file:events\"}}, shared: \"{}\"}}\n\
             keys: {{file: keys.yaml}}\n\
             providers: {{p: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\n\
             models: {{m: {{provider: p, model: a}}}}\n\
             routes: {{mock: {{model: m}}}}\n\
             plugins: {{drift: {{component: \"{}\"}}}}\n\
             alerts: {{duty: {{webhook: {{url: \"{}\", secret: \"${{env:UPSTREAM_KEY}}\"}}}}}}\n\
             monitors: {{drift: {{plugin: drift, route: mock, config: {{alpha: 0.001}}, alert: [duty], {monitor}}}}}\n",
            redis.url(),
            others.model.url(),
            repository().join("plugins/dist/drift.wasm").display(),
            others.duty.url().replace("/v1", "/hook"),
        );
        let home = Home::new();
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "feedback"]);
        let gateway = home.serve().await;
        Self { home, gateway, key }
    }

    fn client(&self) -> Client {
        self.gateway.client().with_key(&self.key)
    }

    /// So many calls from this one on; their ids.
    async fn calls(&self, from: usize, n: usize, is_shifted: bool) -> Vec<String> {
        let client = self.client();
        let mut ids = Vec::new();
        for call in from..from + n {
            let shift = if is_shifted { 1.5 } else { 0.0 };
            let mut body = chat("mock");
            body["x"] = json!(normal(call as u64) + shift);
            let answer = client.chat(&body).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            ids.push(answer.request_id());
        }
        ids
    }

    async fn monitor(&self) -> Value {
        let answer = self.gateway.admin().get("/admin/v1/monitors/drift").await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()
    }

    async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || Some(self.monitor().await).filter(&is)).await
    }

    /// Until all of so many calls are in windows that are judged or open, or in the reference, by what this one shows.
    async fn seen(&self, calls: u64) -> Value {
        let all = |now: &Value| now["counts"]["rows"].as_u64() >= Some(calls) && counted(now) >= calls;
        let now = self.until("all calls", all).await;
        assert_eq!((counted(&now), &now["counts"]["rows"]), (calls, &json!(calls)), "{now:#}");
        now
    }
}

/// Calls to these replicas until each shows this state; how many they were.
async fn until_state(replicas: &[&Replica], from: usize, is_shifted: bool, state: &str) -> u64 {
    let mut calls = 0;
    let rows = |now: &Value| now["counts"]["rows"].as_u64().unwrap_or_default();
    loop {
        let before = rows(&replicas[0].monitor().await);
        for one in replicas {
            one.calls(from + calls, 50, is_shifted).await;
            calls += 50;
        }
        // No faster than whoever leads takes them, who may have to be found first.
        replicas[0].until("some of the calls", |now| rows(now) > before).await;
        let mut all = Vec::new();
        for one in replicas {
            all.push(one.monitor().await["state"] == state);
        }
        if !all.contains(&false) {
            return calls as u64;
        }
        assert!(calls < 10_000, "they do not come to be `{state}`");
    }
}

/// A number that looks normal: the sum of twelve uniform ones less six.
fn normal(call: u64) -> f64 {
    (0..12).map(|n| unit(mix(mix(call) ^ n))).sum::<f64>() - 6.0
}

/// The calls in windows that are over, in open ones and in the reference, as a page says.
fn counted(page: &Value) -> u64 {
    let of = |watched: &Value| {
        let past = watched["windows"].as_array().into_iter().flatten().filter_map(|window| window["rows"].as_u64());
        let open = ["rows", "gathered", "waiting"].iter().filter_map(|name| watched["open"][name].as_u64());
        past.sum::<u64>() + open.sum::<u64>()
    };
    page["watched"].as_array().into_iter().flatten().map(of).sum()
}

fn stands(page: &Value) -> &str {
    page["replicas"]["stands"].as_str().unwrap_or_default()
}

/// Both are there, and one of them leads: the leader first.
async fn agreed(a: Replica, b: Replica) -> [Replica; 2] {
    eventually("one leader", async || {
        let now = [a.monitor().await, b.monitor().await];
        let leader = &now[0]["replicas"]["leader"];
        let mut says = now.each_ref().map(stands);
        says.sort_unstable();
        (says == ["follows", "leads"] && leader.is_string() && *leader == now[1]["replicas"]["leader"]).then_some(())
    })
    .await;
    if stands(&a.monitor().await) == "leads" { [a, b] } else { [b, a] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_all_see_is_counted_once_and_an_alarm_outlives_the_one_who_leads() {
    let (redis, others) = (Redis::start().await, Others::start().await);
    let monitor = "fields: {x: /x}, window: {size: 200, min: 50}, baseline: {first: 400}, alarm: {breaches: 2, of: 3}";
    let a = Replica::start(&redis, &others, monitor).await;
    let b = Replica::start(&redis, &others, monitor).await;
    let [leader, follower] = agreed(a, b).await;
    tokio::join!(leader.calls(0, 200, false), follower.calls(200, 200, false));
    for one in [&leader, &follower] {
        one.until("a reference", |now| now["reference"]["is_ready"] == true).await;
    }
    tokio::join!(leader.calls(400, 250, false), follower.calls(700, 450, false));
    for one in [&leader, &follower] {
        let well = one.seen(1_100).await;
        assert_eq!(well["state"], "well", "{well:#}");
    }
    assert!(others.told("firing").is_empty());

    let calls = 1_100 + until_state(&[&leader, &follower], 2_000, true, "alarm").await;
    eventually("somebody to be told", async || (!others.told("firing").is_empty()).then_some(())).await;
    let [here, there] = [leader.seen(calls).await, follower.seen(calls).await];
    assert_eq!((&here["state"], &there["state"]), (&json!("alarm"), &json!("alarm")));
    assert_eq!(others.told("firing").len(), 1, "one of both tells it");
    println!("figure: two replicas, {calls} calls, {} windows, one alert: {}", here["counts"]["windows"], here["says"]);

    // Who led is killed; the other one knows all that was known, tells the alarm that holds under the same name, and is who
    // says when it is over.
    let Replica { home, gateway, key } = leader;
    gateway.kill();
    follower.until("its lead", |now| stands(now) == "leads").await;
    let now = follower.seen(calls).await;
    assert_eq!((&now["state"], &now["counts"]["windows"]), (&json!("alarm"), &there["counts"]["windows"]), "{now:#}");
    let calls = calls + until_state(&[&follower], 20_000, false, "well").await;
    let ends = eventually("its end to be told", async || {
        let ends = others.told("resolved");
        (!ends.is_empty()).then_some(ends)
    })
    .await;
    let keys: Vec<Value> =
        others.told("firing").iter().chain(&ends).map(|told| told["alarm"]["dedup_key"].clone()).collect();
    assert!(keys.iter().all(|key| *key == keys[0]) && ends.len() == 1, "{keys:?}");

    // Whoever comes back follows, and is counted with.
    let gateway = home.serve().await;
    let back = Replica { home, gateway, key };
    back.until("whom it follows", |now| stands(now) == "follows").await;
    back.calls(40_000, 50, false).await;
    follower.seen(calls + 50).await;

    // Anybody may be told to begin anew; all do.
    let reset = back.gateway.admin().post("/admin/v1/monitors/drift/reset", &json!({})).await;
    assert_eq!(reset.status(), 200, "{}", reset.text());
    for one in [&back, &follower] {
        one.until("a new beginning", |now| counted(now) == 0 && now["state"] == "unknown").await;
    }

    // Who is told to end hands over all, and leaves the lead to another one.
    follower.calls(50_000, 60, false).await;
    let Replica { mut gateway, .. } = follower;
    gateway.signal("TERM");
    assert!(gateway.ended().await.success());
    back.until("its lead", |now| stands(now) == "leads").await;
    back.seen(60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_another_replica_finds_its_call_and_a_strangers_word_does_not() {
    let (redis, others) = (Redis::start().await, Others::start().await);
    let monitor = "fields: {x: /x, truth: \"label:truth\"}, window: {size: 30, min: 5}, baseline: {first: 20}";
    let a = Replica::start(&redis, &others, monitor).await;
    let b = Replica::start(&redis, &others, monitor).await;
    let [leader, follower] = agreed(a, b).await;
    let stranger = follower.home.key_of("another", &["feedback"]);
    assert_eq!(follower.gateway.admin().post("/admin/v1/reload", &json!({})).await.status(), 200);
    let ids = [leader.calls(0, 20, false).await, follower.calls(20, 20, false).await].concat();
    leader.until("calls that wait", |now| now["watched"][0]["open"]["waiting"] == 40).await;

    let label = |id: &str, class: &str| json!({"inference_id": id, "label": class, "name": "truth"});
    let say = async |client: &Client, id: &str, class: &str| {
        let answer = client.post("/v1/feedback", &label(id, class)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()["passed_on"] == true
    };
    let theirs = follower.gateway.client().with_key(&stranger);
    assert!(say(&theirs, &ids[0], "wrong").await, "nobody knows here whose call it is");
    leader.until("a word that is nobody's", |now| now["watched"][0]["open"]["waited"]["stray"] == 1).await;
    // Each hears of calls of the other one.
    let (to_follower, to_leader) = (follower.client(), leader.client());
    let mut saying = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        let client = if at < 20 { &to_follower } else { &to_leader };
        saying.push(say(client, id, if at % 2 == 0 { "yes" } else { "no" }));
    }
    let passed_on = futures_util::future::join_all(saying).await;
    assert_eq!(passed_on, [true; 40]);
    for one in [&leader, &follower] {
        let now = one.until("all labels", |now| now["watched"][0]["open"]["waited"]["complete"] == 40).await;
        let open = &now["watched"][0]["open"];
        assert_eq!(
            (&open["waiting"], &open["gathered"], &open["rows"]),
            (&json!(0), &json!(20), &json!(20)),
            "{now:#}"
        );
        assert_eq!((&open["waited"]["expired"], &open["waited"]["repeated"]), (&json!(0), &json!(0)), "{now:#}");
    }
    // Said where it is known, it is known at once; said again elsewhere, the first word stands.
    let id = follower.calls(50, 1, false).await.remove(0);
    assert!(!say(&to_follower, &id, "yes").await);
    leader.until("the label", |now| now["watched"][0]["open"]["waited"]["complete"] == 41).await;
    // What nobody waits for is refused as before.
    let other = json!({"inference_id": id, "label": "x", "name": "another"});
    assert_eq!(to_leader.post("/v1/feedback", &other).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_redis_calls_go_on_and_windows_wait() {
    let (redis, others) = (Redis::start().await, Others::start().await);
    let monitor = "fields: {x: /x}, window: {every: 2s, min: 5}, baseline: {first: 50}";
    let a = Replica::start(&redis, &others, monitor).await;
    let b = Replica::start(&redis, &others, monitor).await;
    let [leader, follower] = agreed(a, b).await;
    leader.calls(0, 50, false).await;
    follower.until("a reference", |now| now["reference"]["is_ready"] == true).await;
    tokio::join!(leader.calls(100, 50, false), follower.calls(200, 50, false));
    leader.until("a window", |now| now["counts"]["windows"].as_u64() >= Some(1)).await;

    redis.freeze();
    let mut slowest = Duration::ZERO;
    for call in 0..100 {
        let before = Instant::now();
        tokio::join!(leader.calls(1_000 + call, 1, false), follower.calls(2_000 + call, 1, false));
        slowest = slowest.max(before.elapsed());
    }
    for one in [&leader, &follower] {
        one.until("the loss", |now| stands(now) == "cut_off").await;
    }
    let windows = leader.monitor().await["counts"]["windows"].clone();
    let more = tokio::join!(leader.calls(3_000, 50, false), follower.calls(4_000, 50, false));
    assert_eq!((more.0.len(), more.1.len()), (50, 50));
    assert_eq!(leader.monitor().await["counts"]["windows"], windows, "no window ends while others cannot be heard");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    println!("figure: the slowest of 200 calls while Redis is frozen: {slowest:?}");

    redis.thaw();
    for one in [&leader, &follower] {
        let now = one.seen(450).await;
        assert_eq!(now["counts"]["left_out"]["too_late"], 0, "{now:#}");
        assert_eq!(now["counts"]["left_out"]["no_way"], 0, "{now:#}");
    }
    let now = leader.until("windows that end again", |now| now["counts"]["windows"].as_u64() > windows.as_u64()).await;
    assert_eq!(counted(&now), 450, "{now:#}");
}
