//! Plugins that reach other servers: an evaluator asks what each monitor tells it to and reports what came of it. Listed
//! servers answer, nothing else is connected to, however it is written and whoever sends it there.

use crate::harness::upstream::Act;
use crate::harness::{ROUTES, Stage, Upstream, chat, eventually, home, provider};
use crate::hostile::evaluator;
use crate::hostile::guest::Guest;
use serde_json::{Value, json};
use std::path::Path;

/// What the evaluator reports where there was no answer: the case of the contract's `host-error`, less than nothing.
const DENIED: f64 = -1.0;
const QUOTA: f64 = -3.0;
const TIMEOUT: f64 = -4.0;
const UNAVAILABLE: f64 = -6.0;

/// An evaluator that gets the `url` of its configuration, waits 300 ms for it, and reports the `status` and the `bytes` of
/// the answer. Its configuration is `{"url":"…"}` to the byte.
fn asks() -> Vec<u8> {
    let word = |words: &[u32]| {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        bytes.map(|byte| format!("\\{byte:02x}")).collect::<String>()
    };
    let (described, report) = (word(&[0, 4, 8, 5, 16, 2]), word(&[256, 2, 0]));
    let (answer, status, bytes) = (word(&[0, 160, 1]), word(&[24, 6]), word(&[32, 5]));
    let text = format!(
        r#"(module
          (import "tidegate:plugin/http-out@0.1.0" "send"
            (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
          (memory (export "memory") 2)
          (global $next (mut i32) (i32.const 1024)) (global $url (mut i32) (i32.const 0)) (global $long (mut i32) (i32.const 0))
          (data (i32.const 0) "asks") (data (i32.const 8) "1.2.3") (data (i32.const 16) "{{}}")
          (data (i32.const 24) "status") (data (i32.const 32) "bytes") (data (i32.const 40) "GET")
          (data (i32.const 64) "{described}") (data (i32.const 128) "{answer}") (data (i32.const 160) "{report}")
          (data (i32.const 256) "{status}") (data (i32.const 320) "{bytes}")
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (block $fits
              (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
              (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get 3) (i32.const 65536))))))
            (local.get $at))
          (func (export "tidegate:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 64))
          (func (export "tidegate:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32)
            (global.set $url (i32.add (local.get 0) (i32.const 8)))
            (global.set $long (i32.sub (local.get 1) (i32.const 10)))
            (i32.const 96))
          (func (export "tidegate:plugin/rag@0.1.0#evaluate") (param i32 i32) (result i32)
            (call $send (i32.const 40) (i32.const 3) (global.get $url) (global.get $long) (i32.const 0) (i32.const 0)
              (i32.const 0) (i32.const 0) (i32.const 300) (i32.const 512))
            (if (i32.load8_u (i32.const 512))
              (then (f64.store (i32.const 264)
                (f64.neg (f64.convert_i32_u (i32.add (i32.const 1) (i32.load8_u (i32.const 516)))))))
              (else
                (f64.store (i32.const 264) (f64.convert_i32_u (i32.load16_u (i32.const 516))))
                (f64.store (i32.const 328) (f64.convert_i32_u (i32.load (i32.const 532))))))
            (i32.const 128)))"#
    );
    evaluator::component("rag-plugin", &text)
}

/// The servers that are granted in a test, as they stand in a configuration.
fn configuration(upstream: &Upstream, component: &Path, granted: &[String], monitors: &str) -> String {
    let models = ROUTES.lines().next().unwrap_or_default();
    format!(
        "{}{}{models}\nroutes: {{mock: {{model: up}}}}\n\
         plugins: {{asks: {{component: \"{}\", limits: {{deadline: 5s}}, capabilities: {{http: [{}]}}}}}}\nmonitors: {{{monitors}}}\n",
        home::BASE,
        provider("pool", &[upstream]),
        component.display(),
        granted.iter().map(|server| format!("\"{server}\"")).collect::<Vec<_>>().join(", ")
    )
}

/// Where a server listens, as host and port.
fn at(server: &Upstream) -> String {
    server.url().trim_start_matches("http://").trim_end_matches("/v1").to_owned()
}

fn port(server: &Upstream) -> String {
    at(server).rsplit(':').next().expect("a port").to_owned()
}

async fn answering(act: Act) -> Upstream {
    let server = Upstream::start().await;
    server.always(act);
    server
}

/// One that listens where the name of this machine leads first.
async fn answering_as_localhost(act: Act) -> Upstream {
    let mut found = tokio::net::lookup_host(("localhost", 0)).await.expect("this machine has a name");
    let first = found.next().expect("it has an address");
    let server = Upstream::on(tokio::net::TcpListener::bind(first).await.expect("a port")).await;
    server.always(act);
    server
}

