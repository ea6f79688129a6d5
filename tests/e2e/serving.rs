//! Models of the registry served: an alias that moves is followed by every replica without an error, versions are tried
//! against each other, and one that cannot be loaded changes nothing.

use crate::harness::home::BASE;
use crate::harness::postgres::Postgres;
use crate::harness::s3::S3;
use crate::harness::{Client, Gateway, Home, Upstream, eventually, may_be_left_out, provider, tiny};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const API: &str = "/api/2.0/mlflow";

struct Replica {
    home: Home,
    gateway: Gateway,
    client: Client,
}

impl Replica {
    /// A gateway that serves nothing of the registry yet.
    async fn start(registry: &str, artifacts: &str, upstream: &Upstream) -> Self {
        Self::with(&format!("registry: \"{registry}\", artifacts: \"file:{artifacts}\""), upstream).await
    }

    /// The same with these fields of `store`.
    async fn with(fields: &str, upstream: &Upstream) -> Self {
        let home = Home::new();
        let store = format!("{{events: {{to: \"file:events\"}}, {fields}}}");
        let base = BASE.replace("{events: {to: \"file:events\"}}", &store);
        home.write("config.yaml", &format!("{base}{}{}", provider("pool", &[upstream]), crate::harness::ROUTES));
        let key = home.key(&["infer", "read", "write"]);
        let gateway = home.serve().await;
        let client = gateway.client().with_key(&key);
        Self { home, gateway, client }
    }

    /// Serves these models too.
    async fn serve(&self, models: &str, routes: &str) {
        let text = self.home.read("config.yaml");
        let text = text.replace("providers: {", "providers: {here: {local: {threads: 1}}, ");
        let text = text
            .replace("models: {", &format!("models: {{{models}, "))
            .replace("routes: {", &format!("routes: {{{routes}, "));
        self.home.replace("config.yaml", &text);
        eventually("the models", async || (self.client.models().await.len() > 1).then_some(())).await;
    }

    /// Runs `tidegate model` on its admin interface.
    fn model(&self, arguments: &[&str]) -> crate::harness::home::Ran {
        let url = format!("http://{}", self.gateway.address("admin"));
        self.home.run(&[&["model"], arguments, &["--url", &url]].concat())
    }

    async fn ready(&self) -> Value {
        self.gateway.client().without_key().get("/readyz").await.json()
    }
}

async fn call(client: &Client, path: &str, body: &Value) {
    let json = [("content-type", "application/json")];
    let answer = client.send("POST", &format!("{API}{path}"), &json, body.to_string().as_bytes()).await;
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
}

/// Registers a version of `m` with these weights.
async fn version(client: &Client, n: u32, weights: &[u8]) {
    for (name, content) in [
        ("model.safetensors", weights),
        ("tokenizer.json", tiny::tokenizer().as_bytes()),
        ("config.json", tiny::config().as_bytes()),
    ] {
        let path = format!("/api/2.0/mlflow-artifacts/artifacts/m/{n}/{name}");
        assert_eq!(client.send("PUT", &path, &[], content).await.status(), 200);
    }
    call(client, "/model-versions/create", &json!({"name": "m", "source": format!("mlflow-artifacts:/m/{n}")})).await;
}

/// Registers a reranker as `ranker`, version 1, with the alias `champion`.
async fn ranker(client: &Client) {
    for (name, content) in [
        ("model.safetensors", &tiny::reranker_weights(3)[..]),
        ("tokenizer.json", tiny::tokenizer().as_bytes()),
        ("config.json", tiny::reranker_config().as_bytes()),
    ] {
        let path = format!("/api/2.0/mlflow-artifacts/artifacts/ranker/{name}");
        assert_eq!(client.send("PUT", &path, &[], content).await.status(), 200);
    }
    call(client, "/registered-models/create", &json!({"name": "ranker"})).await;
    call(client, "/model-versions/create", &json!({"name": "ranker", "source": "mlflow-artifacts:/ranker"})).await;
    let alias = json!({"name": "ranker", "alias": "champion", "version": "1"});
    call(client, "/registered-models/alias", &alias).await;
}

