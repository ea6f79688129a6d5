//! Calls that are answered as a stream.

use crate::mock::*;
use bytes::Bytes;
use futures_util::StreamExt;
use std::time::Duration;
use tidegate_core::port::backend::{Backend, Frames};
use tidegate_core::{Fault, FaultKind};
use tidegate_upstream::OpenAiBackend;

async fn all(frames: Frames) -> (Vec<Bytes>, Option<Fault>) {
    let mut items = Vec::new();
    let mut frames = frames.frames;
    while let Some(item) = frames.next().await {
        match item {
            Ok(bytes) => items.push(bytes),
            Err(fault) => {
                assert!(frames.next().await.is_none(), "nothing follows a fault");
                return (items, Some(fault));
            }
        }
    }
    (items, None)
}

/// Waits until no call is under way: the end of a body may come after `[DONE]`.
async fn idle(backend: &OpenAiBackend) {
    while backend.loads().any(|(_, load)| load > 0) {
        tokio::task::yield_now().await;
    }
}

fn is_whole(item: &Bytes) -> bool {
    item.ends_with(b"\n\n") || item.ends_with(b"\r\n\r\n") || item.ends_with(b"\r\r")
}

#[tokio::test]
async fn events_come_whole_and_unchanged_and_the_connection_is_kept() {
    let pieces = [
        "data: {\"a\":1}\n\nda",
        "ta: {\"b\":2}\r\n\r",
        "\ndata: {\"c\":3}\n\ndata: {\"d\":4}\n",
        "\ndata: [DONE]\n\n",
    ];
    let mut mock = Mock::always(move || stream(&pieces)).await;
    let backend = backend(&[&mock]);
    for _ in 0..3 {
        let frames = backend.stream(call()).await.unwrap();
        assert_eq!(frames.endpoint.as_ref().unwrap().as_str(), mock.name());
        let (items, fault) = all(frames).await;
        assert!(fault.is_none() && items.iter().all(is_whole), "{items:?} {fault:?}");
        assert_eq!(items.concat(), pieces.concat().as_bytes());
        assert_eq!(header(&mock.request().await.0, "accept"), Some("text/event-stream"));
        idle(&backend).await;
    }
    assert_eq!(mock.connected(), 1);
}

#[tokio::test]
async fn an_error_as_first_event_is_a_fault_before_the_stream() {
    let mock = Mock::always(|| {
        stream(&[": ping\n\n", "data: {\"error\":{\"message\":\"full\",\"code\":429}}\n\n", "data: [DONE]\n\n"])
    })
    .await;
    let fault = backend(&[&mock]).stream(call()).await.unwrap_err();
    assert_eq!((fault.kind, &*fault.says), (FaultKind::UpstreamRateLimited, "full"));

    let mock = Mock::always(|| json("200 OK", r#"{"error":{"message":"no such thing"}}"#)).await;
    let fault = backend(&[&mock]).stream(call()).await.unwrap_err();
    assert_eq!((fault.kind, &*fault.says), (FaultKind::UpstreamFailed, "no such thing"));

    let mock = Mock::always(|| json("200 OK", r#"{"choices":[]}"#)).await;
    let fault = backend(&[&mock]).stream(call()).await.unwrap_err();
    assert!(fault.kind == FaultKind::UpstreamFailed && fault.says.contains("without a stream"), "{fault}");
}

#[tokio::test]
async fn heartbeats_before_the_first_event_are_kept() {
    let pieces = [": a\n\n", ": b\n\n", "data: {}\n\ndata: [DONE]\n\n"];
    let mock = Mock::always(move || stream(&pieces)).await;
    let (items, fault) = all(backend(&[&mock]).stream(call()).await.unwrap()).await;
    assert!(fault.is_none());
    assert_eq!(items.concat(), pieces.concat().as_bytes());
}

#[tokio::test]
async fn an_end_without_done_is_a_cut() {
    let mock = Mock::start(|connection, _, _| match connection {
        0 => stream(&["data: {\"a\":1}\n\n", "data: {\"b\""]),
        _ => open_stream(&["data: {\"a\":1}\n\n"], Then::Close),
    })
    .await;
    for _ in 0..2 {
        let (items, fault) = all(backend(&[&mock]).stream(call()).await.unwrap()).await;
        assert_eq!(items.concat(), b"data: {\"a\":1}\n\n");
        let fault = fault.unwrap();
        assert_eq!(fault.kind, FaultKind::StreamCut);
        assert_eq!(fault.endpoint.unwrap().as_str(), mock.name());
    }
}

#[tokio::test]
async fn an_end_before_the_first_event_can_be_tried_again() {
    for reply in [|| stream(&[]), || stream(&[": ping\n\n"]), || open_stream(&["data: {"], Then::Close)] {
        let mock = Mock::always(reply).await;
        let fault = backend(&[&mock]).stream(call()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::UpstreamFailed);
    }
}

#[tokio::test]
async fn each_deadline_cuts_its_wait() {
    let short = Duration::from_millis(40);
    let heartbeats = Mock::always(|| open_stream(&[": ping\n\n"], Then::Hang)).await;
    let mut late = call();
    late.deadlines.first_token = short;
    let fault = backend(&[&heartbeats]).stream(late).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::UpstreamTimeout);

    for field in ["idle", "total"] {
        let mut mock = Mock::always(|| open_stream(&["data: {}\n\n"], Then::Hang)).await;
        let mut slow = call();
        if field == "idle" {
            slow.deadlines.idle = short;
        } else {
            slow.deadlines.total = short;
        }
        let (items, fault) = all(backend(&[&mock]).stream(slow).await.unwrap()).await;
        let fault = fault.unwrap();
        assert!(fault.kind == FaultKind::StreamCut && fault.says.contains(field) && items.len() == 1, "{fault}");
        assert_eq!(mock.closed().await, 0);
    }
}

#[tokio::test]
async fn dropping_the_frames_closes_the_connection_and_frees_the_seat() {
    let mut mock = Mock::always(|| open_stream(&["data: {}\n\n"], Then::Hang)).await;
    let backend = backend(&[&mock]);
    let mut frames = backend.stream(call()).await.unwrap().frames;
    frames.next().await.unwrap().unwrap();
    assert_eq!(backend.loads().map(|(_, load)| load).sum::<usize>(), 1);
    drop(frames);
    assert_eq!(mock.closed().await, 0);
    assert_eq!(backend.loads().map(|(_, load)| load).sum::<usize>(), 0);
}

#[tokio::test]
async fn what_follows_done_is_swallowed_and_the_connection_is_kept_when_its_end_comes_late() {
    let mock = Mock::start(|_, _, _| stream(&["data: {}\n\n", "data: [DONE]\n\n", ": bye\n\n", ": bye\n\n"])).await;
    let backend = backend(&[&mock]);
    for _ in 0..2 {
        let (items, fault) = all(backend.stream(call()).await.unwrap()).await;
        assert!(fault.is_none());
        assert!(items.concat().starts_with(b"data: {}\n\ndata: [DONE]\n\n"));
        idle(&backend).await;
    }
    assert_eq!(mock.connected(), 1);
}
