//! Files that come up in parts: whole or not at all, by whom the address was given to, judged like any other; the same on a
//! folder and in a bucket, and with MLflow's own client.

use crate::harness::client::Answer;
use crate::harness::home::BASE;
use crate::harness::s3::S3;
use crate::harness::{Client, Gateway, Home, Upstream, may_be_left_out};
use serde_json::{Value, json};

const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";
const PARTS: &str = "/api/2.0/mlflow-artifacts/mpu";
const FOLDER: &str = "artifacts: \"file:artifacts\"";

struct Stage {
    home: Home,
    gateway: Gateway,
    /// Has the role `write`.
    writer: Client,
    /// The writer's.
    key: String,
    _upstream: Upstream,
}

impl Stage {
    /// A gateway whose registry keeps files where these fields of `store` say.
    async fn new(artifacts: &str) -> Self {
        let upstream = Upstream::start().await;
        let home = Home::new();
        let store = format!("{{events: {{to: \"file:events\"}}, registry: \"sqlite:registry.db\", {artifacts}}}");
        let base = BASE.replace("{events: {to: \"file:events\"}}", &store);
        let provider = crate::harness::provider("pool", &[&upstream]);
        home.write("config.yaml", &format!("{base}{provider}{}", crate::harness::ROUTES));
        let key = home.key(&["read", "write"]);
        let gateway = home.serve().await;
        let writer = gateway.client().with_key(&key);
        Self { home, gateway, writer, key, _upstream: upstream }
    }

    /// Begins an upload of `m/1/NAME`; its id, and the paths that parts go to.
    async fn begin(&self, name: &str, parts: usize) -> (String, Vec<String>) {
        let wanted = json!({"path": format!("/home/me/{name}"), "num_parts": parts});
        let answer = self.writer.send("POST", &format!("{PARTS}/create/m/1"), &[], wanted.to_string().as_bytes()).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let begun = answer.json();
        let address = |part: &Value| {
            let url = part["url"].as_str().expect("an address").to_owned();
            let rest = url.strip_prefix("http://127.0.0.1:").expect("our own address");
            rest[rest.find('/').expect("a path")..].to_owned()
        };
        let paths = begun["credentials"].as_array().expect("addresses").iter().map(address).collect();
        (begun["upload_id"].as_str().expect("an id").to_owned(), paths)
    }

    /// Sends a part as to a bucket's signed address, without a key; how it is named when the upload is completed.
    async fn part(&self, path: &str, number: usize, content: &[u8]) -> Value {
        let put = self.gateway.client().without_key().send("PUT", path, &[], content).await;
        assert_eq!(put.status(), 200, "{}", put.text());
        json!({"part_number": number, "etag": put.head.header("etag"), "url": path})
    }

    async fn complete(&self, name: &str, id: &str, parts: &[Value]) -> Answer {
        let body = json!({"path": format!("/home/me/{name}"), "upload_id": id, "parts": parts}).to_string();
        self.writer.send("POST", &format!("{PARTS}/complete/m/1"), &[], body.as_bytes()).await
    }
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status(), answer.json()["error_code"].as_str().unwrap_or_default().to_owned())
}

fn invalid() -> (u16, String) {
    (400, "INVALID_PARAMETER_VALUE".to_owned())
}

