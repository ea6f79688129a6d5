//! Limits: reserved before, settled after, told in headers, and refused with a time to come again.

use crate::harness::events::settled;
use crate::harness::upstream::completion;
use crate::harness::{Stage, chat, eventually};
use serde_json::json;

#[tokio::test]
async fn calls_over_the_limit_are_told_when_to_come_again() {
    let stage = Stage::with("limits: [{per: key, requests: 5/min}]\n").await;
    for left in (0..5).rev() {
        let answer = stage.client.chat(&chat("mock")).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(
            (answer.header("x-ratelimit-limit-requests"), answer.header("x-ratelimit-remaining-requests")),
            (Some("5"), Some(left.to_string().as_str()))
        );
        assert!(answer.header("x-ratelimit-reset-requests").is_some_and(|reset| reset.ends_with('s')));
    }
    let refused = stage.client.chat(&chat("mock")).await;
    let error = refused.error();
    assert_eq!(
        (refused.status(), &error["type"], &error["code"]),
        (429, &json!("rate_limit_error"), &json!("rate_limit_exceeded"))
    );
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refused.header("x-should-retry"), Some("true"));
    assert_eq!(stage.upstream.count(), 5);
}

#[tokio::test]
async fn each_key_and_each_tenant_has_its_own() {
    let stage = Stage::with("limits: [{per: key, requests: 3/min}, {per: tenant, requests: 4/min}]\n").await;
    let (other, foreign) = (stage.home.key(&["infer"]), stage.home.key_of("elsewhere", &["infer"]));
    let (other, foreign) = (stage.client.with_key(&other), stage.client.with_key(&foreign));
    eventually("the keys to be known", async || (foreign.get("/v1/models").await.status() == 200).then_some(())).await;
    for _ in 0..3 {
        assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    }
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 429, "the key's limit");
    assert_eq!(other.chat(&chat("mock")).await.status(), 200);
    assert_eq!(other.chat(&chat("mock")).await.status(), 429, "the tenant's limit");
    assert_eq!(foreign.chat(&chat("mock")).await.status(), 200, "another tenant");
}

#[tokio::test]
async fn tokens_that_were_not_used_are_given_back() {
    let stage = Stage::with("limits: [{per: key, tokens: 1000/min}]\n").await;
    stage.upstream.always(completion("short", 10, 5));
    let mut body = chat("mock");
    body["max_tokens"] = json!(600);
    // Each reserves more than half of the limit and uses 15 of it.
    for _ in 0..10 {
        let answer = stage.client.chat(&body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("1000"));
    }
    stage.upstream.always(completion("long", 10, 590));
    assert_eq!(stage.client.chat(&body).await.status(), 200);
    let refused = stage.client.chat(&body).await;
    assert_eq!(refused.status(), 429, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
}

#[tokio::test]
async fn calls_at_once_cannot_overspend() {
    let stage = Stage::with("limits: [{per: key, requests: 10/min}]\n").await;
    let calls: Vec<_> = (0..60)
        .map(|_| {
            let client = stage.client.clone();
            tokio::spawn(async move { client.chat(&chat("mock")).await.status() })
        })
        .collect();
    let mut served = 0;
    for call in calls {
        let status = call.await.unwrap();
        assert!(matches!(status, 200 | 429), "{status}");
        served += usize::from(status == 200);
    }
    // One more may come free while they run: ten a minute are one in six seconds.
    assert!((10..=11).contains(&served), "{served} were served where 10 were allowed");
    assert_eq!(stage.upstream.count(), served);
}

#[tokio::test]
async fn what_is_refused_for_another_reason_costs_nothing() {
    let stage = Stage::with("limits: [{per: key, requests: 2/min}]\n").await;
    for _ in 0..5 {
        assert_eq!(stage.client.chat(&chat("no-such-model")).await.status(), 404);
        assert_eq!(stage.client.chat(&json!({"model": "mock"})).await.status(), 400);
    }
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    assert_eq!(stage.client.get("/v1/models").await.status(), 200);
}

#[tokio::test]
async fn a_budget_of_a_day_is_not_overspent_and_not_forgotten() {
    let budget = "limits: [{per: tenant, cost: {usd: 0.001, every: calendar_day}}]\n";
    let mut stage = Stage::with(budget).await;
    // A call may cost 4 × 12 + 2 × 30 at most, and costs 40 millionths.
    stage.upstream.always(completion("dear", 10, 15));
    let mut body = chat("mock");
    body["max_tokens"] = json!(30);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (client, body) = (stage.client.clone(), body.clone());
            tokio::spawn(async move { client.chat(&body).await.status() })
        })
        .collect();
    let mut served = 0;
    for call in calls {
        let status = call.await.unwrap();
        assert!(matches!(status, 200 | 429), "{status}");
        served += usize::from(status == 200);
    }
    // One after the other they come to within what one call may cost.
    let refused = loop {
        let answer = stage.client.chat(&body).await;
        if answer.status() != 200 {
            break answer;
        }
        served += 1;
    };
    assert_eq!((refused.status(), stage.upstream.count()), (429, served));
    assert!(refused.text().contains("0.001 USD a day (UTC) for this tenant"), "{}", refused.text());
    assert!((21..=25).contains(&served), "{served} calls for 40 millionths each were served from 1,000");

    let cost = settled(&stage.admin, served as f64).await.sum("tidegate_cost_usd_total");
    assert!((0.0008..=0.001).contains(&cost), "{cost} USD were spent of 0.001");

    // Of the same tenant.
    let key = stage.home.key(&["infer"]);
    stage.gateway.signal("TERM");
    assert!(stage.gateway.ended().await.success());
    stage.gateway = stage.home.serve().await;
    let again = stage.gateway.client().with_key(&key);
    assert_eq!(again.chat(&body).await.status(), 429, "the day's budget is spent after a restart too");
}
