//! Limits that replicas share by a Redis: one of two is killed, the Redis stands still, and the load is steady.

use crate::harness::events::Counts;
use crate::harness::redis::Redis;
use crate::harness::upstream::{Act, Seen, completion};
use crate::harness::{Client, Gateway, Home, ROUTES, Upstream, chat, eventually, home, provider};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A replica in front of `upstream`, with its own folder and key.
struct Replica {
    gateway: Gateway,
    client: Client,
    _home: Home,
}

impl Replica {
    async fn start(redis: &Redis, upstream: &Upstream, models: &str, limits: &str) -> Self {
        let base = home::BASE.replace("store: {", &format!("store: {{shared: \"{}\", ", redis.url()));
        let home = Home::new();
        home.write("config.yaml", &format!("{base}{}{models}{limits}", provider("pool", &[upstream])));
        let key = home.key(&["infer"]);
        let gateway = home.serve().await;
        let client = gateway.client().with_key(&key);
        Self { gateway, client, _home: home }
    }

    async fn counts(&self) -> Counts {
        Counts::read(&self.gateway.admin()).await
    }
}

/// A token that is produced costs a thousandth of a USD.
const DEAR: &str = "\
models: {up: {provider: pool, model: real/Model-1, price: {input: 0.0, output: 1000.0}}}
routes: {mock: {model: up}}
";

/// What a call costs, in thousandths: some part of what it asked for.
fn produced(seen: &Seen) -> u64 {
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let most = body["max_tokens"].as_u64().unwrap_or_default();
    most * (most * 7919 % 101) / 100
}

fn dear(client: &Client, most: u64) -> impl Future<Output = Option<u16>> + Send + 'static {
    let (client, mut body) = (client.clone(), chat("mock"));
    body["max_tokens"] = json!(most);
    async move {
        let text = body.to_string();
        let mut wire = client.try_connect().await.ok()?;
        let headers = [("content-type", "application/json")];
        wire.write(&client.request("POST", "/v1/chat/completions", &headers, text.as_bytes())).await;
        Some(wire.head().await?.status)
    }
}

/// The same by a caller who comes again where the store could not be asked in time, as a busy machine has it.
async fn patient(client: Client, most: u64) -> Option<u16> {
    for _ in 0..100 {
        let status = dear(&client, most).await;
        if status != Some(503) {
            return status;
        }
    }
    Some(503)
}

#[tokio::test]
async fn two_replicas_spend_one_budget_and_no_more_though_one_is_killed() {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    upstream.always(Act::By(|seen| completion("dear", 5, produced(seen))));
    let limits = "limits: [{per: tenant, cost: {usd: 10, every: calendar_day}, failure: closed}]\n";
    let a = Replica::start(&redis, &upstream, DEAR, limits).await;
    let b = Replica::start(&redis, &upstream, DEAR, limits).await;
    let calls: Vec<_> = (0..200_u64)
        .map(|call| {
            let client = if call % 2 == 0 { &a.client } else { &b.client };
            tokio::spawn(patient(client.clone(), 20 + call * 48_271 % 181))
        })
        .collect();
    eventually("half of them to have come", async || (upstream.count() >= 40).then_some(())).await;
    b.gateway.kill();
    let mut served = 0;
    for call in calls {
        let status = call.await.unwrap();
        assert!(matches!(status, None | Some(200 | 429 | 503)), "{status:?}");
        served += usize::from(status == Some(200));
    }
    // What is left goes to the one that is left.
    for call in 0..200_u64 {
        served += usize::from(dear(&a.client, 20 + call % 50).await == Some(200));
    }
    let spent: u64 = upstream.seen().iter().map(produced).sum();
    assert!(spent <= 10_000, "{spent} thousandths were spent of 10,000");
    assert!(served > 30 && spent > 2_000, "{served} calls were served for {spent}");
}

#[tokio::test]
async fn of_a_steady_load_hardly_a_call_asks_redis() {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    let limits = "limits: [{per: key, requests: 1000000/min, tokens: 100000000/min}]\n";
    let replica = Replica::start(&redis, &upstream, ROUTES, limits).await;
    for _ in 0..1_000 {
        assert_eq!(replica.client.chat(&chat("mock")).await.status(), 200);
    }
    let counts = replica.counts().await;
    let asked = counts.series("tidegate_lease_decisions_total{way=\"asked\"}");
    let local = counts.series("tidegate_lease_decisions_total{way=\"local\"}");
    assert!(asked <= 10.0 && asked + local >= 1_000.0, "{asked} asked, {local} did not");
}

#[tokio::test]
async fn a_redis_that_stands_still_fails_nobody_whose_limit_is_open() {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    let limits = "limits: [{per: key, requests: 50/min}]\n";
    let mut replica = Replica::start(&redis, &upstream, ROUTES, limits).await;
    // Each asks in vain at first, later none does.
    let before = p99(&replica.client, 40).await;
    redis.freeze();
    let frozen = p99(&replica.client, 400).await;
    println!("p99: {before:?} before, {frozen:?} with a Redis that stands still");
    eventually("the loss to be seen", async || {
        (replica.counts().await.sum("tidegate_shared_store_up") == 0.0).then_some(())
    })
    .await;
    assert_eq!(
        replica
            .gateway
            .log_of("the shared store does not answer: limits go on with what is leased, then by their `failure`")
            .len(),
        1
    );

    redis.thaw();
    eventually("what was used to be told", async || {
        let counts = replica.counts().await;
        (counts.sum("tidegate_shared_store_up") == 1.0 && counts.sum("tidegate_lease_reconciliations_total") >= 1.0)
            .then_some(())
    })
    .await;
    assert_eq!(replica.gateway.log_of("the shared store answers again; it is told what was used meanwhile").len(), 1);
    assert_eq!(replica.client.chat(&chat("mock")).await.status(), 429, "it counts");
    replica.gateway.signal("TERM");
    assert!(replica.gateway.ended().await.success());
}

#[tokio::test]
async fn without_a_redis_it_starts_and_a_closed_limit_refuses_until_there_is_one() {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    redis.freeze();
    let limits = "limits: [{per: key, requests: 50/min, failure: closed}]\n";
    let replica = Replica::start(&redis, &upstream, ROUTES, limits).await;
    let refused = replica.client.chat(&chat("mock")).await;
    assert_eq!(refused.status(), 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert_eq!(upstream.count(), 0);
    redis.thaw();
    eventually("calls to be served", async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        (replica.client.chat(&chat("mock")).await.status() == 200).then_some(())
    })
    .await;
}

/// The time within which 99 of 100 of so many calls, one after the other, were answered.
async fn p99(client: &Client, calls: usize) -> Duration {
    let mut took = Vec::with_capacity(calls);
    for _ in 0..calls {
        let began = Instant::now();
        assert_eq!(client.chat(&chat("mock")).await.status(), 200);
        took.push(began.elapsed());
    }
    took.sort();
    took[calls * 99 / 100]
}
