//! The registry's own interface on the admin listener: files are judged by their content, and models registered, listed
//! and shown; MLflow's interface sees the same.

use crate::harness::home::BASE;
use crate::harness::{Client, Gateway, Home, Upstream, eventually, tiny};
use serde_json::{Value, json};
use std::path::Path;

const MODELS: &str = "/admin/v1/models";
const MLFLOW: &str = "/api/2.0/mlflow";
const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";

struct Stage {
    home: Home,
    gateway: Gateway,
    /// On the admin listener, with its token.
    admin: Client,
    /// On the public one, with the role `write`.
    writer: Client,
    _upstream: Upstream,
}

impl Stage {
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let home = Home::new();
        let store = "{events: {to: \"file:events\"}, registry: \"sqlite:registry.db\", artifacts: \"file:artifacts\"}";
        let base = BASE.replace("{events: {to: \"file:events\"}}", store);
        let sections = format!("{}{}", crate::harness::provider("pool", &[&upstream]), crate::harness::ROUTES);
        home.write("config.yaml", &format!("{base}{sections}"));
        let key = home.key(&["read", "write"]);
        let gateway = home.serve().await;
        let (admin, writer) = (gateway.admin(), gateway.client().with_key(&key));
        Self { home, gateway, admin, writer, _upstream: upstream }
    }

    async fn upload(&self, query: &str, file: &[u8]) -> crate::harness::client::Answer {
        let octets = [("content-type", "application/octet-stream")];
        self.admin.send("POST", &format!("{MODELS}/m/artifact{query}"), &octets, file).await
    }
}

/// How many files lie below a folder, but for the lock of the artifact store.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { files(&path) } else { usize::from(!path.ends_with("lock")) }).sum()
}

fn message(body: &Value) -> &str {
    body["error"]["message"].as_str().expect("a message")
}

