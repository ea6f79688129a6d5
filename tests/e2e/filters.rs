//! Filters of routes: plugins that look at what is asked and answered; loaded, shown, swapped and refused. The plugin is
//! `pii`, as it ships.

use crate::harness::events::Counts;
use crate::harness::home::repository;
use crate::harness::upstream::{completion, stream};
use crate::harness::{ROUTES, Stage, Upstream, chat, chat_stream, eventually, home, provider};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tempfile::TempDir;
use tidegate_core::digest::Digest;

const EMAIL: &str = "ann.smith@example.com";

fn shipped(name: &str) -> PathBuf {
    repository().join("plugins/dist").join(name)
}

/// A folder with `pii.wasm`, beside the home of its gateway since that is made with it.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        let shelf = Self(TempDir::with_prefix("tidegate-e2e-plugins-").expect("a temporary folder"));
        std::fs::copy(shipped("pii.wasm"), shelf.component()).expect("the plugin ships");
        shelf
    }

    fn component(&self) -> PathBuf {
        self.0.path().join("pii.wasm")
    }

    /// Another component in its place, as a careful deployment does it.
    fn replace(&self, bytes: &[u8]) -> Digest {
        let beside = self.0.path().join(".new");
        std::fs::write(&beside, bytes).expect("it can be written");
        std::fs::rename(beside, self.component()).expect("it can be renamed");
        Digest::of(bytes)
    }
}

/// A configuration whose route has these filters, and the plugin `pii` with these further fields.
fn configuration(upstream: &Upstream, component: &Path, fields: &str, filters: &str) -> String {
    let models = ROUTES.lines().next().unwrap_or_default();
    format!(
        "{}{}{models}\nroutes: {{mock: {{model: up, filters: [{filters}]}}}}\nplugins: {{pii: {{component: \"{}\"{fields}}}}}\n",
        home::BASE,
        provider("pool", &[upstream]),
        component.display()
    )
}

async fn stage(shelf: &Shelf, fields: &str, filters: &str) -> Stage {
    let upstream = Upstream::start().await;
    let text = configuration(&upstream, &shelf.component(), fields, filters);
    Stage::of(upstream, &text).await
}

fn with_email(mut body: Value) -> Value {
    body["messages"][0]["content"] = json!(format!("please write to {EMAIL} today"));
    body
}

/// The component with a section behind it that means nothing: the same plugin with another digest.
fn padded(bytes: &[u8], nth: u8) -> Vec<u8> {
    [bytes, &[0, 3, 1, b'x', nth]].concat()
}

#[tokio::test]
async fn what_a_plugin_may_take_is_said_and_shown() {
    let shelf = Shelf::new();
    // 5 MiB that mean nothing behind the component.
    let mut large = std::fs::read(shelf.component()).unwrap();
    large.extend([0, 0x80, 0x80, 0xc0, 0x02, 1, b'x']);
    large.resize(large.len() + (5 << 20) - 2, 0);
    shelf.replace(&large);
    let fields = ", limits: {size: 6MiB, modules: 32}, wasi: minimal";
    let stage = stage(&shelf, fields, "{plugin: pii, at: [request]}").await;
    let shown = stage.admin.get("/admin/v1/plugins").await.json()["data"][0].clone();
    assert_eq!(shown["bytes"], json!(large.len()), "{shown}");
    assert_eq!((&shown["limits"]["size"], &shown["limits"]["modules"]), (&json!(6 << 20), &json!(32)));
    assert_eq!((&shown["limits"]["table"], &shown["wasi"]), (&Value::Null, &json!("minimal")));
    assert_eq!(stage.client.chat(&with_email(chat("mock"))).await.status(), 200);
    // A limit that is taken back refuses it, and leaves in force what was.
    stage
        .home
        .write("config.yaml", &configuration(&stage.upstream, &shelf.component(), "", "{plugin: pii, at: [request]}"));
    let reload = stage.admin.post("/admin/v1/reload", &json!({})).await;
    assert!(reload.status() != 200 && reload.text().contains("raise its limit `size`"), "{}", reload.text());
    assert_eq!(stage.client.chat(&with_email(chat("mock"))).await.status(), 200);
}

#[tokio::test]
async fn an_address_is_redacted_before_the_upstream_sees_it() {
    let shelf = Shelf::new();
    let stage = stage(&shelf, "", "{plugin: pii, at: [request, answer]}").await;
    let answer = stage.client.chat(&with_email(chat("mock"))).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let seen = stage.upstream.last().json()["messages"][0]["content"].clone();
    let seen = seen.as_str().expect("a text");
    assert!(!seen.contains("ann.smith") && seen.starts_with("please write to ") && seen.ends_with(" today"), "{seen}");
    // What is nobody's address goes on to the byte.
    let plain = chat("mock");
    assert_eq!(stage.client.chat(&plain).await.status(), 200);
    assert_eq!(stage.upstream.last().json()["messages"], plain["messages"]);
}

