//! A bucket passes the cases of every artifact store, on a server that speaks S3 and is the test's own
//! (`tests/conformance/install s3`). Where that is not installed, the test says that it is left out.

use super::*;
use crate::blobs::suite;
use futures_util::FutureExt as _;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use tidegate_core::Secret;
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::outbound::Reach;
use tidegate_core::spec::S3Key;

/// A server; it ends with the test.
struct Server {
    process: Child,
    endpoint: Uri,
}

impl Server {
    /// Starts one; `None` where it is not installed, which is a failure where everything has to be.
    fn start() -> Option<Self> {
        let home = std::env::var("HOME").unwrap_or_default();
        let cache = std::env::var("TIDEGATE_CACHE").unwrap_or_else(|_| format!("{home}/.cache/tidegate"));
        let python = PathBuf::from(cache).join("clients/s3-venv/bin/python");
        if !python.exists() {
            assert!(
                std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                "no server of S3: run tests/conformance/install s3"
            );
            eprintln!("LEFT OUT: there is no server of S3; tests/conformance/install s3 installs one");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance/s3/serve.py");
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let endpoint = format!("http://127.0.0.1:{}", port.trim()).parse().unwrap();
        Some(Self { process, endpoint })
    }

    /// A bucket below `prefix`, with a cache in `folder`.
    fn blobs(&self, bucket: &str, prefix: &str, folder: &std::path::Path) -> S3Blobs {
        let spec = S3Spec {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Some(self.endpoint.clone()),
            region: Some("us-east-1".to_owned()),
            key: Some(S3Key { id: Secret::new("id"), secret: Secret::new("secret") }),
            cache: folder.to_owned(),
        };
        S3Blobs::open(&spec, Arc::new(Plain), Arc::new(SystemClock), Arc::new(SplitMix::seeded(7))).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Requests without TLS, each on its own connection.
#[derive(Debug)]
struct Plain;

async fn exchange(request: Request<Bytes>) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut head, body) = request.into_parts();
    let authority = head.uri.authority().unwrap().clone();
    let connection = tokio::net::TcpStream::connect(authority.as_str()).await?;
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    tokio::spawn(driver);
    head.uri = head.uri.path_and_query().unwrap().clone().into();
    head.headers.insert(http::header::HOST, authority.as_str().parse()?);
    let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = answer.into_parts();
    let body = http_body_util::BodyExt::collect(body).await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

impl Outbound for Plain {
    fn send(&self, request: Request<Bytes>, _: Reach) -> BoxFuture<'_, Result<Response<Bytes>, Fault>> {
        exchange(request)
            .map(|answer| answer.map_err(|e| Fault::new(FaultKind::Unreachable, "unreachable").because(e)))
            .boxed()
    }
}

async fn keys(blobs: &S3Blobs) -> Vec<String> {
    let keys: Vec<_> = blobs.store.list(Some(&blobs.prefix)).try_collect().await.unwrap();
    keys.into_iter().map(|object| object.location.to_string()).collect()
}

#[tokio::test]
async fn a_bucket_is_an_artifact_store() {
    let Some(server) = Server::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    assert!(server.blobs("absent", "", folder.path()).probe().await.is_err());
    let bucket = format!("{}b", server.endpoint);
    let made = exchange(Request::put(bucket + "ucket").body(Bytes::new()).unwrap()).await.unwrap();
    assert_eq!(made.status(), 200);
    let blobs = |prefix: &str| server.blobs("bucket", prefix, folder.path());
    blobs("").probe().await.unwrap();
    suite::files_come_back(&blobs("a")).await;
    suite::long_files_come_back(&blobs("a/b")).await;
    suite::what_cannot_be_a_file_leaves_nothing(&blobs("c")).await;
    suite::a_file_is_had_on_this_machine(&blobs("d")).await;
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    sweeping(&blobs("e")).await;
    damage(&blobs("f"), folder.path()).await;
    // Last, below no prefix at all: the others' keys are not among its paths.
    suite::folders_are_listed_and_removed(&blobs("")).await;
}

/// A sweep takes objects without a path once they are old, and copies of this machine stay while they are young.
async fn sweeping(blobs: &S3Blobs) {
    for at in ["keep", "replaced", "deleted"] {
        blobs.put(&suite::path(at), suite::content(&["text of ", at]), 100).await.unwrap();
    }
    let local = blobs.local(&suite::path("deleted")).await.unwrap();
    blobs.put(&suite::path("replaced"), suite::content(&["new"]), 100).await.unwrap();
    blobs.delete(&suite::path("deleted")).await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 0, "they are young");
    assert_eq!(sweep::sweep_older(blobs, Duration::ZERO).await.unwrap(), 2);
    assert_eq!(keys(blobs).await.len(), 4);
    assert_eq!(suite::read(blobs, "keep", None).await.unwrap(), "text of keep");
    assert_eq!(suite::read(blobs, "replaced", None).await.unwrap(), "new");
    assert!(local.exists());
}

/// What lies in the bucket is not believed: other bytes than were written never become a file of this machine.
async fn damage(blobs: &S3Blobs, folder: &std::path::Path) {
    blobs.put(&suite::path("m"), suite::content(&["what was written"]), 100).await.unwrap();
    let (_, object, _) = blobs.follow(&suite::path("m")).await.unwrap();
    blobs.store.put(&object, "what is a forgery".into()).await.unwrap();
    let fault = blobs.local(&suite::path("m")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Internal, "{fault}");
    assert!(!folder.join(tidegate_core::digest::Digest::of(b"what was written").to_string()).exists());
    assert_eq!(std::fs::read_dir(folder.join("tmp")).unwrap().count(), 0);
}
