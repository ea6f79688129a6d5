//! Governance from outside: a version reaches its governed alias by the command line when it has all that the gate asks,
//! and by no other way before.

use crate::harness::home::{BASE, Ran};
use crate::harness::{Client, Gateway, Home, Upstream, tiny};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const API: &str = "/api/2.0/mlflow";
const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";
const STORE: &str = "\
{events: {to: \"file:events\", durability: ack, content: hash}, registry: \"sqlite:registry.db\", \
artifacts: \"file:artifacts\", governance: {aliases: {production: {requires: [card, {evaluation: {monitor: faith, \
max_age: 7d}}, {approvals: 1}]}}}}";

struct Stage {
    home: Home,
    gateway: Gateway,
    /// Makes models, and may not approve.
    ann: String,
    /// Approves, and may not write.
    bob: String,
    /// Does both.
    eve: String,
    _upstream: Upstream,
}

impl Stage {
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let home = Home::new();
        let base = BASE.replace("{events: {to: \"file:events\"}}", STORE);
        let provider = crate::harness::provider("pool", &[&upstream]);
        home.write("config.yaml", &format!("{base}{provider}{}", crate::harness::ROUTES));
        let ann = home.key_as("ann", &["read", "write"]);
        let bob = home.key_as("bob", &["read", "approve"]);
        let eve = home.key_as("eve", &["read", "write", "approve"]);
        let gateway = home.serve().await;
        Self { home, gateway, ann, bob, eve, _upstream: upstream }
    }

    /// `tidegate model …` as the owner of this key.
    fn model(&self, key: &str, arguments: &[&str]) -> Ran {
        let url = format!("http://{}", self.gateway.address("admin"));
        self.home.run(&[&["model"], arguments, &["--url", &url, "--key", key]].concat())
    }

    /// The same, which must succeed.
    fn done(&self, key: &str, arguments: &[&str]) -> String {
        let ran = self.model(key, arguments);
        assert_eq!(ran.code(), 0, "{arguments:?}: {}", ran.err());
        ran.out()
    }

    fn client(&self, key: &str) -> Client {
        self.gateway.client().with_key(key)
    }

    /// A version of `m` by ann, with its file.
    async fn version(&self, number: u32) {
        let client = self.client(&self.ann);
        let file = format!("{FILES}/m/{number}/model.bin");
        let put = client.send("PUT", &file, &[], format!("weights {number}").repeat(100).as_bytes()).await;
        assert_eq!(put.status(), 200, "{}", put.text());
        let source = format!("mlflow-artifacts:/m/{number}");
        let made = client.post(&format!("{API}/model-versions/create"), &json!({"name": "m", "source": source})).await;
        assert_eq!(made.json()["model_version"]["version"], number.to_string(), "{}", made.text());
    }

    /// Gives a version all that the gate asks.
    fn make_ready(&self, version: &str) {
        self.done(&self.ann, &["card", version, "--set", "card.json"]);
        self.done(&self.ann, &["evaluate", version, "--monitor", "faith", "--verdict", "passed", "--score", "0.93"]);
        self.done(&self.bob, &["approve", version, "production", "--note", "read it"]);
    }
}

fn card() -> Value {
    json!({
        "summary": "Sorts mail.", "owner": "ann", "license": "mit", "intended_use": "Mail.", "limitations": "Short mail.",
        "training_data": "Old mail.", "evaluation": "By hand.",
    })
}

#[tokio::test]
async fn a_version_is_promoted_when_it_has_what_its_gate_asks_and_not_before() {
    let stage = Stage::new().await;
    stage.home.write("card.json", &card().to_string());
    let made = stage.client(&stage.ann).post(&format!("{API}/registered-models/create"), &json!({"name": "m"})).await;
    assert_eq!(made.status(), 200, "{}", made.text());
    stage.version(1).await;
    stage.version(2).await;

    let refused = stage.model(&stage.eve, &["promote", "m/1", "production"]);
    assert_eq!(refused.code(), 1);
    for missing in ["no model card", "not evaluated by `faith`", "0 of 1 approvals"] {
        assert!(refused.err().contains(missing), "{}", refused.err());
    }
    // MLflow's wire has the same gate, and says the same.
    let alias = json!({"name": "m", "alias": "production", "version": "1"});
    let by_mlflow = stage.client(&stage.eve).post(&format!("{API}/registered-models/alias"), &alias).await;
    assert_eq!((by_mlflow.status(), &by_mlflow.json()["error_code"]), (403, &json!("PERMISSION_DENIED")));
    assert!(by_mlflow.text().contains("no model card"), "{}", by_mlflow.text());

    stage.make_ready("m/1");
    // Four eyes: who made it does not approve of it, and who may not approve does not move it.
    assert!(stage.model(&stage.ann, &["approve", "m/1", "production"]).err().contains("403"));
    assert!(stage.model(&stage.ann, &["promote", "m/1", "production"]).err().contains("role `approve`"));
    assert!(stage.model(&stage.eve, &["promote", "m/1", "production", "--expect", "2"]).err().contains("409"));
    stage.done(&stage.eve, &["promote", "m/1", "production", "--expect", "0"]);
    // Its files stay as they were approved.
    for method in ["PUT", "DELETE"] {
        let changed = stage.client(&stage.ann).send(method, &format!("{FILES}/m/1/model.bin"), &[], b"other").await;
        assert_eq!(changed.status(), 409, "{method}: {}", changed.text());
    }
    let parts = "/api/2.0/mlflow-artifacts/mpu/create/m/1";
    let begun = stage.client(&stage.ann).post(parts, &json!({"path": "model.bin", "num_parts": 1})).await;
    assert_eq!(begun.status(), 409, "{}", begun.text());

    stage.make_ready("m/2");
    stage.done(&stage.eve, &["promote", "m/2", "production"]);
    let back = stage.done(&stage.eve, &["rollback", "m", "production"]);
    assert!(back.contains("m@production stands for version 1"), "{back}");
    let audited = stage.home.run(&["audit", "verify", "--config", "config.yaml"]);
    assert_eq!(audited.code(), 0, "{}", audited.err());
}

