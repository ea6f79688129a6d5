//! Components that are no files: fetched over https and from registries of containers, kept, pinned, signed and refused. The
//! plugin is `pii`, as it ships.

use crate::harness::home::{PROGRAM, Ran, repository};
use crate::harness::oci::{DockerRegistry, LOGIN, MANIFEST, StrictRegistry, basic};
use crate::harness::server::{Said, Server, certificate};
use crate::harness::{Client, Gateway, Home, ROUTES, Upstream, chat, home, may_be_left_out, provider};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use tidegate_core::digest::Digest;

const ADDRESS: &str = "ann.smith@example.com";

fn component() -> Vec<u8> {
    std::fs::read(repository().join("plugins/dist/pii.wasm")).expect("the plugin ships")
}

fn shipped() -> PathBuf {
    repository().join("plugins/dist/pii.wasm")
}

fn good(body: Vec<u8>) -> Said {
    (200, Vec::new(), body)
}

/// A gateway's folder, whose cache is in it and which trusts the certificate there.
struct Place {
    home: Home,
    upstream: Upstream,
    key: String,
}

impl Place {
    async fn new() -> Self {
        let (home, upstream) = (Home::new(), Upstream::start().await);
        let key = home.key(&["infer"]);
        Self { home, upstream, key }
    }

    /// A configuration whose route has the plugin as a filter, from there and with these further fields.
    fn configure(&self, at: &str, fields: &str) {
        let models = ROUTES.lines().next().unwrap_or_default();
        let text = format!(
            "{}{}{models}\nroutes: {{mock: {{model: up, filters: [{{plugin: pii, at: [request]}}]}}}}\nplugins: {{pii: {{component: \"{at}\"{fields}}}}}\n",
            home::BASE,
            provider("pool", &[&self.upstream]),
        );
        self.home.write("config.yaml", &text);
    }

    fn command(&self) -> Command {
        let mut command = self.home.command(PROGRAM);
        command.env("XDG_CACHE_HOME", self.home.path().join("cache"));
        command.env("SSL_CERT_FILE", self.home.path().join("trusted.pem"));
        command.env("COMPONENT_LOGIN", LOGIN);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(arguments).output().expect("the program runs"))
    }

    fn check(&self) -> Value {
        let ran = self.run(&["check", "config.yaml", "--format", "json"]);
        serde_json::from_str(&ran.out()).unwrap_or_else(|_| panic!("{}{}", ran.out(), ran.err()))
    }

    async fn serve(&self) -> Gateway {
        Gateway::start(self.command()).await
    }

    /// Why it is not served.
    fn refusal(&self) -> String {
        let ran = self.run(&["serve", "--config", "config.yaml"]);
        assert_ne!(ran.code(), 0, "{}", ran.err());
        ran.err()
    }

    /// Whether the plugin looks at what is asked.
    async fn is_filtered(&self, gateway: &Gateway) -> bool {
        let mut body = chat("mock");
        body["messages"][0]["content"] = json!(format!("write to {ADDRESS} today"));
        let answer = gateway.client().with_key(&self.key).chat(&body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        !self.upstream.last().json()["messages"].to_string().contains(ADDRESS)
    }
}

/// What it must digest to.
fn pin(bytes: &[u8]) -> String {
    format!(", sha256: \"{}\"", Digest::of(bytes))
}

#[tokio::test]
async fn a_component_is_fetched_once_over_https_and_then_the_network_may_be_gone() {
    let place = Place::new().await;
    let made = certificate();
    place.home.write("trusted.pem", &made.0);
    let server = Server::start_tls(&made, |asked| match asked.path.as_str() {
        "/v1/pii.wasm" => (302, vec![("location".to_owned(), "/v1/files/pii".to_owned())], Vec::new()),
        "/v1/files/pii" => good(component()),
        _ => (404, Vec::new(), Vec::new()),
    });
    let at = server.url("/v1/pii.wasm");
    place.configure(&at, &pin(&component()));
    // A check asks nobody, and says what it does not know for that.
    let found = place.check();
    assert_eq!((&found["ok"], server.asked().len()), (&json!(true), 0), "{found}");
    assert!(found["unseen"][0].as_str().is_some_and(|says| says.contains(&at)), "{found}");

    let gateway = place.serve().await;
    assert!(place.is_filtered(&gateway).await);
    let shown = gateway.admin().get("/admin/v1/plugins/pii").await.json();
    assert_eq!((&shown["component"], &shown["pinned"]), (&json!(at), &json!(true)), "{shown}");
    assert_eq!(gateway.log_of("component fetched").len(), 1);
    assert_eq!(server.asked().len(), 2);
    gateway.kill();

    drop(server);
    let found = place.check();
    assert_eq!((&found["ok"], &found["unseen"]), (&json!(true), &json!([])), "{found}");
    let gateway = place.serve().await;
    assert!(place.is_filtered(&gateway).await);
    // Another one cannot be had now: what is in force stays.
    place.configure(&at, &pin(b"another"));
    let answer = gateway.admin().post("/admin/v1/reload", &json!({})).await;
    assert!(answer.status() >= 400 && answer.text().contains("cannot be reached"), "{}", answer.text());
    assert!(place.is_filtered(&gateway).await);
    gateway.kill();

    // What was changed in the cache is as good as gone.
    let kept = place.home.path().join(format!("cache/tidegate/components/{}.wasm", Digest::of(&component())));
    std::fs::write(kept, b"something else").expect("it can be written");
    place.configure(&at, &pin(&component()));
    assert!(place.refusal().contains("cannot be reached"));
}

