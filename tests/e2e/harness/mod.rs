//! What the tests stand on: the program (`gateway`), its folder (`home`), the model server behind it (`upstream`), a
//! client that sees every byte (`client`, `wire`) and the records that calls leave (`events`).

pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod gateway;
pub(crate) mod git_server;
pub(crate) mod grpc;
pub(crate) mod home;
pub(crate) mod oci;
pub(crate) mod postgres;
pub(crate) mod receivers;
pub(crate) mod redis;
pub(crate) mod s3;
pub(crate) mod server;
pub(crate) mod shelf;
pub(crate) mod strace;
pub(crate) mod tiny;
pub(crate) mod upstream;
pub(crate) mod wire;

pub(crate) use client::Client;
pub(crate) use gateway::Gateway;
pub(crate) use home::Home;
pub(crate) use shelf::Shelf;
pub(crate) use strace::Strace;
pub(crate) use upstream::Upstream;

use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway in front of one upstream, with a route `mock` whose model has another name there, and a key for it.
pub(crate) struct Stage {
    pub(crate) upstream: Upstream,
    pub(crate) home: Home,
    pub(crate) gateway: Gateway,
    /// With a key of the role `infer`.
    pub(crate) client: Client,
    /// On the admin listener, with its token.
    pub(crate) admin: Client,
}

/// What the upstream's model is called, where callers say `mock`.
pub(crate) const UPSTREAM_MODEL: &str = "real/Model-1";

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// With further sections of the configuration.
    pub(crate) async fn with(more: &str) -> Self {
        let upstream = Upstream::start().await;
        let text = format!("{}{}{ROUTES}{more}", home::BASE, provider("pool", &[&upstream]));
        Self::of(upstream, &text).await
    }

    /// With this route in the place of the usual one.
    pub(crate) async fn of_route(route: &str) -> Self {
        let upstream = Upstream::start().await;
        let models = ROUTES.lines().next().unwrap_or_default();
        let text = format!("{}{}{models}\n{route}", home::BASE, provider("pool", &[&upstream]));
        Self::of(upstream, &text).await
    }

    /// With a configuration of its own, in front of `upstream`.
    pub(crate) async fn of(upstream: Upstream, configuration: &str) -> Self {
        let home = Home::new();
        home.write("config.yaml", configuration);
        let key = home.key(&["infer"]);
        let gateway = home.serve().await;
        let (client, admin) = (gateway.client().with_key(&key), gateway.admin());
        Self { upstream, home, gateway, client, admin }
    }
}

/// The model and the route of a [`Stage`].
pub(crate) const ROUTES: &str = "\
models: {up: {provider: pool, model: real/Model-1, price: {input: 1.0, output: 2.0}}}
routes: {mock: {model: up}}
";

/// The section `providers` with one provider of these endpoints.
pub(crate) fn provider(name: &str, upstreams: &[&Upstream]) -> String {
    let endpoints: Vec<String> = upstreams.iter().map(|upstream| format!("{{url: \"{}\"}}", upstream.url())).collect();
    format!(
        "providers: {{{name}: {{openai: {{endpoints: [{}], auth: {{bearer: \"${{env:UPSTREAM_KEY}}\"}}}}}}}}\n",
        endpoints.join(", ")
    )
}

/// A chat that asks `model` for little.
pub(crate) fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4})
}

/// The same as a stream.
pub(crate) fn chat_stream(model: &str) -> Value {
    let mut body = chat(model);
    body["stream"] = json!(true);
    body
}

/// Asks again until there is something, and fails with `what` when patience ends.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for something that another task brings about, and fails with `what` when patience ends.
pub(crate) async fn soon<T>(what: &str, happens: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, happens).await {
        Ok(happened) => happened,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Whether a test that needs something this machine lacks may be left out: never in CI.
pub(crate) fn may_be_left_out(test: &str, lacks: &str) -> bool {
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{test} needs {lacks}, and in CI nothing is left out"
    );
    eprintln!("LEFT OUT: {test} needs {lacks}");
    true
}
