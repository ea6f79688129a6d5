//! The configuration changes while calls are served: whole or not at all, and nobody notices but by what it says.

use crate::harness::events::Counts;
use crate::harness::upstream::{Act, Step, chunk, done, opening, piece};
use crate::harness::{Stage, chat, chat_stream, eventually};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Semaphore;

fn with_route(stage: &Stage, name: &str) -> String {
    stage
        .home
        .read("config.yaml")
        .replace("routes: {mock: {model: up}}", &format!("routes: {{mock: {{model: up}}, {name}: {{model: up}}}}"))
}

#[tokio::test]
async fn a_changed_file_is_in_force_soon() {
    let stage = Stage::new().await;
    for (name, careful) in [("second", true), ("third", false)] {
        let original = stage.home.read("config.yaml");
        let text = with_route(&stage, name);
        if careful {
            stage.home.replace("config.yaml", &text);
        } else {
            stage.home.write("config.yaml", &text);
        }
        eventually("the new route", async || stage.client.models().await.contains(&name.to_owned()).then_some(()))
            .await;
        assert_eq!(stage.client.chat(&chat(name)).await.status(), 200);
        stage.home.replace("config.yaml", &original);
        eventually("the old configuration", async || (stage.client.models().await == ["mock"]).then_some(())).await;
    }
}

#[tokio::test]
async fn a_hangup_reads_it_again() {
    let stage = Stage::new().await;
    stage.gateway.signal("HUP");
    eventually("the reload", async || {
        (Counts::read(&stage.admin).await.sum("tidegate_config_reloads_total") >= 1.0).then_some(())
    })
    .await;
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
}

#[tokio::test]
async fn a_faulty_configuration_is_told_and_the_good_one_stays() {
    let stage = Stage::new().await;
    let before = stage.client.get("/readyz").await.json()["config"].clone();
    let text = stage
        .home
        .read("config.yaml")
        .replace("routes: {mock: {model: up}}", "routes: {mock: {modle: up}, other: {model: nought}}");
    stage.home.replace("config.yaml", &text);
    let answer = stage.admin.post("/admin/v1/reload", &json!({})).await;
    let error = answer.error();
    assert_eq!((answer.status(), &error["code"]), (422, &json!("invalid_configuration")));
    let says = error["message"].as_str().unwrap();
    assert!(says.contains("modle") && says.contains("nought"), "both faults at once: {says}");
    assert_eq!(stage.client.models().await, ["mock"]);
    assert_eq!(stage.client.get("/readyz").await.json()["config"], before);
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
}

#[tokio::test]
async fn a_running_stream_ends_under_the_configuration_it_began_with() {
    let stage = Stage::new().await;
    let hold = Arc::new(Semaphore::new(0));
    stage.upstream.then(Act::Stream(vec![
        opening(),
        Step::Hold(Arc::clone(&hold)),
        piece("late"),
        chunk(&json!({}), Some("stop")),
        done(),
    ]));
    let mut stream = stage.client.stream(&chat_stream("mock")).await;
    let id = stream.request_id();
    stream.event().await.unwrap();
    let old = stage.client.get("/readyz").await.json()["config"].clone();
    // The route itself goes away.
    stage.home.replace("config.yaml", &stage.home.read("config.yaml").replace("routes: {mock:", "routes: {renamed:"));
    assert_eq!(stage.admin.post("/admin/v1/reload", &json!({})).await.status(), 200);
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 404);
    hold.add_permits(1);
    assert_eq!(stream.events().await.last().map(String::as_str), Some("[DONE]"));
    let record = crate::harness::events::event(&stage.admin, &id).await;
    assert_eq!((&record["config"], &record["outcome"]), (&old, &json!("ok")));
    assert_ne!(stage.client.get("/readyz").await.json()["config"], old);
}

#[tokio::test]
async fn what_needs_a_restart_is_said() {
    let stage = Stage::new().await;
    let text = stage.home.read("config.yaml").replace("\"file:events\"", "\"file:elsewhere\"");
    stage.home.replace("config.yaml", &text);
    let answer = stage.admin.post("/admin/v1/reload", &json!({})).await;
    assert_eq!(
        (answer.status(), answer.json()["needs_restart"].clone()),
        (200, json!(["store.events"])),
        "{}",
        answer.text()
    );
}

/// How many reloads; `./verify full` asks for a thousand.
fn reloads() -> usize {
    std::env::var("TIDEGATE_RELOADS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_cost_no_call() {
    let stage = Stage::new().await;
    let (is_over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let (client, is_over, served) = (stage.client.clone(), Arc::clone(&is_over), Arc::clone(&served));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    if caller % 2 == 0 {
                        let answer = client.chat(&chat("mock")).await;
                        assert_eq!(answer.status(), 200, "{}", answer.text());
                    } else {
                        let events = client.stream(&chat_stream("mock")).await.events().await;
                        assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
                    }
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let original = stage.home.read("config.yaml");
    let (mut taken, mut refused) = (0, 0);
    for i in 0..reloads() {
        let text = original.replace(
            "routes: {mock: {model: up}}",
            &format!("routes: {{mock: {{model: up}}, extra-{i}: {{model: up}}}}"),
        );
        match i % 10 {
            // Torn: half of a file, as a reader sees it while another writes.
            3 => stage.home.write("config.yaml", &text[..text.len() * (i % 7 + 1) / 9]),
            7 => stage.home.replace("config.yaml", &text.replace("model: up", "model: nought")),
            _ => stage.home.replace("config.yaml", &text),
        }
        match stage.admin.post("/admin/v1/reload", &json!({})).await.status() {
            200 => taken += 1,
            422 => refused += 1,
            other => panic!("a reload answered {other}"),
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no call failed");
    }
    assert_eq!(
        (taken, refused),
        (reloads() - refused, reloads() / 5),
        "exactly the torn and the wrong ones are refused"
    );
    assert!(served.load(Ordering::Relaxed) > reloads() / 10, "there was no load");
    println!(
        "figure: {} reloads, {refused} of them refused, under {} calls: none failed",
        reloads(),
        served.load(Ordering::Relaxed)
    );
}