/// Bytes in which a piece that stands elsewhere is seen.
fn content() -> Vec<u8> {
    (0..12 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[tokio::test]
async fn a_file_comes_up_in_parts_whole_or_not_at_all() {
    let stage = Stage::new(FOLDER).await;
    whole_or_not_at_all(&stage).await;
    let left = std::fs::read_dir(stage.home.path().join("artifacts/paths/.uploads")).expect("a folder").count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn the_same_in_a_bucket() {
    let Some(bucket) = S3::start().await else {
        may_be_left_out("the_same_in_a_bucket", "a server of S3: tests/conformance/install s3");
        return;
    };
    whole_or_not_at_all(&Stage::new(&bucket.store()).await).await;
}

async fn whole_or_not_at_all(stage: &Stage) {
    let client = &stage.writer;
    let nobody = stage.gateway.client().without_key();
    let (file, name) = (content(), "model.bin");
    let down = format!("{FILES}/m/1/model.bin");
    let pieces: Vec<&[u8]> = file.chunks(5 << 20).collect();
    let (id, paths) = stage.begin(name, pieces.len()).await;
    let mut parts = Vec::new();
    for (n, (path, piece)) in paths.iter().zip(&pieces).enumerate().rev() {
        parts.insert(0, stage.part(path, n + 1, piece).await);
    }
    assert_eq!(refused(&stage.complete(name, &id, &parts[..2]).await), invalid());
    let swapped = [parts[1].clone(), parts[0].clone(), parts[2].clone()];
    assert_eq!(refused(&stage.complete(name, &id, &swapped).await), invalid());
    assert_eq!(refused(&stage.complete("other.bin", &id, &parts).await), invalid());
    assert_eq!(client.get(&down).await.status(), 404, "not there before it is whole");
    assert_eq!(client.get(FILES).await.json(), json!({}), "what is under way is not listed");
    assert_eq!(client.get(&format!("{FILES}?path=.uploads")).await.status(), 400);
    let done = stage.complete(name, &id, &parts).await;
    assert_eq!((done.status(), done.json()), (200, json!({})));
    assert!(client.get(&down).await.body == file);
    assert_eq!(refused(&stage.complete(name, &id, &parts).await), invalid(), "it is over");
    assert_eq!(refused(&nobody.send("PUT", &paths[0], &[], b"x").await), invalid());

    let (id, paths) = stage.begin(name, 1).await;
    for wrong in [format!("{}0", paths[0]), paths[0].replace(&id, &"0".repeat(64)), paths[0].replace(&id, "..")] {
        assert!((400..405).contains(&nobody.send("PUT", &wrong, &[], b"x").await.status()), "{wrong}");
    }
    stage.part(&paths[0], 1, b"new").await;
    let body = json!({"path": "model.bin", "upload_id": id}).to_string();
    let abort = async |client: &Client| client.send("POST", &format!("{PARTS}/abort/m/1"), &[], body.as_bytes()).await;
    assert_eq!(abort(&nobody).await.status(), 401);
    assert_eq!(abort(client).await.status(), 200);
    assert_eq!(refused(&nobody.send("PUT", &paths[0], &[], b"new").await), invalid());
    assert!(client.get(&down).await.body == file, "what was aborted changed nothing");
}

#[tokio::test]
async fn what_came_in_parts_is_judged_as_a_whole() {
    let stage = Stage::new(FOLDER).await;
    let name = "model.safetensors";
    let complete = async |first: &[u8], second: &[u8]| {
        let (id, paths) = stage.begin(name, 2).await;
        let parts = [stage.part(&paths[0], 1, first).await, stage.part(&paths[1], 2, second).await];
        stage.complete(name, &id, &parts).await
    };
    let header = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
    let pickle = complete(b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00\x8c\x08", b"builtins\x94.").await;
    assert_eq!(refused(&pickle), invalid(), "{}", pickle.text());
    assert_eq!(refused(&complete(&file[..20], &file[20..file.len() - 1]).await), invalid(), "its end is missing");
    assert_eq!(stage.writer.get(&format!("{FILES}/m/1/{name}")).await.status(), 404);
    let done = complete(&file[..20], &file[20..]).await;
    assert_eq!(done.status(), 200, "{}", done.text());
    assert!(stage.writer.get(&format!("{FILES}/m/1/{name}")).await.body == file);
}

/// MLflow's own client sends 100 MiB in parts and has them back.
#[tokio::test]
async fn mlflows_client_sends_a_long_file_in_parts() {
    const SCRIPT: &str = r#"
import os, sys, time
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
repo = MlflowArtifactsRepository("mlflow-artifacts:/m/1", sys.argv[1])
assert repo._is_multipart_upload_enabled(), "server-info does not offer it"
sent, whole = [], repo.complete_multipart_upload
def complete(local_file, upload_id, parts=None, artifact_path=None):
    sent.append(len(parts))
    return whole(local_file, upload_id, parts, artifact_path)
repo.complete_multipart_upload = complete
content = os.urandom(100 << 20)
with open("model.bin", "wb") as file:
    file.write(content)
began = time.monotonic()
repo.log_artifact("model.bin", "weights")
up = time.monotonic() - began
os.mkdir("down")
down = repo.download_artifacts("weights/model.bin", "down")
took = time.monotonic() - began - up
with open(down, "rb") as file:
    assert file.read() == content
print(f"figure: MLflow's client sends 100 MiB in {sent} parts in {up:.2f} s and has them back in {took:.2f} s")
assert sent == [10], sent
"#;
    let home = std::env::var("HOME").unwrap_or_default();
    let cache = std::env::var("TIDEGATE_CACHE").unwrap_or_else(|_| format!("{home}/.cache/tidegate"));
    let python = format!("{cache}/clients/mlflow-venv/bin/python");
    if !std::path::Path::new(&python).exists() {
        let lacks = "MLflow: tests/conformance/install mlflow";
        may_be_left_out("mlflows_client_sends_a_long_file_in_parts", lacks);
        return;
    }
    let stage = Stage::new(FOLDER).await;
    stage.home.write("send.py", SCRIPT);
    let mut command = stage.home.command(&python);
    command.args(["send.py", &format!("http://{}", stage.gateway.address("public"))]);
    command.env("MLFLOW_TRACKING_TOKEN", &stage.key);
    command.env("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true");
    command.env("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", (50 << 20).to_string());
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ends");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    println!("{out}");
}
