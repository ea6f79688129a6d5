//! HTTP/1 without indulgence: what smuggles, floods or dawdles is refused, and what is legal is served.

use crate::harness::{Stage, chat};

/// Sends bytes on a connection of their own; the status of the answer, or none where it was closed.
async fn status_of(stage: &Stage, bytes: &[u8]) -> Option<u16> {
    let mut wire = stage.client.connect().await;
    wire.write(bytes).await;
    crate::harness::soon("an answer or the end", wire.head()).await.map(|head| head.status)
}

#[tokio::test]
async fn heads_that_could_mean_two_things_are_refused() {
    let stage = Stage::new().await;
    let body = chat("mock").to_string();
    let key = format!(
        "authorization: {}\r\n",
        String::from_utf8(stage.client.request("GET", "/", &[], b""))
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix("authorization: "))
            .unwrap()
            .to_owned()
    );
    let post = |more: &str, body: &str| {
        format!("POST /v1/chat/completions HTTP/1.1\r\n{key}content-type: application/json\r\n{more}\r\n{body}")
            .into_bytes()
    };
    let length = format!("content-length: {}\r\n", body.len());
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(status_of(&stage, &post(&format!("host: a\r\n{length}"), &body)).await, Some(200));
    assert_eq!(status_of(&stage, &post("host: a\r\ntransfer-encoding: chunked\r\n", &chunked)).await, Some(200));
    for (what, more, body) in [
        ("no Host", length.clone(), &body),
        ("two Hosts", format!("host: a\r\nhost: b\r\n{length}"), &body),
        ("an odd Host", format!("host: a b/c\r\n{length}"), &body),
        ("two lengths", format!("host: a\r\n{length}content-length: 3\r\n"), &body),
        ("a signed length", "host: a\r\ncontent-length: +5\r\n".to_owned(), &body),
        ("an unknown coding", "host: a\r\ntransfer-encoding: x, chunked\r\n".to_owned(), &chunked),
        ("chunked twice", "host: a\r\ntransfer-encoding: chunked, chunked\r\n".to_owned(), &chunked),
        ("an underscored length", format!("host: a\r\n{length}content_length: 3\r\n"), &body),
    ] {
        let status = status_of(&stage, &post(&more, body)).await;
        assert!(matches!(status, None | Some(400 | 501)), "{what}: {status:?}");
    }
    assert_eq!(stage.upstream.count(), 2);
}

#[tokio::test]
async fn a_length_beside_chunks_counts_for_nothing_and_ends_the_connection() {
    let stage = Stage::new().await;
    let body = chat("mock").to_string();
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let more = [("transfer-encoding", "chunked"), ("content-length", "3")];
    let request = stage.client.request("POST", "/v1/chat/completions", &more, chunked.as_bytes());
    let mut wire = stage.client.connect().await;
    // What a request behind it would be, if the length had counted.
    wire.write(&[request, b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()].concat()).await;
    let told = String::from_utf8(crate::harness::soon("the end of the connection", wire.rest()).await).unwrap();
    assert_eq!(told.matches("HTTP/1.1 ").count(), 1, "{told}");
    assert!(stage.upstream.count() <= 1);
    if let Some(seen) = stage.upstream.seen().first() {
        assert_eq!(seen.json()["model"], crate::harness::UPSTREAM_MODEL);
    }
}

#[tokio::test]
async fn request_lines_of_proxies_are_refused() {
    let stage = Stage::new().await;
    for line in [
        "CONNECT a:443 HTTP/1.1",
        "TRACE /v1/models HTTP/1.1",
        "GET http://evil/v1/models HTTP/1.1",
        "GET  /v1/models HTTP/1.1",
        "GET /v1/models HTTP/1.9",
        "GET /v1/models",
    ] {
        let status = status_of(&stage, format!("{line}\r\nhost: a\r\n\r\n").as_bytes()).await;
        assert!(matches!(status, None | Some(400 | 401 | 405 | 421 | 501 | 505)), "{line}: {status:?}");
    }
}

#[tokio::test]
async fn huge_heads_are_refused() {
    let stage = Stage::new().await;
    let many: String = (0..200).map(|i| format!("x-{i}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(40_000));
    let vast = format!("x: {}\r\n", "y".repeat(400_000));
    for more in [many, long, vast] {
        let status = status_of(&stage, format!("GET /v1/models HTTP/1.1\r\nhost: a\r\n{more}\r\n").as_bytes()).await;
        assert!(matches!(status, None | Some(400 | 431)), "{status:?}");
    }
    let target = format!("GET /v1/models?{} HTTP/1.1\r\nhost: a\r\n\r\n", "y".repeat(100_000));
    assert!(matches!(status_of(&stage, target.as_bytes()).await, None | Some(400 | 414 | 431)));
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
}

#[tokio::test]
async fn answers_come_in_the_order_of_their_requests() {
    let stage = Stage::new().await;
    let mut wire = stage.client.connect().await;
    let both = [stage.client.request("GET", "/v1/models", &[], b""), stage.client.request("GET", "/nowhere", &[], b"")]
        .concat();
    wire.write(&both).await;
    for wanted in [200, 404] {
        let head = wire.head().await.expect("an answer");
        assert_eq!(head.status, wanted);
        let mut framing = head.framing();
        while let crate::harness::wire::Part::Data(_) = wire.part(&mut framing).await {}
    }
}

#[tokio::test]
async fn a_body_that_is_waited_for_is_asked_for() {
    let stage = Stage::new().await;
    let body = chat("mock").to_string();
    let request = stage.client.request(
        "POST",
        "/v1/chat/completions",
        &[("expect", "100-continue"), ("content-length", &body.len().to_string())],
        b"",
    );
    let mut wire = stage.client.connect().await;
    wire.write(&request).await;
    assert_eq!(wire.head().await.map(|head| head.status), Some(100));
    wire.write(body.as_bytes()).await;
    assert_eq!(wire.head().await.map(|head| head.status), Some(200));
}