#[tokio::test]
async fn documents_are_ranked_by_a_model_of_the_registry() {
    let upstream = Upstream::start().await;
    let replica = Replica::start("sqlite:registry.db", "artifacts", &upstream).await;
    let client = &replica.client;
    ranker(client).await;
    let model = "ranker: {provider: here, source: \"models:/ranker@champion\"}";
    replica.serve(model, "ranker: {model: ranker}").await;
    let documents = json!(["a b c", {"text": "d e"}, "c"]);
    let ask = async |more: Value| {
        let mut body = json!({"model": "ranker", "query": "a b", "documents": documents});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        client.post("/v1/rerank", &body).await
    };
    let answer = ask(json!({})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let whole = answer.json();
    let scores: Vec<f64> =
        whole["results"].as_array().expect("results").iter().filter_map(|r| r["relevance_score"].as_f64()).collect();
    assert!(scores.len() == 3 && scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|s| (0.0..=1.0).contains(s)));
    assert!(whole["usage"]["total_tokens"].as_u64() > Some(0) && whole["model"] == "ranker");
    let best = ask(json!({"top_n": 1, "return_documents": true})).await.json();
    assert_eq!(best["results"].as_array().map(Vec::len), Some(1));
    assert_eq!(best["results"][0]["index"], whole["results"][0]["index"]);
    assert!(best["results"][0]["document"]["text"].is_string(), "{best}");
    // What is wrong is said as everywhere else, by the gateway and by the model.
    let bad = client.post("/v1/rerank", &json!({"model": "ranker", "query": "a"})).await;
    assert_eq!((bad.status(), &bad.json()["error"]["param"]), (400, &json!("documents")));
    let long =
        client.post("/v1/rerank", &json!({"model": "ranker", "query": "a ".repeat(40), "documents": ["b"]})).await;
    assert_eq!((long.status(), &long.json()["error"]["code"]), (400, &json!("context_length_exceeded")));
    let other = client.post("/v1/embeddings", &json!({"model": "ranker", "input": "a"})).await;
    assert_eq!((other.status(), &other.json()["error"]["param"]), (400, &json!("model")));
    assert_eq!(client.send("GET", "/v1/rerank", &[], b"").await.status(), 405);
    // The record is like any other call's.
    let id = answer.header("x-request-id").expect("an id").to_owned();
    eventually("the record", async || {
        (replica.home.run(&["explain", &id, "--config", "config.yaml"]).code() == 0).then_some(())
    })
    .await;
    let metrics = client.get("/metrics").await.text();
    assert!(metrics.contains("api=\"rerank\""), "{metrics}");
}

async fn point(client: &Client, n: u32) {
    call(client, "/registered-models/alias", &json!({"name": "m", "alias": "champion", "version": n.to_string()}))
        .await;
}

async fn two_versions(client: &Client) {
    call(client, "/registered-models/create", &json!({"name": "m"})).await;
    for n in [1, 2] {
        version(client, n, &tiny::weights(n)).await;
    }
    point(client, 1).await;
}

