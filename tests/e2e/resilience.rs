//! Endpoints that die, come back, fail or are full: what callers see of it, which should be nothing.

use crate::harness::events::{Counts, event, settled};
use crate::harness::upstream::{self, Act, Step, done, opening};
use crate::harness::{Client, Stage, Upstream, chat, chat_stream, eventually, home};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// A model server that can be killed as a process is: its port is closed and its connections end at once.
struct Mortal {
    runtime: Option<Runtime>,
    address: SocketAddr,
    upstream: Upstream,
}

impl Mortal {
    async fn at(address: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let address: SocketAddr = address.parse().expect("an address");
        let started = runtime.spawn(async move {
            let listener = tokio::net::TcpListener::bind(address).await.expect("the port is free");
            (listener.local_addr().expect("it is bound"), Upstream::on(listener).await)
        });
        let (address, upstream) = started.await.expect("it starts");
        Self { runtime: Some(runtime), address, upstream }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn pool(first: &str, second: &str, more: &str) -> String {
    format!(
        "{}providers: {{pool: {{openai: {{endpoints: [{{url: \"{first}\"}}, {{url: \"{second}\"}}]{more}}}}}}}\nmodels: {{up: {{provider: pool, model: m}}}}\n",
        home::BASE
    )
}

/// Callers that call until they are told to stop; they count what they see.
struct Load {
    is_over: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    callers: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    /// Every third call is a stream. One that had begun may break off with its endpoint; it must not fail before.
    fn by(callers: usize, client: &Client) -> Self {
        let (is_over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let call = async |client: &Client, nth: usize| {
            let stream = nth.is_multiple_of(3);
            let body = if stream { chat_stream("mock") } else { chat("mock") };
            let answer = client.chat(&body).await;
            (answer.status() != 200).then(|| format!("{} {}", answer.status(), answer.text()))
        };
        let callers = (0..callers).map(|caller| {
            let (client, is_over, calls) = (client.clone(), Arc::clone(&is_over), Arc::clone(&calls));
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let nth = calls.fetch_add(1, Ordering::Relaxed);
                    failed.extend(call(&client, nth + caller).await);
                }
                failed
            })
        });
        Self { callers: callers.collect(), is_over, calls }
    }

    /// Waits until so many more calls were begun.
    async fn goes_on(&self, calls: usize) {
        let until = self.calls.load(Ordering::Relaxed) + calls;
        eventually("the load to go on", async || (self.calls.load(Ordering::Relaxed) >= until).then_some(())).await;
    }

