//! Registries of containers: a strict one of the test's own, which wants the token of another server and keeps blobs at a
//! third, and Debian's `docker-registry`.

use super::eventually;
use super::server::{Asked, Said, Server};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tidegate_core::digest::Digest;

/// `USER:PASSWORD` of both.
pub(crate) const LOGIN: &str = "ann:of-the-tests";
/// The password as Apache's files have it, by bcrypt.
const HTPASSWD: &str = "ann:$2b$04$dwfwz7wtepPIObMYCFKP4ujMXjzeFhSJExVf9FyYiMJaOEu6lRmaC\n";
/// The only repository of the strict one.
pub(crate) const REPOSITORY: &str = "org/plugin";
/// The kind of a manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What lies in a registry: manifests by tag and digest, blobs by digest.
#[derive(Default)]
struct Shelf {
    manifests: BTreeMap<String, Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
}

/// The strict registry.
pub(crate) struct StrictRegistry {
    pub(crate) registry: Server,
    pub(crate) tokens: Server,
    pub(crate) cdn: Server,
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

fn empty(status: u16) -> Said {
    (status, Vec::new(), Vec::new())
}

fn header(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// The header of this login.
pub(crate) fn basic(login: &str) -> String {
    format!("Basic {}", STANDARD.encode(login))
}

impl StrictRegistry {
    pub(crate) fn start() -> Self {
        let shelf = Arc::<Mutex<Shelf>>::default();
        let tokens = Server::start(token);
        let at_cdn = Arc::clone(&shelf);
        let cdn = Server::start(move |asked| {
            // Buckets refuse a request that brings credentials of somebody else.
            if asked.header("authorization").is_some() {
                return empty(400);
            }
            let shelf = at_cdn.lock().expect("no thread panicked");
            let blob = asked.path.strip_prefix('/').and_then(|path| shelf.blobs.get(path));
            blob.map_or_else(|| empty(404), |blob| (200, Vec::new(), blob.clone()))
        });
        let (realm, blobs) = (tokens.url("/token"), cdn.url("/"));
        let registry =
            Server::start(move |asked| serve(asked, &realm, &blobs, &mut shelf.lock().expect("no thread panicked")));
        Self { registry, tokens, cdn }
    }

    /// Where this tag is.
    pub(crate) fn at(&self, tag: &str) -> String {
        format!("oci://{}/{REPOSITORY}:{tag}", self.registry.host())
    }
}

/// A token for a login, for the repository alone.
fn token(asked: &Asked) -> Said {
    if asked.header("authorization") != Some(&basic(LOGIN)) {
        return empty(401);
    }
    let of = |scope: &str| format!("/token?service=registry.tests&scope=repository:{REPOSITORY}:{scope}");
    let token =
        [("pull", "may-pull"), ("pull,push", "may-push")].into_iter().find(|(scope, _)| of(scope) == asked.path);
    match token {
        Some((_, token)) => (200, Vec::new(), json!({"token": token, "expires_in": 60}).to_string().into_bytes()),
        None => empty(403),
    }
}

fn serve(asked: &Asked, realm: &str, cdn: &str, shelf: &mut Shelf) -> Said {
    let Some(path) = asked.path.strip_prefix(&format!("/v2/{REPOSITORY}/")) else { return empty(404) };
    let (scope, tokens) = match asked.method.as_str() {
        "GET" => ("pull", &["Bearer may-pull", "Bearer may-push"][..]),
        _ => ("pull,push", &["Bearer may-push"][..]),
    };
    if !asked.header("authorization").is_some_and(|shown| tokens.contains(&shown)) {
        let wanted =
            format!("Bearer realm=\"{realm}\",service=\"registry.tests\",scope=\"repository:{REPOSITORY}:{scope}\"");
        return (401, vec![header("www-authenticate", wanted)], Vec::new());
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    match (asked.method.as_str(), path.split('/').collect::<Vec<_>>().as_slice()) {
        ("GET", ["manifests", name]) => match shelf.manifests.get(*name) {
            Some(manifest) if asked.header("accept").is_some_and(|accept| accept.contains(MANIFEST)) => {
                (200, vec![header("content-type", MANIFEST)], manifest.clone())
            }
            _ => empty(404),
        },
        ("GET", ["blobs", name]) if shelf.blobs.contains_key(*name) => {
            (307, vec![header("location", format!("{cdn}{name}"))], Vec::new())
        }
        ("POST", ["blobs", "uploads", ""]) => {
            (202, vec![header("location", format!("/v2/{REPOSITORY}/blobs/uploads/1?state=a"))], Vec::new())
        }
        ("PUT", ["blobs", "uploads", "1"]) => {
            let wanted = format!("state=a&digest={}", digest(&asked.body));
            if asked.header("content-type") != Some("application/octet-stream") || query != wanted {
                return empty(400);
            }
            shelf.blobs.insert(digest(&asked.body), asked.body.clone());
            empty(201)
        }
        ("PUT", ["manifests", name]) => put_manifest(asked, name, shelf),
        _ => empty(404),
    }
}

/// A manifest is taken whose kind is said, and that names nothing which is not there.
fn put_manifest(asked: &Asked, name: &str, shelf: &mut Shelf) -> Said {
    let Ok(manifest) = serde_json::from_slice::<Value>(&asked.body) else { return empty(400) };
    let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    let named: Vec<&Value> = layers.iter().chain([&manifest["config"]]).collect();
    let is_there = |part: &&Value| {
        let blob = part["digest"].as_str().and_then(|digest| shelf.blobs.get(digest));
        blob.is_some_and(|blob| part["size"] == json!(blob.len())) && part["mediaType"].is_string()
    };
    let is_good = asked.header("content-type") == Some(MANIFEST)
        && manifest["schemaVersion"] == json!(2)
        && manifest["mediaType"] == json!(MANIFEST)
        && named.iter().all(is_there);
    if !is_good {
        return empty(400);
    }
    shelf.manifests.insert(digest(&asked.body), asked.body.clone());
    shelf.manifests.insert(name.to_owned(), asked.body.clone());
    empty(201)
}

/// Debian's `docker-registry`, which wants [`LOGIN`]; it ends with this value.
pub(crate) struct DockerRegistry {
    process: Child,
    pub(crate) port: u16,
    _folder: TempDir,
}

impl DockerRegistry {
    /// Starts one; `None` where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let folder = TempDir::with_prefix("tidegate-registry-").expect("a temporary folder");
        // It takes an address and tells nobody which: one that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("a port").port();
        let configuration = json!({
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": folder.path().join("data")}},
            "http": {"addr": format!("127.0.0.1:{port}")},
            "auth": {"htpasswd": {"realm": "tests", "path": folder.path().join("htpasswd")}},
        });
        std::fs::write(folder.path().join("htpasswd"), HTPASSWD).expect("written");
        // JSON is YAML.
        std::fs::write(folder.path().join("config.yml"), configuration.to_string()).expect("written");
        let mut command = Command::new("docker-registry");
        command.args(["serve", "config.yml"]).current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = match command.spawn() {
            Ok(process) => process,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => panic!("docker-registry does not start: {error}"),
        };
        let server = Self { process, port, _folder: folder };
        let client = super::Client::of(([127, 0, 0, 1], port).into());
        eventually("the registry to answer", async || {
            drop(client.try_connect().await.ok()?);
            (client.get("/v2/").await.status() == 401).then_some(())
        })
        .await;
        Some(server)
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