#[tokio::test]
async fn a_model_is_uploaded_registered_and_named_by_an_alias() {
    let stage = Stage::new().await;
    let file = tiny::weights(1);
    let kept = stage.upload("", &file).await;
    assert_eq!(kept.status(), 201, "{}", kept.text());
    let kept = kept.json();
    assert_eq!((&kept["format"], &kept["length"]), (&json!("safetensors"), &json!(file.len())));
    let path = kept["path"].as_str().expect("a path");
    let body = json!({
        "name": "m", "version": 1, "format": "safetensors", "uri": path, "sha256": kept["sha256"], "kind": "embedding",
        "tags": {"team": "search"}, "description": "the first",
    });
    let once = [("idempotency-key", "k1")];
    let post = async |headers: &[(&str, &str)], body: &Value| {
        stage.admin.send("POST", MODELS, headers, body.to_string().as_bytes()).await
    };
    let made = post(&once, &body).await;
    assert_eq!(made.status(), 201, "{}", made.text());
    assert_eq!((&made.json()["version"], &made.json()["uri"]), (&json!(1), &json!(path)));
    assert_eq!(
        (made.json()["tags"].clone(), made.json()["owner"].clone()),
        (json!({"team": "search"}), json!("admin"))
    );
    // Sent again it is done once; without the key it is another request, and the number is taken.
    assert_eq!(post(&once, &body).await.json(), made.json());
    let again = post(&[], &body).await;
    assert_eq!(again.status(), 409, "{}", again.text());
    assert!(message(&again.json()).contains("version: number 1 of m"), "{}", again.text());
    let adapter = json!({"name": "a", "format": "safetensors", "uri": "s3://bucket/a.safetensors", "parent": "m/1"});
    assert_eq!(post(&[], &adapter).await.json()["lineage"], json!({"parent": "m/1"}));

    // MLflow's interface sees the same model, and what it does is seen here.
    let alias = json!({"name": "m", "alias": "champion", "version": "1"});
    let pointed = stage.writer.post(&format!("{MLFLOW}/registered-models/alias"), &alias).await;
    assert_eq!(pointed.status(), 200, "{}", pointed.text());
    let source = stage.writer.get(&format!("{MLFLOW}/model-versions/get?name=m&version=1")).await.json();
    assert_eq!(source["model_version"]["source"], json!(format!("mlflow-artifacts:/{path}")));
    assert!(stage.writer.get(&format!("{FILES}/{path}")).await.body == file);
    let model = stage.admin.get(&format!("{MODELS}/m")).await.json();
    assert_eq!((&model["aliases"], &model["kind"]), (&json!({"champion": 1}), &json!("embedding")));
    assert_eq!(stage.admin.get(&format!("{MODELS}/m/versions/1")).await.json()["aliases"], json!(["champion"]));
    let page = stage.admin.get(&format!("{MODELS}?limit=1")).await.json();
    let next = page["next_page_token"].as_str().expect("a token").replace('=', "%3D");
    let rest = stage.admin.get(&format!("{MODELS}?limit=1&page_token={next}")).await.json();
    let names = [&page["data"][0]["name"], &rest["data"][0]["name"], &rest["next_page_token"]];
    assert_eq!(names, [&json!("a"), &json!("m"), &Value::Null]);
    assert_eq!(stage.admin.get(&format!("{MODELS}/m/versions/2")).await.status(), 404);
    assert_eq!(stage.admin.get(&format!("{MODELS}/m/versions/x")).await.status(), 400);
    // It is no part of the public interface.
    assert_eq!(stage.writer.get(MODELS).await.status(), 404);
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let stage = Stage::new().await;
    let artifacts = stage.home.path().join("artifacts");
    let good = tiny::weights(1);
    let appended = [&good[..], b"PK\x03\x04 and a whole archive"].concat();
    let pickle: &[u8] = b"\x80\x04cos\nsystem\n(S'id'\ntR.";
    for (file, says) in [
        (&b""[..], "it is empty"),
        (pickle, "it is a pickle"),
        (b"PK\x03\x04\x14\0\0\0\x08\0 an archive", "it is a zip archive"),
        (&appended, "bytes behind the end of its tensors"),
        (&good[..good.len() - 1], "send all of it"),
        (b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0\x80", "it counts"),
    ] {
        let refused = stage.upload("", file).await;
        assert_eq!(refused.status(), 400, "{}", refused.text());
        assert!(message(&refused.json()).contains(says), "{}", refused.text());
    }
    // MLflow's folders hold anything, but what is named as weights is judged there too.
    for (name, file, status) in
        [("model.safetensors", &appended[..], 400), ("model.gguf", &good, 400), ("model.gguf", pickle, 400)]
    {
        let put = stage.writer.send("PUT", &format!("{FILES}/m/1/{name}"), &[], file).await;
        assert_eq!(put.status(), status, "{name}: {}", put.text());
        assert_eq!(put.json()["error_code"], "INVALID_PARAMETER_VALUE");
    }
    assert_eq!(files(&artifacts), 0);
    assert_eq!(stage.writer.send("PUT", &format!("{FILES}/m/1/model.pkl"), &[], pickle).await.status(), 200);
    // A file stays as it is.
    assert_eq!(stage.upload("?path=models/x.bin", &good).await.status(), 201);
    let second = stage.upload("?path=models/x.bin", &tiny::weights(2)).await;
    assert_eq!(second.status(), 409, "{}", second.text());
    assert_eq!(stage.upload("?path=../x", &good).await.status(), 400);
    assert!(stage.writer.get(&format!("{FILES}/models/x.bin")).await.body == good);
}

#[tokio::test]
async fn a_body_that_is_wrong_is_told_all_that_is() {
    let stage = Stage::new().await;
    let file = tiny::weights(1);
    assert_eq!(stage.upload("?path=models/x.bin", &file).await.status(), 201);
    let put = stage.writer.send("PUT", &format!("{FILES}/models/bare"), &[], b"no model").await;
    assert_eq!(put.status(), 200);
    let mend = json!({"name": "m", "format": "safetensors", "uri": "models/x.bin"});
    for (key, value, says) in [
        ("name", json!("a/b"), "name: "),
        ("uri", json!("http://127.0.0.1:1/x"), "uri: "),
        ("uri", json!("models/bare"), "uri: at models/bare, the file is refused"),
        ("uri", json!("models:/m/9"), "uri: "),
        ("format", json!("gguf"), "format: the file at models/x.bin is safetensors"),
        ("sha256", json!("0".repeat(64)), "sha256: the file at models/x.bin has "),
        ("parent", json!("absent/1"), "parent: there is no version absent/1"),
        ("version", json!(2), "version: the next one of m is 1"),
        ("hook", json!("x"), "there is no field `hook`"),
    ] {
        let mut body = mend.clone();
        body[key] = value;
        let answer = stage.admin.post(MODELS, &body).await;
        assert!(matches!(answer.status(), 400 | 409), "{key}: {}", answer.text());
        assert!(message(&answer.json()).contains(says), "{key}: {}", answer.text());
    }
    let all = stage.admin.post(MODELS, &json!({"name": "", "format": "pt"})).await;
    for key in ["name: ", "format: ", "uri: "] {
        assert!(message(&all.json()).contains(key), "{}", all.text());
    }
    assert_eq!(stage.admin.get(MODELS).await.json()["data"], json!([]), "a refused registration leaves no model");
    // Who may read may not register.
    let reader = stage.gateway.admin().with_key(&stage.home.key(&["read"]));
    eventually("the key", async || (reader.get(MODELS).await.status() == 200).then_some(())).await;
    assert_eq!(reader.post(MODELS, &mend).await.status(), 403);
    assert_eq!(stage.admin.post(MODELS, &mend).await.status(), 201);
    let wrong = stage.admin.send("PUT", MODELS, &[], b"{}").await;
    assert_eq!((wrong.status(), wrong.head.header("allow")), (405, Some("GET, HEAD, POST")));
}
