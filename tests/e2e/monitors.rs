//! Monitors, from outside: the drift plugin as it ships watches the numbers of a chat route. Traffic that shifts raises an
//! alarm on what shifted and nothing else, a canary goes back on that verdict, an evaluation closes a gate; traffic that does
//! not shift raises nothing; what a monitor knows survives a restart. The numbers are made here, by a generator that every
//! run begins alike.

use crate::harness::events::Counts;
use crate::harness::home::repository;
use crate::harness::{Client, Gateway, Home, Upstream, chat, eventually, upstream};
use serde_json::{Value, json};
use tidegate_core::dice::{mix, unit};

/// What the generator's features are called; those named `shifted` are the ones that shift.
const FEATURES: [&str; 6] = ["radius", "texture", "area", "smooth", "shifted_a", "shifted_b"];
/// A reference and windows of so many calls.
const WINDOW: usize = 200;

/// A number that looks normal: the sum of twelve uniform ones less six.
fn normal(seed: u64, call: usize, feature: usize) -> f64 {
    let nth = |n: u64| unit(mix(mix(mix(seed) ^ call as u64) ^ (feature as u64 * 16 + n)));
    (0..12).map(nth).sum::<f64>() - 6.0
}

/// The body of a call; shifted, two of its features lie a deviation and a half higher.
fn body(model: &str, seed: u64, call: usize, is_shifted: bool) -> Value {
    let mut body = chat(model);
    let feature = |(at, name): (usize, &&str)| {
        let shift = if is_shifted && name.starts_with("shifted") { 1.5 } else { 0.0 };
        ((*name).to_owned(), json!(normal(seed, call, at) + shift))
    };
    let features: serde_json::Map<String, Value> = FEATURES.iter().enumerate().map(feature).collect();
    body["features"] = features.into();
    body
}

/// A gateway with a monitor of those features.
struct Watched {
    home: Home,
    gateway: Gateway,
    key: String,
    /// For as long as calls are answered, each with the name of its variant.
    _upstreams: [Upstream; 2],
}

impl Watched {
    async fn with(route: &str, monitor: &str, store: &str) -> Self {
        let (blue, green) = (Upstream::start().await, Upstream::start().await);
        blue.always(upstream::completion("blue", 3, 2));
        green.always(upstream::completion("green", 3, 2));
        let fields: Vec<String> = FEATURES.iter().map(|name| format!("{name}: /features/{name}")).collect();
        let text = format!(
            "listeners: {{public: {{address: \"127.0.0.1:0\"}}}}\n\
             admin: {{address: \"127.0.0.1:0\", token: \"${{env:TIDEGATE_ADMIN_TOKEN}}\"}}\n\
             store: {{events: {{to: \"file:events\"}}, registry: \"sqlite:registry.db\"{store}}}\n\
             keys: {{file: keys.yaml}}\n\
             providers: {{pb: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, pg: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\n\
             models: {{ma: {{provider: pb, model: a}}, mb: {{provider: pg, model: b}}}}\n\
             routes: {{mock: {{variants: {{blue: {{model: ma}}, green: {{model: mb}}}}, {route}}}}}\n\
             plugins: {{drift: {{component: \"{}\"}}}}\n\
             monitors: {{features: {{plugin: drift, route: mock, fields: {{{}}}, window: {{size: {WINDOW}, min: 50}}, {monitor}}}}}\n",
            blue.url(),
            green.url(),
            repository().join("plugins/dist/drift.wasm").display(),
            fields.join(", ")
        );
        let home = Home::new();
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "feedback", "read"]);
        let gateway = home.serve().await;
        Self { home, gateway, key, _upstreams: [blue, green] }
    }

    fn client(&self) -> Client {
        self.gateway.client().with_key(&self.key)
    }

    /// So many calls from this one on.
    async fn calls(&self, from: usize, n: usize, is_shifted: bool) {
        let client = self.client();
        for call in from..from + n {
            let answer = client.chat(&body("mock", 7, call, is_shifted)).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
    }

    async fn monitor(&self) -> Value {
        let answer = self.gateway.admin().get("/admin/v1/monitors/features").await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()
    }

    async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || Some(self.monitor().await).filter(&is)).await
    }

    /// Until so many windows were judged.
    async fn judged(&self, windows: u64) -> Value {
        self.until("windows that are judged", |now| now["counts"]["windows"].as_u64() >= Some(windows)).await
    }
}

/// The columns that were out of bounds in any window of any version.
fn breached(monitor: &Value) -> Vec<String> {
    let windows = monitor["watched"].as_array().into_iter().flatten();
    let windows = windows.flat_map(|watched| watched["windows"].as_array().into_iter().flatten());
    let numbers = windows.flat_map(|window| window["measurements"].as_array().into_iter().flatten());
    let of = |one: &Value| Some(one["labels"]["column"].as_str()?.to_owned()).filter(|_| one["breached"] == true);
    let mut all: Vec<String> = numbers.filter_map(of).collect();
    all.sort();
    all.dedup();
    all
}

