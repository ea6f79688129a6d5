//! HTTP/2, TLS and proxies.

use crate::mock::*;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tidegate_core::FaultKind;
use tidegate_core::port::backend::Backend;
use tidegate_core::spec::provider::ProxySpec;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Answers with what it was asked, in JSON; as a stream where that is asked for.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let host = head.headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or("none");
    let is_h2 = head.version == Version::HTTP_2;
    let text = format!(r#"{{"uri":"{}","host":"{host}","h2":{is_h2},"bytes":{}}}"#, head.uri, body.len());
    if head.headers.get("accept").is_some_and(|a| a == "text/event-stream") {
        let events = Full::new(Bytes::from(format!("data: {text}\n\ndata: [DONE]\n\n")));
        return Ok(Response::builder().header("content-type", "text/event-stream").body(events).unwrap());
    }
    Ok(Response::new(Full::new(Bytes::from(text))))
}

/// A server with HTTP/2, by TLS where there is an acceptor; says its port and counts its connections.
async fn h2_server(tls: Option<TlsAcceptor>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let tls = tls.clone();
            tokio::spawn(async move {
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                match tls {
                    None => server.serve_connection(TokioIo::new(socket), service_fn(echo)).await.ok(),
                    Some(tls) => match tls.accept(socket).await {
                        Ok(stream) => server.serve_connection(TokioIo::new(stream), service_fn(echo)).await.ok(),
                        Err(_) => None,
                    },
                }
            });
        }
    });
    (port, connections)
}

/// A server's TLS under a new authority, and the authority's file.
fn authority(protocols: &[&[u8]]) -> (TlsAcceptor, tempfile::TempDir, PathBuf) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "model.test".to_owned()];
    let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, ca_pem).unwrap();
    (TlsAcceptor::from(Arc::new(config)), folder, path)
}

#[tokio::test]
async fn http2_by_prior_knowledge_shares_one_connection() {
    let (port, connections) = h2_server(None).await;
    let mut spec = spec("http", &[format!("127.0.0.1:{port}")]);
    spec.http2 = true;
    let backend = build(&spec, clock());
    backend.complete(call()).await.unwrap();
    let many = (0..10).map(|_| backend.complete(call()));
    for answer in futures_util::future::join_all(many).await {
        let body = answer.unwrap().body;
        assert_eq!(
            body,
            format!(r#"{{"uri":"http://127.0.0.1:{port}/v1/chat/completions","host":"none","h2":true,"bytes":31}}"#)
        );
    }
    let mut frames = backend.stream(call()).await.unwrap().frames;
    let mut text = Vec::new();
    while let Some(item) = frames.next().await {
        text.extend_from_slice(&item.unwrap());
    }
    assert!(text.starts_with(b"data: {") && text.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    while backend.loads().any(|(_, load)| load > 0) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn tls_negotiates_http2_under_the_configured_authority_alone() {
    let (acceptor, _folder, ca) = authority(&[b"h2", b"http/1.1"]);
    let (port, connections) = h2_server(Some(acceptor)).await;
    let mut spec = spec("https", &[format!("localhost:{port}")]);
    let fault = build(&spec, clock()).complete(call()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.detail.unwrap().contains("TLS"));

    spec.ca = Some(ca);
    let backend = build(&spec, clock());
    for _ in 0..3 {
        let body = backend.complete(call()).await.unwrap().body;
        assert!(body.starts_with(format!(r#"{{"uri":"https://localhost:{port}/v1/chat"#).as_bytes()), "{body:?}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let (acceptor, _folder, ca) = authority(&[b"h2"]);
    let (port, _) = h2_server(Some(acceptor)).await;
    let mut spec = spec("https", &[format!("127.0.0.2:{port}")]);
    spec.ca = Some(ca);
    assert_eq!(build(&spec, clock()).complete(call()).await.unwrap_err().kind, FaultKind::Unreachable);
}

#[tokio::test]
async fn a_file_without_authorities_is_refused_at_build() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.pem");
    std::fs::write(&path, "nothing").unwrap();
    let mut spec = spec("https", &["localhost:1".to_owned()]);
    for path in [path, folder.path().join("missing.pem")] {
        spec.ca = Some(path.clone());
        let dice = Arc::new(tidegate_core::dice::SplitMix::seeded(1));
        let roots = tidegate_upstream::TlsRoots::system();
        let built = tidegate_upstream::OpenAiBackend::build(&"p".parse().unwrap(), &spec, clock(), dice, &roots);
        assert!(built.unwrap_err().to_string().contains(path.to_str().unwrap()));
    }
}

/// A proxy that opens tunnels to `port` whatever is asked; says its own port and what it was asked.
async fn tunnels(port: u16, answer: &'static str) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (head, _) = read_request(&mut socket, &mut Vec::new()).await.unwrap();
            tell.send(head).ok();
            socket.write_all(answer.as_bytes()).await.unwrap();
            let mut to = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut socket, &mut to).await.ok() });
        }
    });
    (own, told)
}

#[tokio::test]
async fn https_goes_through_a_proxys_tunnel() {
    let (acceptor, _folder, ca) = authority(&[b"h2"]);
    let (port, _) = h2_server(Some(acceptor)).await;
    let (proxy, mut told) = tunnels(port, "HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n").await;
    let mut spec = spec("https", &["model.test:8443".to_owned()]);
    spec.ca = Some(ca);
    spec.proxy = ProxySpec::Environment {
        https: Some(format!("http://user:pass@127.0.0.1:{proxy}").parse().unwrap()),
        http: None,
        except: vec!["other.test".to_owned()],
    };
    let body = build(&spec, clock()).complete(call()).await.unwrap().body;
    assert!(body.starts_with(br#"{"uri":"https://model.test:8443/v1/chat/completions""#), "{body:?}");
    let head = told.recv().await.unwrap();
    assert!(head.starts_with("CONNECT model.test:8443 HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "proxy-authorization"), Some("Basic dXNlcjpwYXNz"));
    assert_eq!(header(&head, "authorization"), None, "the key is for the provider alone");

    let (proxy, _told) = tunnels(port, "HTTP/1.1 407 Who are you\r\n\r\n").await;
    spec.proxy = ProxySpec::Through(format!("http://127.0.0.1:{proxy}").parse().unwrap());
    let fault = build(&spec, clock()).complete(call()).await.unwrap_err();
    assert!(fault.kind == FaultKind::Unreachable && fault.detail.unwrap().contains("407"));
}

#[tokio::test]
async fn http_goes_through_a_proxy_in_absolute_form() {
    let mut proxy = Mock::always(|| json("200 OK", "{}")).await;
    let mut spec = spec("http", &["model.test:8000".to_owned()]);
    spec.proxy = ProxySpec::Through(format!("http://u:p@127.0.0.1:{}", proxy.port).parse().unwrap());
    build(&spec, clock()).complete(call()).await.unwrap();
    let (head, _) = proxy.request().await;
    assert!(head.starts_with("POST http://model.test:8000/v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "host"), Some("model.test:8000"));
    assert_eq!(header(&head, "proxy-authorization"), Some("Basic dTpw"));
}