#[tokio::test]
async fn what_is_not_what_was_pinned_is_not_taken() {
    let place = Place::new().await;
    let made = certificate();
    place.home.write("trusted.pem", &made.0);
    let plain = Server::start(|_| good(component()));
    let open = plain.url("/pii.wasm").replace("localhost", "example.invalid");
    let large = vec![0; (4 << 20) + 1];
    let server = Server::start_tls(&made, move |asked| match asked.path.as_str() {
        "/other.wasm" => good(b"another one".to_vec()),
        "/large.wasm" => good(large.clone()),
        "/open.wasm" => (302, vec![("location".to_owned(), open.clone())], Vec::new()),
        "/secret.wasm" if asked.header("authorization") != Some("Bearer ann:of-the-tests") => {
            (401, Vec::new(), Vec::new())
        }
        "/secret.wasm" => good(component()),
        _ => (404, Vec::new(), Vec::new()),
    });
    for (path, why) in [
        ("/other.wasm", "is pinned"),
        ("/large.wasm", "is larger than"),
        ("/open.wasm", "could be overheard"),
        ("/secret.wasm", "see `auth`"),
        ("/none.wasm", "status 404"),
    ] {
        place.configure(&server.url(path), &pin(&component()));
        let says = place.refusal();
        assert!(says.contains("plugin `pii`") && says.contains(why), "{path}: {says}");
    }
    assert!(plain.asked().is_empty());
    let secret = format!("{}, auth: {{bearer: \"${{env:COMPONENT_LOGIN}}\"}}", pin(&component()));
    place.configure(&server.url("/secret.wasm"), &secret);
    let gateway = place.serve().await;
    assert!(place.is_filtered(&gateway).await);
    let shown = gateway.admin().get("/admin/v1/config").await.text();
    assert!(shown.contains("\"bearer\":\"***\"") && !shown.contains("of-the-tests"), "{shown}");
    gateway.kill();
    // Who serves it is nobody that this machine trusts.
    place.home.write("trusted.pem", &certificate().0);
    std::fs::remove_dir_all(place.home.path().join("cache")).expect("it is there");
    assert!(place.refusal().contains("cannot be reached"));
}

/// Signs the component that ships in this folder, and gives the public key.
fn signed(place: &Place) -> String {
    std::fs::copy(shipped(), place.home.path().join("mine.wasm")).expect("the plugin ships");
    let made = place.run(&["plugin", "keygen", "key.pem"]);
    assert_eq!(made.code(), 0, "{}", made.err());
    let ran = place.run(&["plugin", "sign", "mine.wasm", "--key", "key.pem"]);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    made.out().trim().strip_prefix("signed_by: ").expect("the key").trim_matches('"').to_owned()
}

/// Sends `mine.wasm` there with this login.
fn push(place: &Place, to: &str, login: &str) -> Ran {
    let mut command = place.command();
    command.env("TIDEGATE_COMPONENT_LOGIN", login).args(["plugin", "push", "mine.wasm", to]);
    Ran::of(command.output().expect("the program runs"))
}