#[tokio::test]
async fn versions_are_listed_compared_and_verified() {
    let stage = Stage::new().await;
    stage.home.write("card.json", &card().to_string());
    stage.client(&stage.ann).post(&format!("{API}/registered-models/create"), &json!({"name": "m"})).await;
    stage.version(1).await;
    stage.version(2).await;
    stage.make_ready("m/1");
    stage.done(&stage.eve, &["promote", "m/1", "production"]);

    assert!(stage.done(&stage.bob, &["list"]).contains("production=1"));
    let shown: Value = serde_json::from_str(&stage.done(&stage.bob, &["show", "m/1"])).expect("JSON");
    assert_eq!((&shown["approvals"][0]["by"], &shown["evaluations"][0]["score"]), (&json!("bob"), &json!(0.93)));
    let page = stage.done(&stage.bob, &["card", "m/1"]);
    assert!(page.starts_with("---\nlicense: \"mit\"\n") && page.contains("## Limitations\n\nShort mail."), "{page}");
    let compared = stage.done(&stage.bob, &["diff", "m/1", "m/2"]);
    assert!(compared.contains("card.summary: Sorts mail. -> (none)"), "{compared}");
    assert!(compared.contains("evaluation.faith.score: 0.93 -> (none)"), "{compared}");

    let verified = stage.done(&stage.bob, &["verify", "m/1"]);
    assert!(verified.contains("ok m/1/model.bin") && verified.contains("ok gate of `production`"), "{verified}");
    // What is no file of a version, or no card, is refused with its reason.
    assert_eq!(stage.model(&stage.bob, &["verify", "m/9"]).code(), 1);
    stage.home.write("half.json", &json!({"summary": "x"}).to_string());
    assert!(stage.model(&stage.ann, &["card", "m/1", "--set", "half.json"]).err().contains("`license` is missing"));
    assert_eq!(stage.model(&stage.ann, &["card", "m", "--set", "card.json"]).code(), 2);
    // A file that rots shows.
    spoil(&stage.home.path().join("artifacts"), b"weights 1");
    let rotten = stage.model(&stage.bob, &["verify", "m/1"]);
    assert_eq!(rotten.code(), 1);
    assert!(rotten.out().contains("NO m/1/model.bin: its SHA-256 is"), "{}", rotten.out());
}

#[tokio::test]
async fn a_file_is_registered_from_the_command_line_and_one_that_is_no_model_is_not() {
    let stage = Stage::new().await;
    fs::write(stage.home.path().join("sorter.safetensors"), tiny::weights(1)).expect("the file is written");
    let register = ["register", "sorter", "--file", "sorter.safetensors", "--kind", "embedding", "--tag", "team=mail"];
    let made: Value = serde_json::from_str(&stage.done(&stage.ann, &register)).expect("JSON");
    assert_eq!((&made["version"], &made["tags"]["team"], &made["owner"]), (&json!(1), &json!("mail"), &json!("ann")));
    let digest = made["sha256"].as_str().expect("a digest");
    let commit = "c".repeat(40);
    let by_uri = ["register", "sorter", "--uri", made["uri"].as_str().expect("a place"), "--sha256", digest];
    let more = ["--parent", "sorter/1", "--git-commit", &commit];
    let made: Value = serde_json::from_str(&stage.done(&stage.ann, &[&by_uri[..], &more].concat())).expect("JSON");
    assert_eq!(made["lineage"], json!({"parent": "sorter/1", "git_commit": commit}));
    assert!(stage.done(&stage.bob, &["list"]).contains("embedding"));
    stage.done(&stage.bob, &["verify", "sorter/2"]);
    let risk = |key: &str, risk: &str| stage.model(key, &["classify", "sorter", "--risk", risk]);
    assert_eq!(risk(&stage.ann, "high").code(), 0);
    assert!(risk(&stage.ann, "minimal").err().contains("role `approve`"));
    assert!(risk(&stage.eve, "minimal").out().contains("\"risk\": \"minimal\""));
    assert_eq!(stage.model(&stage.ann, &["classify", "sorter"]).code(), 2);
    // What is no model leaves no version and no file; what is not said, or wrong, is named.
    fs::write(stage.home.path().join("evil.safetensors"), b"\x80\x04\x95").expect("the file is written");
    let refused = stage.model(&stage.ann, &["register", "evil", "--file", "evil.safetensors"]);
    assert_eq!(refused.code(), 1, "{}", refused.out());
    assert!(refused.err().contains("the file is refused"), "{}", refused.err());
    assert_eq!(stage.model(&stage.bob, &["show", "evil"]).code(), 1);
    assert_eq!(stage.model(&stage.ann, &["register", "x", "--uri", "models/x"]).code(), 2);
    assert!(stage.model(&stage.ann, &["register", "x", "--uri", "file:/x", "--format", "gguf"]).err().contains("uri:"));
}

/// Changes the last byte of each file that begins with `beginning`.
fn spoil(folder: &Path, beginning: &[u8]) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            spoil(&entry, beginning);
            continue;
        }
        let mut bytes = fs::read(&entry).expect("a file");
        if bytes.starts_with(beginning) {
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            fs::remove_file(&entry).expect("the file goes");
            fs::write(&entry, bytes).expect("the file is written");
        }
    }
}