const TINY: &str = "tiny: {provider: here, source: \"models:/m@champion\"}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_moves_under_load_at_two_replicas_without_an_error() {
    let test = "an_alias_moves_under_load_at_two_replicas_without_an_error";
    let Some(postgres) = Postgres::start() else {
        may_be_left_out(test, "PostgreSQL");
        return;
    };
    let (upstream, shared) = (Upstream::start().await, Home::new());
    let artifacts = shared.path().join("artifacts").to_str().expect("UTF-8").to_owned();
    let registry = postgres.url("postgres");
    let first = Replica::start(&registry, &artifacts, &upstream).await;
    two_versions(&first.client).await;
    let second = Replica::start(&registry, &artifacts, &upstream).await;
    let replicas = [first, second];
    for replica in &replicas {
        replica.serve(TINY, "tiny: {model: tiny}").await;
    }
    // 200 calls a second in all, each alternating between the replicas.
    let (stop, calls, wrong) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let clients = [replicas[0].client.clone(), replicas[1].client.clone()];
    let load = tokio::spawn({
        let (stop, calls, wrong) = (Arc::clone(&stop), Arc::clone(&calls), Arc::clone(&wrong));
        async move {
            let mut beat = tokio::time::interval(Duration::from_millis(5));
            let mut under_way = tokio::task::JoinSet::new();
            while !stop.load(Ordering::Relaxed) {
                beat.tick().await;
                let n = calls.fetch_add(1, Ordering::Relaxed);
                let (client, wrong) = (clients[usize::from(n % 2 == 1)].clone(), Arc::clone(&wrong));
                under_way.spawn(async move {
                    let answer = client.post("/v1/embeddings", &json!({"model": "tiny", "input": "a b c"})).await;
                    if answer.status() != 200 {
                        eprintln!("{}: {}", answer.status(), answer.text());
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while under_way.join_next().await.is_some() {}
        }
    });
    let (began, mut took) = (Instant::now(), Vec::new());
    for round in 0..200_u32 {
        let to = 2 - round % 2;
        point(&replicas[0].client, to).await;
        let moved = Instant::now();
        for replica in &replicas {
            eventually("the flip", async || (replica.ready().await["models"]["tiny"]["version"] == to).then_some(()))
                .await;
        }
        took.push(moved.elapsed());
    }
    let seconds = began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    load.await.expect("the load ends");
    took.sort();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    let calls = calls.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand calls")]
    let rate = calls as f64 / seconds;
    println!(
        "figure: 200 moves of an alias, both replicas serve after {median:?}, at most {longest:?}; {calls} calls ({rate:.0} a second), {} errors",
        wrong.load(Ordering::Relaxed)
    );
    assert_eq!(wrong.load(Ordering::Relaxed), 0);
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    // The poll alone would take half its 500 ms for one replica, and more for the later of two.
    assert!(median < Duration::from_millis(250), "{median:?}");
    all_are_waited_for(&replicas).await;
    assert!(rate > 150.0, "{rate}");
}

/// Both replicas tell what they serve, and `promote --wait` ends when both serve the version.
async fn all_are_waited_for(replicas: &[Replica; 2]) {
    let ran = replicas[1].model(&["promote", "m/2", "champion", "--wait"]);
    assert!(ran.code() == 0 && ran.out().contains("2 replicas serve it"), "{}{}", ran.out(), ran.err());
    let found = replicas[0].gateway.admin().get("/admin/v1/serving").await.json();
    let all = found["data"].as_array().expect("a list");
    let serves = |one: &Value| {
        (&one["reference"], &one["version"], &one["state"])
            == (&json!("models:/m@champion"), &json!(2), &json!("serves"))
    };
    assert!(all.len() == 2 && all.iter().all(serves) && all[0]["replica"] != all[1]["replica"], "{found}");
    let metrics = replicas[1].gateway.admin().get("/metrics").await.text();
    for family in ["tidegate_model_learn_seconds", "tidegate_model_load_seconds"] {
        let figures: Vec<&str> = metrics
            .lines()
            .filter(|line| line.starts_with(&format!("{family}_sum")) || line.starts_with(&format!("{family}_count")))
            .collect();
        println!("figure: {}", figures.join(", "));
        assert_eq!(figures.len(), 2, "{metrics}");
    }
}

#[tokio::test]
async fn two_versions_of_a_model_are_tried_against_each_other_and_a_broken_one_changes_nothing() {
    let upstream = Upstream::start().await;
    let replica = Replica::start("sqlite:registry.db", "artifacts", &upstream).await;
    two_versions(&replica.client).await;
    let models = format!(
        "{TINY}, one: {{provider: here, source: \"models:/m/1\"}}, two: {{provider: here, source: \"models:/m/2\"}}"
    );
    replica.serve(&models, "tiny: {model: tiny}, tried: {variants: {a: {model: one}, b: {model: two}}}").await;
    let admin = replica.gateway.admin();
    let (mut vectors, mut seen) = ([Value::Null, Value::Null], [0, 0]);
    for _ in 0..40 {
        let answer = replica.client.post("/v1/embeddings", &json!({"model": "tried", "input": "a b"})).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let event = crate::harness::events::event(&admin, answer.head.header("x-request-id").expect("an id")).await;
        let arm = usize::from(event["model_version"] == 2);
        assert_eq!(event["variant"], ["a", "b"][arm]);
        vectors[arm] = answer.json()["data"][0]["embedding"].clone();
        seen[arm] += 1;
    }
    assert!(seen[0] > 5 && seen[1] > 5 && vectors[0] != vectors[1], "{seen:?}");

    // Safetensors, but of no model: the artifact store takes it, and the engine does not.
    let header = br#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    version(&replica.client, 3, &[&(header.len() as u64).to_le_bytes()[..], header, &[7]].concat()).await;
    point(&replica.client, 3).await;
    let ready = eventually("the refusal", async || {
        let ready = replica.ready().await;
        (ready["models"]["tiny"]["refused"]["version"] == 3).then_some(ready)
    })
    .await;
    assert_eq!((&ready["status"], &ready["models"]["tiny"]["version"]), (&json!("ready"), &json!(1)));
    let answer = replica.client.post("/v1/embeddings", &json!({"model": "tiny", "input": "a b"})).await;
    assert_eq!(answer.json()["data"][0]["embedding"], vectors[0]);
    let metrics = admin.get("/metrics").await.text();
    assert!(metrics.contains("tidegate_model_version{model=\"tiny\"} 1"), "{metrics}");
    assert!(metrics.contains("tidegate_model_loads_refused_total 1"), "{metrics}");
    let log = replica.home.run(&["audit", "export", "--config", "config.yaml"]).out();
    assert!(log.contains("serving.refused") && log.contains("models:/m@champion"), "{log}");
    let ran = replica.model(&["promote", "m/3", "champion", "--wait", "60"]);
    assert!(ran.code() == 1 && ran.err().contains("cannot serve version 3"), "{}{}", ran.out(), ran.err());
    // A file that was damaged since it was stored is found before anything is made of it.
    version(&replica.client, 4, &tiny::weights(4)).await;
    damage(&replica.home.path().join("artifacts/objects"), &tiny::weights(4));
    let ran = replica.model(&["promote", "m/4", "champion", "--wait", "60"]);
    assert!(ran.code() == 1 && ran.err().contains("damaged since it was stored"), "{}{}", ran.out(), ran.err());
    // Neither does it keep a key in force that is revoked.
    let wanted = json!({"principal": "leaver", "tenant": "t", "roles": ["infer"]});
    let made = admin.post("/admin/v1/keys", &wanted).await;
    assert_eq!(made.status(), 201, "{}", made.text());
    let leaver = replica.gateway.client().with_key(made.json()["secret"].as_str().expect("a secret"));
    let status = async |wanted: u16| (leaver.get("/v1/models").await.status() == wanted).then_some(());
    eventually("the new key", async || status(200).await).await;
    let path = format!("/admin/v1/keys/{}", made.json()["id"].as_str().expect("an id"));
    assert_eq!(admin.send("DELETE", &path, &[], b"").await.status(), 204);
    eventually("the revocation", async || status(401).await).await;
    // And back.
    point(&replica.client, 2).await;
    eventually("the flip", async || (replica.ready().await["models"]["tiny"]["version"] == 2).then_some(())).await;
    assert_eq!(replica.ready().await["models"]["tiny"].get("refused"), None);
}

/// Changes the last byte of the object that has this content.
fn damage(objects: &std::path::Path, content: &[u8]) {
    let inner =
        |folder: &std::path::Path| std::fs::read_dir(folder).expect("a folder").map(|it| it.expect("it").path());
    let object =
        inner(objects).flat_map(|folder| inner(&folder)).find(|file| std::fs::read(file).is_ok_and(|it| it == content));
    let mut damaged = content.to_vec();
    *damaged.last_mut().expect("bytes") ^= 1;
    std::fs::write(object.expect("the object"), damaged).expect("it can be written");
}

#[tokio::test]
async fn a_model_that_the_registry_does_not_have_is_refused() {
    let upstream = Upstream::start().await;
    let replica = Replica::start("sqlite:registry.db", "artifacts", &upstream).await;
    let text = replica.home.read("config.yaml").replace("providers: {", "providers: {here: {local: {}}, ");
    let text = text
        .replace("models: {", &format!("models: {{{TINY}, "))
        .replace("routes: {", "routes: {tiny: {model: tiny}, ");
    replica.home.write("lost.yaml", &text.replace("file:events", "file:elsewhere"));
    let ran = replica.home.run(&["serve", "--config", "lost.yaml"]);
    assert!(ran.code() == 1 && ran.err().contains("models:/m@champion"), "{}", ran.err());
    let without = text.replace("registry: \"sqlite:registry.db\", artifacts: \"file:artifacts\"", "");
    replica.home.write("none.yaml", &without);
    let ran = replica.home.run(&["check", "none.yaml"]);
    assert!(
        ran.code() == 2 && (ran.err() + &ran.out()).contains("from the registry, and there is none"),
        "{}",
        ran.out()
    );
}

/// Files of the registry lie in a bucket: they go up and down, and a model of theirs is served.
#[tokio::test]
async fn models_come_from_a_bucket() {
    let Some(bucket) = S3::start().await else {
        may_be_left_out("models_come_from_a_bucket", "a server of S3: tests/conformance/install s3");
        return;
    };
    let upstream = Upstream::start().await;
    let replica = Replica::with(&format!("registry: \"sqlite:registry.db\", {}", bucket.store()), &upstream).await;
    let client = &replica.client;
    let files = "/api/2.0/mlflow-artifacts/artifacts";
    let file: Vec<u8> = (0..20 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let put = client.send("PUT", &format!("{files}/long/model.bin"), &[], &file).await;
    assert_eq!(put.status(), 200, "{}", put.text());
    assert!(client.get(&format!("{files}/long/model.bin")).await.body == file);
    let part = client.send("GET", &format!("{files}/long/model.bin"), &[("range", "bytes=9000000-9000009")], b"").await;
    assert_eq!((part.status(), &part.body[..]), (206, &file[9_000_000..9_000_010]));
    let listed = client.get(&format!("{files}?path=long")).await.json();
    assert_eq!(listed, json!({"files": [{"path": "model.bin", "is_dir": false, "file_size": file.len()}]}));
    two_versions(client).await;
    replica.serve(TINY, "tiny: {model: tiny}").await;
    let answer = client.post("/v1/embeddings", &json!({"model": "tiny", "input": "a b"})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    point(client, 2).await;
    eventually("the flip", async || (replica.ready().await["models"]["tiny"]["version"] == 2).then_some(())).await;
    assert!(!replica.home.path().join(".tidegate/artifacts").exists(), "nothing lies beside the bucket");
    assert_eq!(client.send("DELETE", &format!("{files}/long"), &[], b"").await.status(), 200);
    assert_eq!(client.get(&format!("{files}/long/model.bin")).await.status(), 404);
}
