//! Calls that are answered as one body.

use crate::mock::*;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::backend::Backend;
use tidegate_core::spec::provider::AuthSpec;
use tidegate_core::{Api, FaultKind, Secret};

const OK: &str = r#"{"id":"x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

#[tokio::test]
async fn calls_share_one_connection_and_say_what_they_must() {
    let mut mock = Mock::always(|| json("200 OK", OK)).await;
    let mut spec = spec("http", &[mock.name()]);
    spec.headers.push(("x-org".parse().unwrap(), "acme".parse().unwrap()));
    spec.query.push(("api-version".to_owned(), "2024 10".to_owned()));
    let backend = build(&spec, clock());
    for _ in 0..3 {
        let mut call = call();
        Arc::make_mut(&mut call.headers).insert("x-org", "evil".parse().unwrap());
        Arc::make_mut(&mut call.headers).insert("authorization", "Bearer of-the-caller".parse().unwrap());
        let answer = backend.complete(call).await.unwrap();
        assert_eq!(answer.body, OK);
        let usage = answer.usage.unwrap();
        assert_eq!((usage.prompt, usage.completion), (3, 2));
        assert_eq!(answer.endpoint.unwrap().as_str(), mock.name());
        let (head, body) = mock.request().await;
        assert!(head.starts_with("POST /v1/chat/completions?api-version=2024%2010 HTTP/1.1\r\n"), "{head}");
        let want = [
            ("host", mock.name()),
            ("authorization", "Bearer sk-up".into()),
            ("content-type", "application/json".into()),
            ("accept", "application/json".into()),
            ("x-org", "acme".into()),
            ("traceparent", "00-1-2-01".into()),
        ];
        for (name, value) in want {
            assert_eq!(header(&head, name), Some(&*value), "{name} in {head}");
            assert_eq!(head.to_ascii_lowercase().matches(&format!("\r\n{name}:")).count(), 1, "{name} in {head}");
        }
        assert_eq!(body, r#"{"model":"gpt-x","messages":[]}"#);
    }
    assert_eq!(mock.connected(), 1);
    assert_eq!(backend.loads().map(|(_, load)| load).sum::<usize>(), 0);
}

#[tokio::test]
async fn each_interface_has_its_path_and_a_header_may_carry_the_key() {
    let mut mock = Mock::always(|| json("200 OK", "{}")).await;
    let mut spec = spec("http", &[mock.name()]);
    spec.auth = Some(AuthSpec::Header("api-key".parse().unwrap(), Secret::new("k")));
    let backend = build(&spec, clock());
    for api in Api::OPENAI {
        let mut call = call();
        call.api = api;
        backend.complete(call).await.unwrap();
        let (head, _) = mock.request().await;
        assert!(head.starts_with(&format!("POST /v1{} ", api.path())), "{head}");
        assert_eq!((header(&head, "api-key"), header(&head, "authorization")), (Some("k"), None));
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_not_the_callers_trouble() {
    // The server takes the second request of the first connection and closes without a word.
    let mock = Mock::start(|connection, nth, _| match (connection, nth) {
        (0, 1) => Reply(Vec::new(), Then::Close),
        _ => json("200 OK", OK),
    })
    .await;
    let backend = backend(&[&mock]);
    backend.complete(call()).await.unwrap();
    backend.complete(call()).await.unwrap();
    assert_eq!(mock.connected(), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let mock = Mock::start(|_, _, _| {
        let Reply(pieces, _) = json("200 OK", OK);
        Reply(pieces, Then::Close)
    })
    .await;
    let backend = backend(&[&mock]);
    for _ in 0..20 {
        backend.complete(call()).await.unwrap();
    }
    assert_eq!(mock.connected(), 20);
}

#[tokio::test]
async fn a_fresh_connection_that_ends_without_an_answer_is_a_fault_and_not_repeated() {
    let mock = Mock::always(|| Reply(Vec::new(), Then::Close)).await;
    let fault = backend(&[&mock]).complete(call()).await.unwrap_err();
    assert_eq!((fault.kind, mock.connected()), (FaultKind::UpstreamFailed, 1));
    assert_eq!(fault.endpoint.unwrap().as_str(), mock.name());
}

#[tokio::test]
async fn refusals_keep_what_the_provider_says() {
    let error = r#"{"error":{"message":"top_p is 7","param":"top_p","code":"bad"}}"#;
    let mock = Mock::always(move || answer("429 Slow", "retry-after-ms: 1500\r\n", error)).await;
    let fault = backend(&[&mock]).complete(call()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::UpstreamRateLimited);
    assert_eq!(fault.retry_after, Some(Duration::from_millis(1_500)));

    let mock = Mock::always(move || json("400 Bad Request", error)).await;
    let backend = backend(&[&mock]);
    for _ in 0..2 {
        let fault = backend.stream(call()).await.unwrap_err();
        assert_eq!((fault.kind, &*fault.says), (FaultKind::UpstreamRefused, "top_p is 7"));
        assert_eq!((fault.param.as_deref(), fault.upstream_status), (Some("top_p"), Some(400)));
        assert_eq!(fault.endpoint.unwrap().as_str(), mock.name());
    }
    assert_eq!(mock.connected(), 1, "a refusal leaves the connection as good as it was");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let mock = Mock::always(|| answer("307 Elsewhere", "location: http://127.0.0.1:1/\r\n", "")).await;
    let fault = backend(&[&mock]).complete(call()).await.unwrap_err();
    assert_eq!((fault.kind, fault.upstream_status), (FaultKind::UpstreamMisconfigured, Some(307)));
    assert_eq!(mock.connected(), 1);
}

#[tokio::test]
async fn a_success_without_json_is_a_fault() {
    for body in ["<html>hello</html>", "", "[1]", "null"] {
        let mock = Mock::always(move || answer("200 OK", "", body)).await;
        let fault = backend(&[&mock]).complete(call()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::UpstreamFailed, "{body}");
    }
}

#[tokio::test]
async fn bodies_in_pieces_are_put_together() {
    let long = format!(r#"{{"text":"{}"}}"#, "abcdefghij".repeat(30_000));
    let (chunked, sized) = (long.clone(), long.clone());
    let mock = Mock::start(move |_, nth, _| {
        let parts = chunked.as_bytes().chunks(7_001).map(|c| std::str::from_utf8(c).unwrap());
        if nth == 0 {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
            Reply([head].into_iter().chain(parts.map(chunk)).chain(["0\r\n\r\n".to_owned()]).collect(), Then::Next)
        } else {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", sized.len());
            Reply([head].into_iter().chain(parts.map(str::to_owned)).collect(), Then::Next)
        }
    })
    .await;
    let backend = backend(&[&mock]);
    for _ in 0..2 {
        assert_eq!(backend.complete(call()).await.unwrap().body, long);
    }
    assert_eq!(mock.connected(), 1);
}

#[tokio::test]
async fn a_body_cut_short_is_a_fault() {
    let mock =
        Mock::always(|| Reply(vec!["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":".to_owned()], Then::Close))
            .await;
    let fault = backend(&[&mock]).complete(call()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::UpstreamFailed);
}

#[tokio::test]
async fn an_answer_longer_than_we_hold_is_refused_by_its_length() {
    let mock =
        Mock::always(|| Reply(vec!["HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{".to_owned()], Then::Hang));
    let fault = backend(&[&mock.await]).complete(call()).await.unwrap_err();
    assert!(fault.kind == FaultKind::UpstreamFailed && fault.says.contains("longer than"), "{fault}");
}

#[tokio::test]
async fn each_deadline_ends_its_wait() {
    let short = Duration::from_millis(40);
    let silent = Mock::always(|| Reply(Vec::new(), Then::Hang)).await;
    let mut late = call();
    late.deadlines.first_token = short;
    let fault = backend(&[&silent]).complete(late).await.unwrap_err();
    assert!(fault.kind == FaultKind::UpstreamTimeout && fault.says.contains("first_token"), "{fault}");

    let stuck = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{";
    for field in ["idle", "total"] {
        let mut mock = Mock::always(move || Reply(vec![stuck.to_owned()], Then::Hang)).await;
        let mut slow = call();
        if field == "idle" {
            slow.deadlines.idle = short;
        } else {
            slow.deadlines.total = short;
        }
        let fault = backend(&[&mock]).complete(slow).await.unwrap_err();
        assert!(fault.kind == FaultKind::UpstreamTimeout && fault.says.contains(field), "{fault}");
        assert_eq!(mock.closed().await, 0);
    }
}

#[tokio::test]
async fn a_caller_that_leaves_closes_the_connection() {
    let mut mock = Mock::always(|| Reply(Vec::new(), Then::Hang)).await;
    let backend = backend(&[&mock]);
    let waiting = backend.complete(call());
    tokio::select! {
        biased;
        _ = waiting => panic!("no answer was sent"),
        _ = mock.request() => {}
    }
    assert_eq!(mock.closed().await, 0);
    assert_eq!(backend.loads().map(|(_, load)| load).sum::<usize>(), 0);
}
