//! Replicas that learn together by a Redis: each knows what all know, one is killed and goes on, and both logs lead to the
//! same states again.

use crate::harness::events::Counts;
use crate::harness::redis::Redis;
use crate::harness::upstream::completion;
use crate::harness::{Client, Gateway, Home, Upstream, chat, eventually, home, provider};
use serde_json::json;

/// A replica with its own folder.
struct Replica {
    home: Home,
    gateway: Gateway,
    key: String,
}

const ROUTE: &str = "\
models: {up: {provider: pool, model: real/Model-1}}
rewards: {resolved: {kind: boolean}}
routes: {mock: {variants: {a: {model: up}, b: {model: up}}, policy: {thompson: {reward: resolved, half_life: 200}}}}
";

impl Replica {
    async fn start(redis: &Redis, upstream: &Upstream) -> Self {
        let base = home::BASE.replace("store: {", &format!("store: {{shared: \"{}\", ", redis.url()));
        let home = Home::new();
        home.write("config.yaml", &format!("{base}{}{ROUTE}", provider("pool", &[upstream])));
        let key = home.key(&["infer", "feedback"]);
        let gateway = home.serve().await;
        Self { home, gateway, key }
    }

    fn client(&self) -> Client {
        self.gateway.client().with_key(&self.key)
    }

    /// Calls, each followed by a reward.
    async fn rewards(&self, rewards: usize) {
        let client = self.client();
        for reward in 0..rewards {
            let answer = client.chat(&chat("mock")).await;
            let said = json!({"inference_id": answer.request_id(), "reward": "resolved", "value": reward % 3 == 0});
            let taken = client.post("/v1/feedback", &said).await;
            assert_eq!((taken.status(), &taken.json()["learnt"]), (200, &json!(["mock"])), "{}", taken.text());
        }
    }

    async fn count(&self, event: &str) -> f64 {
        let counts = Counts::read(&self.gateway.admin()).await;
        counts.series(&format!("tidegate_shared_learning_rewards_total{{event=\"{event}\"}}"))
    }

    async fn heard(&self, rewards: f64) {
        eventually("the others' rewards", async || (self.count("heard").await >= rewards).then_some(())).await;
        let heard = self.count("heard").await;
        assert!((heard - rewards).abs() < 0.5, "{heard} of {rewards}");
    }

    /// Each decision and each state follows from the log.
    fn verifies(&self) {
        let ran = self.home.run(&["replay", "--config", "config.yaml", "--verify"]);
        assert_eq!(ran.code(), 0, "{}{}", ran.out(), ran.err());
    }
}

#[tokio::test]
async fn each_knows_what_all_learnt_though_one_is_killed() {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    upstream.always(completion("good", 5, 3));
    let a = Replica::start(&redis, &upstream).await;
    let mut b = Replica::start(&redis, &upstream).await;
    tokio::join!(a.rewards(90), b.rewards(60));
    tokio::join!(a.heard(60.0), b.heard(90.0));

    // Killed while it learns: what others did not hear in time they hear when it is back, each reward once.
    b.rewards(30).await;
    b.gateway.kill();
    let heard = a.count("heard").await;
    a.rewards(10).await;
    b.gateway = b.home.serve().await;
    a.heard(90.0).await;
    b.heard(10.0).await;
    let late = b.count("told_late").await;
    assert!(late <= 90.0 - heard, "{late} were told late, {heard} had been heard");
    assert!(b.count("lost").await < 0.5);
    b.rewards(5).await;
    a.heard(95.0).await;
    a.verifies();
    b.verifies();
}

#[tokio::test]
async fn without_the_redis_each_learns_by_itself_and_tells_afterwards() {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    upstream.always(completion("good", 5, 3));
    let a = Replica::start(&redis, &upstream).await;
    let b = Replica::start(&redis, &upstream).await;
    a.rewards(10).await;
    b.heard(10.0).await;
    redis.freeze();
    tokio::join!(a.rewards(40), b.rewards(20));
    let is_lost =
        async || (Counts::read(&b.gateway.admin()).await.series("tidegate_shared_learning_up") < 0.5).then_some(());
    eventually("the loss to be noticed", is_lost).await;
    assert!((b.count("heard").await - 10.0).abs() < 0.5);
    redis.thaw();
    tokio::join!(a.heard(20.0), b.heard(50.0));
}