#[tokio::test]
async fn an_answer_is_redacted_whole_and_in_pieces() {
    let shelf = Shelf::new();
    let stage = stage(&shelf, "", "{plugin: pii, at: [answer]}").await;
    stage.upstream.then(completion(&format!("ask {EMAIL} then"), 5, 2));
    let answer = stage.client.chat(&chat("mock")).await;
    let said = answer.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned();
    assert!(!said.contains("ann.smith") && said.starts_with("ask ") && said.ends_with(" then"), "{said}");
    stage.upstream.then(stream(&["ask ann.sm", "ith@exam", "ple.com", " then"], true));
    let events = stage.client.stream(&chat_stream("mock")).await.events().await;
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    let said: String = events
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert!(!said.contains("ann.sm") && !said.contains("ple.com"), "{said}");
    assert!(said.starts_with("ask ") && said.ends_with(" then"), "{said}");
}

#[tokio::test]
async fn a_call_is_refused_where_that_is_asked_and_nothing_goes_out() {
    let shelf = Shelf::new();
    let stage = stage(&shelf, ", config: {mode: refuse}", "{plugin: pii, at: [request]}").await;
    let answer = stage.client.chat(&with_email(chat("mock"))).await;
    assert!((400..500).contains(&answer.status()), "{}", answer.text());
    assert!(!answer.error().to_string().contains("ann.smith"), "a refusal does not repeat it");
    assert_eq!(stage.upstream.count(), 0);
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
}

#[tokio::test]
async fn what_is_loaded_is_shown_and_counted() {
    let shelf = Shelf::new();
    let stage = stage(&shelf, "", "{plugin: pii, at: [request], failure: open}").await;
    assert_eq!(stage.client.chat(&with_email(chat("mock"))).await.status(), 200);
    let list = stage.admin.get("/admin/v1/plugins").await.json();
    let one = &list["data"][0];
    let digest = Digest::of(&std::fs::read(shelf.component()).expect("it is there"));
    assert_eq!((&one["name"], &one["sha256"]), (&json!("pii"), &json!(digest)), "{list}");
    assert_eq!(one["used_by"]["routes"], json!([{"route": "mock", "at": ["request"], "failure": "open"}]));
    assert_eq!(one["breaker"], json!("closed"));
    assert!(one["calls"].as_u64().is_some_and(|calls| calls >= 1), "{list}");
    let whole = stage.admin.get("/admin/v1/plugins/pii").await.json();
    assert!(whole["config_schema"].is_object() && whole["world"] == one["world"], "{whole}");
    assert_eq!(stage.admin.get("/admin/v1/plugins/other").await.status(), 404);
    let counts = Counts::read(&stage.admin).await;
    assert!(counts.series("tidegate_plugin_calls_total{plugin=\"pii\"}") >= 1.0);
    assert_eq!(counts.series("tidegate_plugin_breaker_open{plugin=\"pii\"}"), 0.0);
    assert!(counts.sum("tidegate_plugin_instances") >= 1.0);
}

#[tokio::test]
async fn a_trial_says_what_a_component_is_and_installs_nothing() {
    let stage = Stage::new().await;
    let bytes = std::fs::read(shipped("pii.wasm")).expect("the plugin ships");
    let wasm = [("content-type", "application/wasm")];
    let tried = stage.admin.send("POST", "/admin/v1/plugins?name=trial", &wasm, &bytes).await;
    assert_eq!(tried.status(), 200, "{}", tried.text());
    let said = tried.json();
    assert_eq!((&said["as"], &said["installed"]), (&json!("trial"), &json!(false)));
    assert_eq!(said["sha256"], json!(Digest::of(&bytes)));
    assert!(said["looks_at"].as_array().is_some_and(|at| at.contains(&json!("request"))), "{said}");
    assert_eq!(stage.admin.get("/admin/v1/plugins").await.json()["data"], json!([]));
    for (path, body, status) in [
        ("/admin/v1/plugins?name=p1", &b""[..], 400),
        ("/admin/v1/plugins?name=p1", b"MZ", 415),
        ("/admin/v1/plugins?name=p1", b"\0asm\x0d\0\x01\0", 422),
        ("/admin/v1/plugins?name=p1", &bytes[..bytes.len() / 2], 422),
        ("/admin/v1/plugins?name=../p", &bytes[..], 400),
        ("/admin/v1/plugins", &bytes[..], 400),
    ] {
        let answer = stage.admin.send("POST", path, &wasm, body).await;
        assert_eq!(answer.status(), status, "{path}: {}", answer.text());
        answer.error();
    }
    // Its declared length is enough.
    let huge = [("content-type", "application/wasm"), ("content-length", "33554432")];
    assert_eq!(stage.admin.open("POST", "/admin/v1/plugins?name=p1", &huge, b"x").await.status(), 413);
    let reader = stage.gateway.admin().with_key(&stage.home.key(&["read"]));
    eventually("the key to be known", async || (reader.get("/admin/v1/plugins").await.status() == 200).then_some(()))
        .await;
    assert_eq!(reader.send("POST", "/admin/v1/plugins?name=p", &wasm, &bytes).await.status(), 403);
    assert_eq!(stage.gateway.admin().without_key().get("/admin/v1/plugins").await.status(), 401);
}

