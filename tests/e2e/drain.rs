//! The end: told to stop, the gateway takes no new work, lets what runs end, writes its records and leaves.

use crate::harness::upstream::{Act, Step, chunk, done, opening, piece};
use crate::harness::{Stage, chat, chat_stream, eventually};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_running_stream_ends_before_the_program_does() {
    for signal in ["TERM", "INT"] {
        let mut stage = Stage::new().await;
        let hold = Arc::new(Semaphore::new(0));
        stage.upstream.then(Act::Stream(vec![
            opening(),
            Step::Hold(Arc::clone(&hold)),
            piece("the end"),
            chunk(&json!({}), Some("stop")),
            done(),
        ]));
        let mut stream = stage.client.stream(&chat_stream("mock")).await;
        let id = stream.request_id();
        stream.event().await.unwrap();
        stage.gateway.signal(signal);
        eventually("the listener to close", async || stage.client.try_connect().await.is_err().then_some(())).await;
        hold.add_permits(1);
        let events = stream.events().await;
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
        let status = stage.gateway.ended().await;
        assert_eq!(status.code(), Some(0), "{:?}", stage.gateway.log());
        // Its record was written on the way out.
        let ran = stage.home.run(&["events", "show", &id, "--config", "config.yaml"]);
        assert_eq!(ran.code(), 0, "{}", ran.err());
    }
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_program() {
    let mut stage = Stage::new().await;
    let mut idle = stage.client.connect().await;
    idle.write(&stage.client.request("GET", "/v1/models", &[], b"")).await;
    let head = idle.head().await.unwrap();
    let mut framing = head.framing();
    while let crate::harness::wire::Part::Data(_) = idle.part(&mut framing).await {}
    let unused = stage.client.connect().await;
    stage.gateway.signal("TERM");
    let began = std::time::Instant::now();
    assert_eq!(stage.gateway.ended().await.code(), Some(0));
    assert!(
        began.elapsed() < std::time::Duration::from_secs(8),
        "it took {:?} to leave idle connections",
        began.elapsed()
    );
    assert!(idle.rest().await.is_empty());
    drop(unused);
}

#[tokio::test]
async fn it_starts_again_with_its_records() {
    let mut stage = Stage::new().await;
    let id = stage.client.chat(&chat("mock")).await.request_id();
    stage.gateway.signal("TERM");
    assert_eq!(stage.gateway.ended().await.code(), Some(0));
    let again = stage.home.serve().await;
    assert_eq!(crate::harness::events::event(&again.admin(), &id).await["outcome"], "ok");
}

#[tokio::test]
async fn it_starts_fast() {
    let stage = Stage::new().await;
    let began = std::time::Instant::now();
    let again = stage.home.command(crate::harness::home::PROGRAM);
    drop(stage.gateway);
    let gateway = crate::harness::Gateway::start(again).await;
    assert_eq!(gateway.client().get("/healthz").await.status(), 200);
    println!("figure: start to the first answer took {:?} (at most 0.2 s on a free machine)", began.elapsed());
    // The budget is 0.2 s; a machine that compiles beside it is slower.
    assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
}
