//! A classic model of the registry by an alias: when that moves, the other version takes the place of the one before under the
//! calls, none of which fails; one that cannot be loaded changes nothing.

use crate::classic::{output, x};
use crate::harness::events::event;
use crate::harness::shelf::file;
use crate::harness::{Shelf, eventually};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const GOLDEN: &str = "gateway/classic/tests/golden";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_alias_that_moves_is_followed_under_the_calls() {
    let shelf = Shelf::open("").await;
    shelf.make("cancer").await;
    // The same task by two libraries, whose files and scores differ.
    let (first, second) = (file(&format!("{GOLDEN}/xgb_binary.json")), file(&format!("{GOLDEN}/lgb_binary.txt")));
    shelf.version("cancer", 1, &[("model.json", &first)]).await;
    shelf.version("cancer", 2, &[("model.txt", &second)]).await;
    shelf.version("cancer", 3, &[("model.json", b"{\"learner\": {}}")]).await;
    shelf.alias("cancer", "champion", 1).await;
    let model = "cancer: {provider: here, input: x, batch: {max: 32, wait: 1ms}, source: \"models:/cancer@champion\"}";
    shelf.serve(model, "cancer: {model: cancer}", "").await;
    let body = x([1, 30], &(0..30u8).map(|nth| f32::from(nth) / 4.0).collect::<Vec<f32>>());
    let score = async || {
        let answer = shelf.client.post("/v2/models/cancer/infer", &body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        (output(&answer.json(), "predict")["data"][0].as_f64().expect("a score"), answer.request_id())
    };
    let (of_first, id) = score().await;
    assert_eq!(event(&shelf.gateway.admin(), &id).await["model_version"], 1);

    let (is_over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (client, body) = (shelf.client.clone(), body.clone());
            let (is_over, calls) = (Arc::clone(&is_over), Arc::clone(&calls));
            tokio::spawn(async move {
                let mut scores = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let answer = client.post("/v2/models/cancer/infer", &body).await;
                    assert_eq!(answer.status(), 200, "{}", answer.text());
                    scores.push(output(&answer.json(), "predict")["data"][0].as_f64().expect("a score"));
                    calls.fetch_add(1, Ordering::Relaxed);
                }
                scores
            })
        })
        .collect();
    let more_calls = async || {
        let before = calls.load(Ordering::Relaxed);
        eventually("calls", async || (calls.load(Ordering::Relaxed) > before + 20).then_some(())).await;
    };
    more_calls().await;
    shelf.alias("cancer", "champion", 2).await;
    shelf.serves("cancer", 2).await;
    more_calls().await;
    let (of_second, id) = score().await;
    assert!((of_first - of_second).abs() > 1e-9, "they are two models: {of_first}");
    assert_eq!(event(&shelf.gateway.admin(), &id).await["model_version"], 2);
    // A version that is none: the one before goes on, and it is said.
    shelf.alias("cancer", "champion", 3).await;
    let refused = eventually("the refusal", async || {
        let ready = shelf.gateway.client().get("/readyz").await.json();
        Some(ready["models"]["cancer"].clone()).filter(|model| model["refused"]["version"] == 3)
    })
    .await;
    assert_eq!(refused["version"], 2, "{refused}");
    more_calls().await;
    shelf.alias("cancer", "champion", 1).await;
    shelf.serves("cancer", 1).await;
    is_over.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    for caller in callers {
        seen.extend(caller.await.expect("no call failed"));
    }
    assert!(seen.iter().all(|score| *score == of_first || *score == of_second), "half of one and half of the other");
    assert!(seen.contains(&of_first) && seen.contains(&of_second));
    assert_eq!(score().await.0, of_first);
    let meta = shelf.client.get("/v2/models/cancer").await.json();
    assert_eq!((&meta["platform"], &meta["versions"]), (&json!("tidegate_xgboost"), &json!(["1"])), "{meta}");
}