#[tokio::test]
async fn a_plugin_that_cannot_be_loaded_fails_the_start_and_the_check_by_its_name() {
    let shelf = Shelf::new();
    let upstream = Upstream::start().await;
    let filter = "{plugin: pii, at: [request]}";
    let drift = shipped("drift.wasm");
    let damaged = shelf.0.path().join("damaged.wasm");
    std::fs::write(&damaged, b"\0asm\x0d\0\x01\0\xff\xff").expect("it can be written");
    for (component, fields, says) in [
        (&shelf.0.path().join("nope.wasm"), "", "there is no file"),
        (&damaged, "", "plugin `pii`"),
        (&drift, "", "`drift-plugin` is not one of filters"),
        (&shelf.component(), ", config: {no_such_setting: 1}", "`config` is not what it takes"),
    ] {
        let home = home::Home::new();
        home.write("config.yaml", &configuration(&upstream, component, fields, filter));
        home.key(&["infer"]);
        for command in [&["serve", "--config", "config.yaml"][..], &["check", "config.yaml"]] {
            let ran = home.run(command);
            let told = format!("{}{}", ran.out(), ran.err());
            assert!(ran.code() == 1 || ran.code() == 2, "{command:?}: {told}");
            assert!(told.contains(says) && told.contains("pii"), "{command:?} does not say {says}: {told}");
            assert!(told.contains(&component.file_name().unwrap().to_string_lossy().into_owned()), "{told}");
        }
    }
}

#[tokio::test]
async fn a_component_that_is_not_the_pinned_one_leaves_the_old_one_in_force() {
    let shelf = Shelf::new();
    let bytes = std::fs::read(shelf.component()).expect("it is there");
    let pinned = format!(", sha256: \"{}\"", Digest::of(&bytes));
    let stage = stage(&shelf, &pinned, "{plugin: pii, at: [request]}").await;
    let other = shelf.replace(&padded(&bytes, 1));
    let answer = stage.admin.post("/admin/v1/reload", &json!({})).await;
    assert_eq!(answer.status(), 422, "{}", answer.text());
    let says = answer.error()["message"].to_string();
    assert!(says.contains("another sha256") && says.contains(&other.to_string()), "{says}");
    assert_eq!(stage.client.chat(&with_email(chat("mock"))).await.status(), 200);
    assert!(!stage.upstream.last().json().to_string().contains("ann.smith"), "the old one looks on");
}

#[tokio::test]
async fn a_new_component_is_seen_by_itself() {
    let shelf = Shelf::new();
    let bytes = std::fs::read(shelf.component()).expect("it is there");
    let stage = stage(&shelf, "", "{plugin: pii, at: [request]}").await;
    let other = shelf.replace(&padded(&bytes, 1));
    eventually("the new component", async || {
        (stage.admin.get("/admin/v1/plugins/pii").await.json()["sha256"] == json!(other)).then_some(())
    })
    .await;
    assert_eq!(stage.client.chat(&with_email(chat("mock"))).await.status(), 200);
    assert!(!stage.upstream.last().json().to_string().contains("ann.smith"));
}

/// How many swaps; `./verify full` asks for a thousand.
fn swaps() -> usize {
    std::env::var("TIDEGATE_SWAPS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_cost_no_call_and_let_no_address_through() {
    let shelf = Shelf::new();
    let bytes = std::fs::read(shelf.component()).expect("it is there");
    let stage = stage(&shelf, "", "{plugin: pii, at: [request, answer]}").await;
    let (is_over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let (client, is_over, served) = (stage.client.clone(), Arc::clone(&is_over), Arc::clone(&served));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    if caller % 2 == 0 {
                        let answer = client.chat(&with_email(chat("mock"))).await;
                        assert_eq!(answer.status(), 200, "{}", answer.text());
                    } else {
                        let events = client.stream(&with_email(chat_stream("mock"))).await.events().await;
                        assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
                    }
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut refused = 0;
    for nth in 0..swaps() {
        let is_torn = nth % 10 == 7;
        let now = padded(&bytes, u8::try_from(nth % 256).expect("it is one"));
        let digest = if is_torn { shelf.replace(&now[..now.len() / 2]) } else { shelf.replace(&now) };
        let status = stage.admin.post("/admin/v1/reload", &json!({})).await.status();
        assert_eq!(status, if is_torn { 422 } else { 200 }, "swap {nth}");
        refused += usize::from(is_torn);
        let shown = stage.admin.get("/admin/v1/plugins/pii").await.json()["sha256"].clone();
        assert_eq!(shown == json!(digest), !is_torn, "swap {nth}: {shown}");
    }
    is_over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no call failed");
    }
    let leaked = stage.upstream.seen().iter().filter(|seen| seen.json().to_string().contains("ann.smith")).count();
    assert_eq!(leaked, 0, "an address went out");
    let counts = Counts::read(&stage.admin).await;
    assert!(!counts.text().contains("tidegate_plugin_failures_total{"), "a call of the plugin failed");
    let served = served.load(Ordering::Relaxed);
    assert!(served > swaps() / 10, "there was no load");
    println!("figure: {} swaps of a plugin, {refused} of them refused, under {served} calls: none failed", swaps());
}