#[tokio::test]
async fn a_registry_is_shown_a_token_for_a_login_and_nobody_else_sees_either() {
    let (place, registry) = (Place::new().await, StrictRegistry::start());
    let key = signed(&place);
    let to = registry.at("1.0.0");
    let ran = push(&place, &to, "ann:wrong");
    assert!(ran.code() == 1 && ran.err().contains("gives no token"), "{}", ran.err());
    let ran = push(&place, &to, LOGIN);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    // What it prints is what a configuration says.
    let printed = ran.out();
    let at = printed.lines().find_map(|line| line.strip_prefix("component: ")).expect("a place").trim_matches('"');
    assert!(at.contains("/org/plugin@sha256:") && printed.contains(&Digest::of(&component()).to_string()), "{printed}");

    let login = ", auth: {basic: \"${env:COMPONENT_LOGIN}\"}";
    let fields = format!("{}{login}, signed_by: \"{key}\"", pin(&component()));
    for from in [at, &to] {
        place.configure(from, &fields);
        let gateway = place.serve().await;
        assert!(place.is_filtered(&gateway).await);
        gateway.kill();
        std::fs::remove_dir_all(place.home.path().join("cache/tidegate/components")).expect("it was kept");
    }
    let of = |asked: &[crate::harness::server::Asked]| {
        asked.iter().filter_map(|asked| asked.header("authorization").map(str::to_owned)).collect::<Vec<_>>()
    };
    assert!(of(&registry.registry.asked()).iter().all(|shown| shown.starts_with("Bearer may-")));
    assert!(of(&registry.tokens.asked()).contains(&basic(LOGIN)));
    assert!(of(&registry.cdn.asked()).is_empty() && registry.cdn.asked().len() == 2);

    // Who shows nothing, or asks for another key's signature or other bytes, gets nothing.
    let other = key.replace(&key[..4], if key.starts_with("AAAA") { "BBBB" } else { "AAAA" });
    for (fields, why) in [
        (format!("{}, signed_by: \"{key}\"", pin(&component())), "gives no token"),
        (format!("{}{login}, signed_by: \"{other}\"", pin(&component())), "not that of `signed_by`"),
        (format!("{}{login}", pin(b"another")), "is pinned"),
    ] {
        place.configure(&to, &fields);
        let says = place.refusal();
        assert!(says.contains("plugin `pii`") && says.contains(why), "{why}: {says}");
    }
    place.configure(&registry.at("2.0.0"), &fields);
    assert!(place.refusal().contains("no such repository, tag or digest"));
}

#[tokio::test]
async fn a_real_registry_gives_what_was_sent_by_hand_and_takes_what_we_send() {
    let Some(registry) = DockerRegistry::start().await else {
        assert!(may_be_left_out("a real registry of containers", "Debian's package docker-registry"));
        return;
    };
    let place = Place::new().await;
    let client = Client::of(([127, 0, 0, 1], registry.port).into());
    let login = basic(LOGIN);
    // By hand: what another tool would have sent.
    let config = br#"{"architecture":"wasm","os":"wasip2","created":"2026-01-01T00:00:00Z"}"#.to_vec();
    for blob in [&component(), &config] {
        let shown = ("authorization", login.as_str());
        let begun = client.send("POST", "/v2/by/hand/blobs/uploads/", &[shown], b"").await;
        assert_eq!(begun.status(), 202, "{}", begun.text());
        let there = begun.head.header("location").expect("where to").to_owned();
        let path = there.find("/v2/").map(|at| &there[at..]).expect("a path");
        let path = format!("{path}&digest=sha256:{}", Digest::of(blob));
        let kind = ("content-type", "application/octet-stream");
        assert_eq!(client.send("PUT", &path, &[shown, kind], blob).await.status(), 201);
    }
    let described = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": format!("sha256:{}", Digest::of(bytes)), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": described("application/vnd.wasm.config.v0+json", &config),
        "layers": [described("application/wasm", &component())],
    });
    let headers = [("authorization", login.as_str()), ("content-type", MANIFEST)];
    let put = client.send("PUT", "/v2/by/hand/manifests/1.0.0", &headers, manifest.to_string().as_bytes()).await;
    assert_eq!(put.status(), 201, "{}", put.text());

    let at = format!("oci://127.0.0.1:{}/by/hand:1.0.0", registry.port);
    let fields = format!("{}, auth: {{basic: \"${{env:COMPONENT_LOGIN}}\"}}", pin(&component()));
    place.configure(&at, &pin(&component()));
    assert!(place.refusal().contains("wants a login"));
    place.configure(&at, &fields);
    let gateway = place.serve().await;
    assert!(place.is_filtered(&gateway).await);
    gateway.kill();

    // And what we send is what it holds, by the digest that is printed.
    let key = signed(&place);
    let ours = format!("oci://127.0.0.1:{}/ours:1.0.0", registry.port);
    let ran = push(&place, &ours, LOGIN);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    let accept = [("authorization", login.as_str()), ("accept", MANIFEST)];
    let held = client.send("GET", "/v2/ours/manifests/1.0.0", &accept, b"").await;
    assert_eq!(held.status(), 200, "{}", held.text());
    assert!(ran.out().contains(&Digest::of(&held.body).to_string()), "{}", ran.out());
    let mut inspect = place.command();
    inspect.env("TIDEGATE_COMPONENT_LOGIN", LOGIN).args(["plugin", "inspect", &ours, "--json"]);
    let inspected = Ran::of(inspect.output().expect("the program runs"));
    let about: Value = serde_json::from_str(&inspected.out()).unwrap_or_else(|_| panic!("{}", inspected.err()));
    assert_eq!(about["sha256"], json!(Digest::of(&component()).to_string()));
    std::fs::remove_dir_all(place.home.path().join("cache/tidegate/components")).expect("it was kept");
    place.configure(&ours, &format!("{fields}, signed_by: \"{key}\""));
    let gateway = place.serve().await;
    assert!(place.is_filtered(&gateway).await);
}
