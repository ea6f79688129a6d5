//! Many callers at once, some of whom leave: every call is accounted for, exactly.

use crate::harness::events::settled;
use crate::harness::upstream::stream;
use crate::harness::{Stage, chat_stream};

/// Calls in all, by 64 callers.
fn calls() -> usize {
    std::env::var("TIDEGATE_LOAD_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(3200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_and_drops_sum_to_the_calls() {
    let stage = Stage::new().await;
    let pieces: Vec<&str> = (0..16).map(|_| "token ").collect();
    stage.upstream.always(stream(&pieces, true));
    let each = calls() / 64;
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let client = stage.client.clone();
            tokio::spawn(async move {
                let mut left = 0;
                for call in 0..each {
                    let mut stream = client.stream(&chat_stream("mock")).await;
                    assert_eq!(stream.status(), 200);
                    if (caller + call) % 10 == 0 {
                        // Leaves in the middle of the stream.
                        stream.event().await.expect("it begins");
                        left += 1;
                        continue;
                    }
                    let events = stream.events().await;
                    assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
                }
                left
            })
        })
        .collect();
    let mut left = 0;
    for caller in callers {
        left += caller.await.expect("no caller failed");
    }
    let calls = (each * 64) as f64;
    let counts = settled(&stage.admin, calls).await;
    let (kept, dropped) = (counts.sum("tidegate_events_total"), counts.sum("tidegate_events_dropped_total"));
    assert_eq!(counts.sum("tidegate_calls_total"), calls);
    assert_eq!(kept + dropped, calls, "{kept} kept and {dropped} dropped of {calls}");
    println!("figure: {calls} calls by 64 callers, {left} of them left: {kept} kept, {dropped} dropped");
    // What the metrics say is what lies in the store.
    let ran = stage.home.run(&["events", "tail", "-n", "1000000", "--json", "--config", "config.yaml"]);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    let mut ids: Vec<String> = ran
        .out()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    let lines = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((lines as f64, ids.len()), (kept, lines), "each call leaves one record");
}