const ONE: &str = "policy: {weighted: {blue: 100%, green: 0%}}";
const FIRST: &str = "baseline: {first: 400}, config: {alpha: 0.001}, alarm: {breaches: 2, of: 3}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_shifts_raises_an_alarm_and_nothing_else_does() {
    let watched = Watched::with(ONE, FIRST, "").await;
    watched.calls(0, 400, false).await;
    watched.until("a reference", |now| now["reference"]["is_ready"] == true).await;
    watched.calls(400, 3 * WINDOW, false).await;
    let well = watched.judged(3).await;
    assert_eq!((&well["state"], breached(&well)), (&json!("well"), vec![]), "{well:#}");
    watched.calls(2000, 2 * WINDOW, true).await;
    let alarm = watched.until("the alarm", |now| now["state"] == "alarm").await;
    assert_eq!(breached(&alarm), ["shifted_a", "shifted_b"], "{alarm:#}");
    assert_eq!(alarm["counts"]["rows"], 400 + 5 * WINDOW as u64, "each answered call once");
    let scraped = Counts::read(&watched.gateway.admin()).await;
    assert!(scraped.series("tidegate_monitor_alarm{monitor=\"features\"}") > 0.5);
    assert!(scraped.series("tidegate_monitor_breached_windows_total{monitor=\"features\"}") > 1.5);
    // People can read it, and have a page of it.
    let url = format!("http://{}", watched.gateway.address("admin"));
    let listed = watched.home.run(&["monitor", "list", "--url", &url]);
    assert!(listed.out().starts_with("features: alarm, 2 of 5 windows breached"), "{}{}", listed.out(), listed.err());
    let report = watched.home.run(&["monitor", "report", "features", "--html", "r.html", "--url", &url]);
    assert_eq!(report.code(), 0, "{}", report.err());
    let page = watched.home.read("r.html");
    assert!(page.contains("<svg") && page.contains("shifted_a") && !page.contains("<script"), "{page}");
    // What is over is over.
    watched.calls(4000, 2 * WINDOW, false).await;
    watched.until("the end of the alarm", |now| now["state"] == "well").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_goes_back_on_the_verdict() {
    // One breached window is enough, so that the canary is not done before.
    let monitor = "baseline: {first: 200}, config: {alpha: 0.001}, alarm: {breaches: 1, of: 1}";
    let route = "rollout: {canary: {from: blue, to: green, steps: [50%, 100%], every: 10m, interval: 1s, min_samples: 20, analysis: [{monitor: features}]}}";
    let watched = Watched::with(route, monitor, "").await;
    // Each variant has windows of its own, so twice as many calls are needed until both have some.
    watched.calls(0, 600, false).await;
    watched.until("a reference", |now| now["reference"]["is_ready"] == true).await;
    watched.calls(1000, 5 * WINDOW, true).await;
    let over = eventually("rolled back", async || {
        let standing = watched.gateway.admin().get("/admin/v1/rollouts/mock").await.json();
        Some(standing).filter(|now| now["stage"] == "rolled back")
    })
    .await;
    let why = over["turns"][0]["why"].as_str().expect("a reason");
    assert!(why.starts_with("monitor features: "), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_acts_by_itself() {
    let monitor =
        "baseline: {first: 200}, config: {alpha: 0.001}, alarm: {breaches: 1, of: 1}, action: {disable_variant: green}";
    let watched = Watched::with("policy: {weighted: {blue: 50%, green: 50%}}", monitor, "").await;
    watched.calls(0, 600, false).await;
    watched.until("a reference", |now| now["reference"]["is_ready"] == true).await;
    watched.calls(1000, 5 * WINDOW, true).await;
    watched.until("the alarm", |now| now["state"] == "alarm").await;
    let by = async || {
        let answer = watched.client().chat(&chat("mock")).await.json();
        answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    };
    eventually("a variant that gets no more calls", async || {
        let mut all = Vec::new();
        for _ in 0..20 {
            all.push(by().await);
        }
        all.iter().all(|one| one == "blue").then_some(())
    })
    .await;
    // Somebody says that it is well again.
    let reset = watched.gateway.admin().post("/admin/v1/monitors/features/reset", &json!({})).await;
    assert_eq!(reset.status(), 200, "{}", reset.text());
    assert_eq!(reset.json()["state"], "unknown");
    eventually("the variant again", async || (by().await == "green").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_monitor_knows_survives_a_restart() {
    let watched = Watched::with(ONE, FIRST, "").await;
    watched.calls(0, 400, false).await;
    watched.until("a reference", |now| now["reference"]["is_ready"] == true).await;
    watched.calls(2000, 2 * WINDOW + 30, true).await;
    watched.until("the alarm", |now| now["state"] == "alarm").await;
    let Watched { home, mut gateway, key, _upstreams } = watched;
    gateway.signal("TERM");
    assert!(gateway.ended().await.success());
    let gateway = home.serve().await;
    let watched = Watched { home, gateway, key, _upstreams };
    let now = watched.monitor().await;
    assert_eq!((&now["state"], &now["reference"]["rows"]), (&json!("alarm"), &json!(400)), "{now:#}");
    assert_eq!(now["watched"][0]["open"]["rows"], 30, "the window goes on");
}

#[tokio::test]
async fn a_monitor_that_cannot_be_is_refused_and_the_roles_of_its_paths_hold() {
    let watched = Watched::with(ONE, FIRST, "").await;
    let admin = watched.gateway.admin();
    assert_eq!(admin.get("/admin/v1/monitors/none").await.status(), 404);
    assert_eq!(admin.get("/admin/v1/monitors").await.json()["data"][0]["name"], "features");
    let reader = watched.home.key_as("rita", &["read"]);
    assert_eq!(admin.post("/admin/v1/reload", &json!({})).await.status(), 200, "the key is in force");
    let reader = watched.gateway.admin().with_key(&reader);
    assert_eq!(reader.get("/admin/v1/monitors").await.status(), 200);
    assert_eq!(reader.post("/admin/v1/monitors/features/reset", &json!({})).await.status(), 403);
    let text = watched.home.read("config.yaml").replace("baseline: {first: 400}, ", "");
    watched.home.replace("config.yaml", &text);
    let refused = admin.post("/admin/v1/reload", &json!({})).await;
    assert!(refused.text().contains("compares windows with something"), "{}", refused.text());
}
