//! Replicas that run one rollout by a Redis: one of them leads, all go where it goes, an order to any is an order to all,
//! and who is cut off may go back alone.

use crate::harness::redis::Redis;
use crate::harness::{Client, Gateway, Home, Upstream, chat, eventually, upstream};
use serde_json::{Value, json};

/// A replica with its own folder.
struct Replica {
    home: Home,
    gateway: Gateway,
    key: String,
}

impl Replica {
    async fn start(redis: &Redis, [blue, green]: [&Upstream; 2], rollout: &str) -> Self {
        let home = Home::new();
        let text = format!(
            "listeners: {{public: {{address: \"127.0.0.1:0\"}}}}\nadmin: {{address: \"127.0.0.1:0\", token: \"${{env:TIDEGATE_ADMIN_TOKEN}}\"}}\nstore: {{events: {{to: \"file:events\"}}, shared: \"{}\"}}\nkeys: {{file: keys.yaml}}\nproviders: {{pb: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, pg: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\nmodels: {{mb: {{provider: pb, model: b}}, mg: {{provider: pg, model: g}}}}\nroutes: {{mock: {{variants: {{blue: {{model: mb}}, green: {{model: mg}}}}, retry: {{attempts: 1}}, fallback: [{{when: [\"5xx\"], to: {{variant: blue}}}}], rollout: {{canary: {{from: blue, to: green, {rollout}, analysis: [{{error_rate: {{worse_by_points: 1%}}}}]}}}}}}}}\n",
            redis.url(),
            blue.url(),
            green.url()
        );
        home.write("config.yaml", &text);
        let key = home.key(&["infer"]);
        let gateway = home.serve().await;
        Self { home, gateway, key }
    }

    fn client(&self) -> Client {
        self.gateway.client().with_key(&self.key)
    }

    async fn calls(&self, calls: usize) {
        let client = self.client();
        for _ in 0..calls {
            let answer = client.chat(&chat("mock")).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
    }

    async fn standing(&self) -> Value {
        self.gateway.admin().get("/admin/v1/rollouts/mock").await.json()
    }

    async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || Some(self.standing().await).filter(|now| is(now))).await
    }

    async fn order(&self, order: &str) -> (u16, String) {
        let answer = self.gateway.admin().post(&format!("/admin/v1/rollouts/mock/{order}"), &json!({})).await;
        (answer.status(), answer.text())
    }
}

async fn upstreams() -> [Upstream; 2] {
    let (blue, green) = (Upstream::start().await, Upstream::start().await);
    blue.always(upstream::completion("blue", 3, 2));
    green.always(upstream::completion("green", 3, 2));
    [blue, green]
}

/// Both are agreed, and one of them leads.
async fn agreed(a: &Replica, b: &Replica) -> [Value; 2] {
    eventually("one leader", async || {
        let now = [a.standing().await, b.standing().await];
        let mut says = now.each_ref().map(|one| one["replica"].as_str().unwrap_or_default().to_owned());
        says.sort();
        (says == ["follows", "leads"] && now[0]["since_ms"] == now[1]["since_ms"]).then_some(now)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_leads_and_all_go_where_it_goes() {
    let (redis, [blue, green]) = (Redis::start().await, upstreams().await);
    let rollout = "steps: [50%, 100%], every: 1s, interval: 100ms, min_samples: 300";
    let a = Replica::start(&redis, [&blue, &green], rollout).await;
    let mut b = Replica::start(&redis, [&blue, &green], rollout).await;
    agreed(&a, &b).await;
    // Neither sees enough by itself: 300 calls of the new arm are those of both.
    tokio::join!(a.calls(400), b.calls(400));
    let [here, there] = [
        a.until("the second step", |now| now["stage"] != "step 1").await,
        b.until("the second step", |now| now["stage"] != "step 1").await,
    ];
    assert_eq!(here["turns"], there["turns"], "one turn, by one of them");
    assert_eq!((&here["share"], here["turns"].as_array().map(Vec::len)), (&json!(1.0), Some(1)), "{here}");

    // An order to whoever follows is one to all; the leader is killed, and the other one leads.
    let [here, _] = agreed(&a, &b).await;
    let a_leads = here["replica"] == "leads";
    let follower = if a_leads { &b } else { &a };
    let (status, says) = follower.order("pause").await;
    assert_eq!(status, 200, "{says}");
    for one in [&a, &b] {
        one.until("the pause", |now| now["paused_by"].is_string()).await;
    }
    let (stays, mut killed) = if a_leads { (b, a) } else { (a, b) };
    killed.gateway.kill();
    stays.until("its lead", |now| now["replica"] == "leads").await;
    let (status, says) = stays.order("abort").await;
    assert_eq!(status, 200, "{says}");
    // Who comes back is where the others are, whatever it had kept.
    killed.gateway = killed.home.serve().await;
    let now = killed.until("the end", |now| now["stage"] == "aborted").await;
    assert_eq!(now["turns"], stays.standing().await["turns"]);
    b = killed;
    assert_eq!(b.order("resume").await.0, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_both_see_take_it_back_once_for_both() {
    let (redis, [blue, green]) = (Redis::start().await, upstreams().await);
    let rollout = "steps: [10%, 100%], every: 30s, interval: 200ms, min_samples: 20";
    let a = Replica::start(&redis, [&blue, &green], rollout).await;
    let b = Replica::start(&redis, [&blue, &green], rollout).await;
    agreed(&a, &b).await;
    for nth in 0..20_000 {
        green.then(if nth % 5 == 0 { upstream::failure(500) } else { upstream::completion("green", 3, 2) });
    }
    tokio::join!(a.calls(1_500), b.calls(1_500));
    let [here, there] = [
        a.until("the rollback", |now| now["stage"] == "rolled back").await,
        b.until("the rollback", |now| now["stage"] == "rolled back").await,
    ];
    assert_eq!((&here["turns"], here["turns"].as_array().map(Vec::len)), (&there["turns"], Some(1)));
    let seen = a.standing().await;
    println!("figure: two replicas rolled one canary back at once: {}", seen["turns"][0]["why"]);
    let before = green.count();
    tokio::join!(a.calls(50), b.calls(50));
    assert_eq!(green.count(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_redis_one_may_only_go_back_and_the_others_follow_later() {
    let (redis, [blue, green]) = (Redis::start().await, upstreams().await);
    let rollout = "steps: [50%, 100%], every: 100ms, interval: 50ms, min_samples: 1000000";
    let a = Replica::start(&redis, [&blue, &green], rollout).await;
    let b = Replica::start(&redis, [&blue, &green], rollout).await;
    agreed(&a, &b).await;
    redis.freeze();
    for one in [&a, &b] {
        one.until("the loss", |now| now["replica"] == "cut_off").await;
    }
    let (status, says) = b.order("promote").await;
    assert!(status == 503 && says.contains("only `abort` works"), "{status} {says}");
    assert_eq!(b.order("abort").await.0, 200);
    assert_eq!((&b.standing().await["share"], &a.standing().await["share"]), (&json!(0.0), &json!(0.5)));
    redis.thaw();
    let now = a.until("the end", |now| now["stage"] == "aborted").await;
    assert_eq!(now["turns"], b.standing().await["turns"]);
}