    /// The calls, and what was said of those that failed.
    async fn end(self) -> (usize, Vec<String>) {
        self.is_over.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        for caller in self.callers {
            failed.extend(caller.await.expect("no caller panicked"));
        }
        (self.calls.load(Ordering::Relaxed), failed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_killed_under_load_costs_no_call_and_comes_back() {
    let (stays, dies) = (Upstream::start().await, Mortal::at("127.0.0.1:0").await);
    let address = dies.address;
    let text = pool(&stays.url(), &dies.upstream.url(), "") + "routes: {mock: {model: up}}\n";
    let stage = Stage::of(stays, &text).await;
    let load = Load::by(8, &stage.client);
    load.goes_on(400).await;

    let killed = Instant::now();
    drop(dies);
    eventually("the ejection", async || stage.gateway.log_of("endpoint ejected").pop()).await;
    let ejected = killed.elapsed();
    let ready = stage.admin.get("/readyz").await.json();
    assert_eq!(ready["degraded"]["pool"], json!({"endpoints": 2, "taking_calls": 1}));
    // Long enough for a probe to find nobody there.
    load.goes_on(1_000).await;
    eventually("a second without it", async || (killed.elapsed() > Duration::from_secs(1)).then_some(())).await;
    let during = Counts::read(&stage.admin).await.sum("tidegate_endpoint_state");
    assert_eq!(during, 2.0, "one is ejected");

    let restarted = Instant::now();
    let dies = Mortal::at(&address.to_string()).await;
    eventually("a call to it", async || (dies.upstream.count() > 0).then_some(())).await;
    eventually("its return", async || stage.gateway.log_of("takes calls again").pop()).await;
    let back = restarted.elapsed();
    load.goes_on(400).await;
    let (calls, failed) = load.end().await;
    let counts = settled(&stage.admin, calls as f64).await;

    let retries = counts.sum("tidegate_upstream_attempts_total") - calls as f64;
    println!(
        "figure: {calls} calls, {} failed; ejected after {ejected:?}, back after {back:?}; {retries} retries",
        failed.len()
    );
    assert!(failed.is_empty(), "{} of {calls} calls failed, such as {}", failed.len(), failed[0]);
    assert!(ejected < Duration::from_secs(1), "ejected after {ejected:?}");
    assert!(back < Duration::from_secs(3), "back after {back:?}");
    assert!(retries <= 10.0 + calls as f64 * 0.2, "{retries} retries of {calls} calls");
    assert_eq!(counts.sum("tidegate_endpoint_state"), 0.0);
    assert!(counts.sum("tidegate_endpoint_ejections_total") >= 1.0);
    let changes = stage.gateway.log().iter().filter(|line| line.contains("endpoint ejected")).count();
    assert!(changes < 5, "a line a change, not a call: {changes}");
    assert!(stage.admin.get("/readyz").await.json().get("degraded").is_none());
}

#[tokio::test]
async fn an_endpoint_that_answers_5xx_is_ejected_and_the_last_one_never() {
    let (good, sick) = (Upstream::start().await, Upstream::start().await);
    sick.always(upstream::failure(500));
    let text = pool(&good.url(), &sick.url(), ", outlier_detection: {consecutive_failures: 2, ejection_time: 1m}")
        + "routes: {mock: {model: up, retry: {attempts: 2, backoff: 1ms, budget: 100%}}}\n";
    let stage = Stage::of(good, &text).await;
    for _ in 0..40 {
        assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    }
    assert_eq!(sick.count(), 2, "after two failures it is left alone");
    let page = Counts::read(&stage.admin).await;
    let line =
        page.text().lines().find(|line| line.starts_with("tidegate_endpoint_ejections_total") && line.ends_with(" 1"));
    assert!(line.is_some_and(|line| line.contains("reason=\"5xx\"")), "{line:?}");
    // Now the other fails too: its own words reach the caller, again and again.
    stage.upstream.always(upstream::failure(503));
    for _ in 0..6 {
        let answer = stage.client.chat(&chat("mock")).await;
        assert_eq!(answer.status(), 503);
        assert!(answer.text().contains("own words"), "{}", answer.text());
    }
    stage.upstream.always(upstream::completion("well again", 1, 1));
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
}

/// A stream that begins and then waits.
fn held(gate: &Arc<Semaphore>) -> Act {
    Act::Stream(vec![opening(), Step::Hold(Arc::clone(gate)), done()])
}

#[tokio::test]
async fn full_endpoints_refuse_at_once_or_fall_back() {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    let gate = Arc::new(Semaphore::new(0));
    a.always(held(&gate));
    let text = format!(
        "{}providers:\n  pa: {{openai: {{endpoints: [{{url: \"{}\"}}], max_concurrency: 2}}}}\n  pb: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}\nmodels: {{ma: {{provider: pa, model: m}}, mb: {{provider: pb, model: m}}}}\nroutes:\n  mock: {{model: ma}}\n  falls: {{variants: {{a: {{model: ma}}, b: {{model: mb}}}}, policy: {{weighted: {{a: 100%, b: 0%}}}}, fallback: [{{when: [overloaded], to: {{variant: b}}}}]}}\n",
        home::BASE,
        a.url(),
        b.url()
    );
    let stage = Stage::of(a, &text).await;
    let mut first = stage.client.stream(&chat_stream("mock")).await;
    let mut second = stage.client.stream(&chat_stream("mock")).await;
    first.event().await.expect("it begins");
    second.event().await.expect("it begins");
    let began = Instant::now();
    let refused = stage.client.chat(&chat("mock")).await;
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("1")), "{}", refused.text());
    assert!(began.elapsed() < Duration::from_millis(900), "nobody waits: {:?}", began.elapsed());
    assert!(refused.text().contains("as many calls as it may have"), "{}", refused.text());
    let elsewhere = stage.client.chat(&chat("falls")).await;
    assert_eq!(elsewhere.status(), 200, "{}", elsewhere.text());
    assert_eq!(event(&stage.admin, &elsewhere.request_id()).await["variant"], "b");
    gate.add_permits(2);
    assert_eq!(first.events().await.last().map(String::as_str), Some("[DONE]"));
    assert_eq!(second.events().await.last().map(String::as_str), Some("[DONE]"));
    gate.add_permits(1);
    assert_eq!(
        stage.client.stream(&chat_stream("mock")).await.events().await.last().map(String::as_str),
        Some("[DONE]")
    );
    assert_eq!(stage.upstream.count(), 3);
}
