//! Downloads: ranges, redirects, cuts.

use crate::mock::*;
use std::time::Duration;
use tidegate_core::spec::provider::ProxySpec;
use tidegate_upstream::TlsRoots;
use tidegate_upstream::fetch::{FetchFault, Fetched, Fetcher};

fn fetcher() -> Fetcher {
    let long = Duration::from_secs(10);
    Fetcher { roots: TlsRoots::system(), proxy: ProxySpec::Direct, connect: Duration::from_secs(3), idle: long }
}

async fn all(mut fetched: Fetched) -> Result<Vec<u8>, FetchFault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = fetched.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_file_is_fetched_from_an_offset_through_a_redirect() {
    let mut mock = Mock::start(|_, _, head| {
        if head.starts_with("GET /file ") {
            return answer("302 Found", "location: /blob?sig=1\r\n", "");
        }
        match header(head, "range") {
            None => answer("200 OK", "", "0123456789"),
            Some("bytes=4-") => answer("206 Partial Content", "content-range: bytes 4-9/10\r\n", "456789"),
            Some(_) => answer("416 Range Not Satisfiable", "content-range: bytes */10\r\n", ""),
        }
    })
    .await;
    let url = format!("http://{}/file", mock.name()).parse().unwrap();
    let whole = fetcher().fetch(&url, 0).await.unwrap();
    assert_eq!((whole.status, whole.offset, whole.total), (200, 0, Some(10)));
    assert_eq!(all(whole).await.unwrap(), b"0123456789");
    mock.request().await;
    assert!(mock.request().await.0.starts_with("GET /blob?sig=1 HTTP/1.1"));

    let rest = fetcher().fetch(&url, 4).await.unwrap();
    assert_eq!((rest.status, rest.offset, rest.total), (206, 4, Some(10)));
    assert_eq!(all(rest).await.unwrap(), b"456789");

    let past = fetcher().fetch(&url, 10).await.unwrap_err();
    assert!(matches!(past, FetchFault::Status { status: 416, .. }), "{past}");
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let mock = Mock::always(|| answer("301 Moved", "location: /again\r\n", "")).await;
    let url = format!("http://{}/", mock.name()).parse().unwrap();
    assert!(matches!(fetcher().fetch(&url, 0).await, Err(FetchFault::Redirects)));
    assert_eq!(mock.connected(), 6);
}

#[tokio::test]
async fn a_cut_and_a_silence_are_told_apart() {
    let mock = Mock::start(|connection, _, _| {
        let then = if connection == 0 { Then::Close } else { Then::Hang };
        Reply(vec!["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123".to_owned()], then)
    })
    .await;
    let url = format!("http://{}/", mock.name()).parse().unwrap();
    let mut impatient = fetcher();
    impatient.idle = Duration::from_millis(50);
    assert!(matches!(all(impatient.fetch(&url, 0).await.unwrap()).await, Err(FetchFault::Cut(_))));
    assert!(matches!(all(impatient.fetch(&url, 0).await.unwrap()).await, Err(FetchFault::Idle(_))));
}