fn says(status: u16, headers: Vec<(&'static str, String)>, body: impl Into<bytes::Bytes>) -> Act {
    Act::Answer(status, headers, body.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_reaches_the_servers_that_are_listed_and_no_other() {
    let secret = answering(says(200, vec![], "the secret")).await;
    let listed = answering(says(200, vec![("set-cookie", "a=b".to_owned())], "there")).await;
    let redirects = answering(says(302, vec![("location", format!("http://{}/", at(&secret)))], "")).await;
    let (large, hangs) = (answering(says(200, vec![], vec![b'x'; (1 << 20) + 1])).await, answering(Act::Hang).await);
    // Listed by a name that leads to this machine, without its address and with it.
    let (by_name, by_both) =
        (answering(says(200, vec![], "")).await, answering_as_localhost(says(200, vec![], "both")).await);
    let granted = [
        format!("http://{}", at(&listed)),
        format!("http://{}", at(&redirects)),
        format!("http://{}", at(&large)),
        format!("http://{}", at(&hangs)),
        "http://127.0.0.1:1".to_owned(),
        format!("http://localhost:{}", port(&by_name)),
        format!("http://localhost:{}", port(&by_both)),
        format!("http://127.0.0.1:{}", port(&by_both)),
        format!("http://[::1]:{}", port(&by_both)),
    ];
    let (own, theirs) = (port(&listed), port(&secret));
    let cases = [
        ("plain", format!("http://127.0.0.1:{own}/a?b=c"), 200.0, 5.0),
        ("mapped", format!("http://[::ffff:127.0.0.1]:{own}/"), 200.0, 5.0),
        ("redirected", format!("http://{}/", at(&redirects)), 302.0, 0.0),
        ("named", format!("http://LOCALHOST:{}/", port(&by_both)), 200.0, 4.0),
        ("leads_here", format!("http://localhost:{}/", port(&by_name)), DENIED, 0.0),
        ("unlisted", format!("http://127.0.0.1:{theirs}/"), DENIED, 0.0),
        ("unlisted_name", format!("http://localhost:{theirs}/"), DENIED, 0.0),
        ("with_user", format!("http://127.0.0.1:{own}@127.0.0.1:{theirs}/"), DENIED, 0.0),
        ("decimal", format!("http://2130706433:{theirs}/"), DENIED, 0.0),
        ("short", format!("http://127.1:{own}/"), DENIED, 0.0),
        ("by_tls", format!("https://127.0.0.1:{own}/"), DENIED, 0.0),
        ("metadata", "http://169.254.169.254/latest/meta-data/".to_owned(), DENIED, 0.0),
        ("file", "file:///etc/passwd".to_owned(), DENIED, 0.0),
        ("too_long", format!("http://{}/", at(&large)), QUOTA, 0.0),
        ("too_late", format!("http://{}/", at(&hangs)), TIMEOUT, 0.0),
        ("gone", "http://127.0.0.1:1/".to_owned(), UNAVAILABLE, 0.0),
    ];
    let monitors: Vec<String> = cases
        .iter()
        .map(|(name, url, ..)| {
            format!(
                "{name}: {{plugin: asks, route: mock, fields: {{q: /q, a: said}}, roles: {{question: q, answer: a}}, \
                 window: {{size: 1}}, config: {{url: \"{url}\"}}}}"
            )
        })
        .collect();
    let shelf = tempfile::TempDir::with_prefix("tidegate-e2e-web-").expect("a temporary folder");
    let component = shelf.path().join("asks.wasm");
    std::fs::write(&component, asks()).expect("it can be written");
    let upstream = Upstream::start().await;
    let text = configuration(&upstream, &component, &granted, &monitors.join(", "));
    let stage = Stage::of(upstream, &text).await;
    let mut body = chat("mock");
    body["q"] = json!("who?");
    assert_eq!(stage.client.chat(&body).await.status(), 200);
    for (name, url, status, bytes) in &cases {
        let judged = async || {
            let shown: Value = stage.admin.get(&format!("/admin/v1/monitors/{name}")).await.json();
            shown["watched"][0]["windows"][0].as_object().map(|_| shown["watched"][0]["windows"][0].clone())
        };
        let window = eventually(&format!("the window of {name}"), judged).await;
        let value = |named: &str| {
            let all = window["measurements"].as_array().into_iter().flatten();
            all.filter(|one| one["name"] == named).find_map(|one| one["value"].as_f64())
        };
        assert_eq!((value("status"), value("bytes")), (Some(*status), Some(*bytes)), "{name}: {url}: {window:#}");
    }
    assert_eq!((secret.count(), by_name.count()), (0, 0), "somebody was reached who is not listed");
    assert_eq!((redirects.count(), listed.count()), (1, 2));
    let asked = listed.seen().into_iter().find(|seen| seen.path == "/a?b=c").expect("the plain one");
    assert_eq!((asked.method.as_str(), asked.header("host")), ("GET", Some(at(&listed).as_str())));
    assert!(asked.header("user-agent").is_some_and(|agent| agent.starts_with("tidegate/")), "{asked:?}");
    assert_eq!((asked.header("cookie"), asked.header("authorization")), (None, None));
    let refused = stage.gateway.log_of("wanted to reach what it may not");
    assert!(refused.len() >= 9 && refused.iter().all(|line| line["plugin"] == "asks"), "{refused:#?}");
    let shown = stage.admin.get("/admin/v1/plugins/asks").await.json();
    assert_eq!(shown["failures"], json!({}), "what is denied to a plugin is no failure of it");
}

#[tokio::test]
async fn a_grant_that_nobody_can_use_is_refused() {
    let home = home::Home::new();
    let upstream = Upstream::start().await;
    let component = home.path().join("x.wasm");
    let granted = ["http://127.0.0.1:9".to_owned()];
    home.write("config.yaml", &configuration(&upstream, &component, &granted, ""));
    home.key(&["infer"]);
    for (bytes, says) in [
        (Guest { wants: &["http-out"], ..Guest::default() }.component(), "looks at calls"),
        (evaluator::Core::default().component(), "it asks for none"),
    ] {
        std::fs::write(&component, bytes).expect("it can be written");
        let ran = home.run(&["check", "config.yaml"]);
        let told = format!("{}{}", ran.out(), ran.err());
        assert!((1..=2).contains(&ran.code()) && told.contains(says) && told.contains("plugin `asks`"), "{told}");
    }
    std::fs::write(&component, asks()).expect("it can be written");
    let ran = home.run(&["check", "config.yaml"]);
    assert_eq!(ran.code(), 0, "{}{}", ran.out(), ran.err());
}
