//! Models that come from a running MLflow server by `tidegate registry import`: with their numbers, again without writing
//! anything twice, whole after any kill, and from a server that lies.

use crate::harness::home::{BASE, PROGRAM, Ran};
use crate::harness::{Gateway, Home, Upstream, may_be_left_out};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Fills the server, changes what is there, or compares both: what the first argument says.
const SCRIPT: &str = r#"
import json, os, sys
import mlflow
from mlflow import MlflowClient
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

what, theirs, ours = sys.argv[1:4]
there = MlflowClient(tracking_uri=theirs, registry_uri=theirs)

def put(folder, name, content):
    os.makedirs("up", exist_ok=True)
    with open(f"up/{name}", "wb") as file:
        file.write(content)
    MlflowArtifactsRepository(folder, theirs).log_artifact(f"up/{name}")

if what == "fill":
    for i in range(12):
        name = f"model {i} 'quoted'" if i == 3 else f"модель-{i}" if i == 4 else f"model-{i}"
        there.create_registered_model(name, tags={"team": f"t{i % 3}", "note": "ü \" '"}, description=f"the {i}th\nof them")
        run = there.create_run("0").info
        for n in range(1, 5):
            folder = f"{run.artifact_uri}/{n}"
            put(folder, "MLmodel", f"model {i} version {n}".encode())
            if (i, n) == (0, 1):
                put(f"{folder}/deep/er", "weights.bin", os.urandom(20 << 20))
            there.create_model_version(name, folder, run_id=run.run_id, tags={"n": str(n)}, description=f"v{n}")
        there.delete_model_version(name, "2")
        there.set_registered_model_alias(name, "champion", "3")
        there.set_registered_model_alias(name, "production", "1")
        there.transition_model_version_stage(name, "1", "Archived")
        there.transition_model_version_stage(name, "4", "Staging")
    mlflow.set_tracking_uri(theirs)
    mlflow.set_registry_uri(theirs)
    mlflow.genai.register_prompt(name="greeting", template="Hello {{name}}")
elif what == "change":
    there.update_model_version("model-0", "1", description="better")
    there.set_registered_model_alias("model-1", "champion", "4")
    there.delete_registered_model_alias("model-2", "champion")
    first = there.get_model_version("model-5", "1")
    there.create_model_version("model-5", first.source, run_id=first.run_id, tags={"n": "5"})
    there.create_registered_model("model-new")
else:
    here = MlflowClient(tracking_uri=ours, registry_uri=ours)
    def seen(client):
        out = {}
        for model in client.search_registered_models(max_results=1000):
            aliases = {k: v for k, v in (model.aliases or {}).items() if k != "production"}
            versions = {}
            for v in client.search_model_versions(f'name="{model.name}"'):
                names = sorted(a for a in v.aliases if a != "production")
                versions[v.version] = [v.description, v.tags, v.current_stage, v.source, v.run_id, v.status, v.creation_timestamp, names]
            out[model.name] = [model.description, model.tags, {k: str(v) for k, v in aliases.items()}, model.creation_timestamp, versions]
        return out
    a, b = seen(there), seen(here)
    a.pop("greeting", None)
    assert json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True), f"THERE {a}\nHERE {b}"
    for version, path in [("1", "deep/er/weights.bin"), ("4", "MLmodel")]:
        files = []
        for client, base in [(there, theirs), (here, ours)]:
            uri = client.get_model_version_download_uri("model-0", version)
            os.makedirs(f"down{len(files)}/{version}", exist_ok=True)
            files.append(open(MlflowArtifactsRepository(uri, base).download_artifacts(path, f"down{len(files)}/{version}"), "rb").read())
        assert files[0] == files[1] and files[0], path
    print(f"figure: {len(a)} models and {sum(len(m[4]) for m in a.values())} versions are here as they are there")
"#;

/// The Python of the virtual environment that has MLflow, and what that depends on.
pub(crate) fn python() -> Option<PathBuf> {
    let home = std::env::var("HOME").unwrap_or_default();
    let cache = std::env::var("TIDEGATE_CACHE").unwrap_or_else(|_| format!("{home}/.cache/tidegate"));
    Some(PathBuf::from(cache).join("clients/mlflow-venv/bin/python")).filter(|python| python.exists())
}

/// A real server of MLflow; it ends with the test.
struct Mlflow {
    process: Child,
    url: String,
    python: PathBuf,
    home: Home,
}

impl Mlflow {
    fn start() -> Option<Self> {
        let python = python()?;
        let home = Home::new();
        home.write("script.py", SCRIPT);
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let mut command = home.command(python.parent().expect("a folder").join("mlflow").to_str().expect("UTF-8"));
        let folder = home.path().to_str().expect("UTF-8").to_owned();
        command.args([
            "server",
            "--host",
            "127.0.0.1",
            "--workers",
            "1",
            "--serve-artifacts",
            "--port",
            &port.to_string(),
        ]);
        command.args(["--backend-store-uri", &format!("sqlite:///{folder}/db.sqlite")]);
        command.args(["--artifacts-destination", &format!("{folder}/artifacts")]);
        command.envs([("MLFLOW_DISABLE_TELEMETRY", "true"), ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let process = command.spawn().expect("it starts");
        let server = Self { process, url: format!("http://127.0.0.1:{port}"), python, home };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(120), "the server of MLflow does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(server)
    }

    fn script(&self, what: &str, ours: &str, key: &str) {
        let mut command = self.home.command(self.python.to_str().expect("UTF-8"));
        command.args(["script.py", what, &self.url, ours]).env("MLFLOW_TRACKING_TOKEN", key);
        command.env("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false").env("MLFLOW_DISABLE_TELEMETRY", "true");
        let output = command.output().expect("it runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{what}: {out}{err}");
        println!("{out}");
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        // Its workers are processes of its own group.
        drop(Command::new("kill").args(["-KILL", "--", &format!("-{}", self.process.id())]).status());
        drop(self.process.wait());
    }
}

/// A folder whose configuration has a registry in which `production` is governed.
fn governed(upstream: &Upstream) -> Home {
    let home = Home::new();
    let governance = "governance: {aliases: {production: {requires: [card]}}}";
    let events = "events: {to: \"file:events\", durability: ack, content: hash}";
    let store = format!("{{{events}, registry: \"sqlite:registry.db\", artifacts: \"file:artifacts\", {governance}}}");
    let base = BASE.replace("{events: {to: \"file:events\"}}", &store);
    let provider = crate::harness::provider("pool", &[upstream]);
    home.write("config.yaml", &format!("{base}{provider}{}", crate::harness::ROUTES));
    home.write("keys.yaml", "[]\n");
    home
}

fn arguments<'a>(from: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["registry", "import", "--from", from, "--by", "ann", "--config", "config.yaml"], more].concat()
}

async fn import(home: &Arc<Home>, from: &str, more: &[&str]) -> Ran {
    let (home, from) = (Arc::clone(home), from.to_owned());
    let more: Vec<String> = more.iter().map(|text| (*text).to_owned()).collect();
    let run = move || home.run(&arguments(&from, &more.iter().map(String::as_str).collect::<Vec<_>>()));
    tokio::task::spawn_blocking(run).await.expect("it ends")
}

fn audited(home: &Home) {
    let audited = home.run(&["audit", "verify", "--config", "config.yaml"]);
    assert_eq!(audited.code(), 0, "{}", audited.err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_models_of_an_mlflow_server_come_in_as_they_are_there() {
    let Some(other) = Mlflow::start() else {
        may_be_left_out(
            "the_models_of_an_mlflow_server_come_in_as_they_are_there",
            "MLflow: tests/conformance/install mlflow",
        );
        return;
    };
    other.script("fill", "", "");
    let upstream = Upstream::start().await;
    let home = Arc::new(governed(&upstream));
    let key = home.key(&["read", "write"]);
    let gateway = home.serve().await;
    let ours = format!("http://{}", gateway.address("public"));

    let begun = Instant::now();
    let first = import(&home, &other.url, &["--artifacts"]).await;
    assert_eq!(first.code(), 0, "{}{}", first.out(), first.err());
    assert!(
        first.out().contains("models: 12 new, 0 changed") && first.out().contains("versions: 36 new"),
        "{}",
        first.out()
    );
    assert!(first.out().contains("the alias production of version 1 is governed here"), "{}", first.out());
    println!("figure: 12 models with 36 versions and their files came in {:.1} s", begun.elapsed().as_secs_f64());
    other.script("compare", &ours, &key);

    let again = import(&home, &other.url, &["--artifacts"]).await;
    assert!(again.out().contains("models: 0 new, 0 changed, 12 as before, 0 stay"), "{}", again.out());
    assert!(again.out().contains("versions: 0 new, 0 changed, 36 as before, 0 stay"), "{}", again.out());
    assert_eq!(import(&home, &other.url, &["--strict"]).await.code(), 1, "a governed alias was left out");

    other.script("change", "", "");
    let changed = import(&home, &other.url, &["--artifacts"]).await;
    assert!(changed.out().contains("models: 1 new, 0 changed, 12 as before"), "{}", changed.out());
    assert!(changed.out().contains("versions: 1 new, 1 changed, 35 as before"), "{}", changed.out());
    other.script("compare", &ours, &key);
    audited(&home);
    killed_again_and_again(&other, &upstream).await;
}

/// An import that is killed over and over comes to the same end.
async fn killed_again_and_again(other: &Mlflow, upstream: &Upstream) {
    let home = Arc::new(governed(upstream));
    let key = home.key(&["read", "write"]);
    let mut kills = 0;
    for pause in (0..).map(|n| Duration::from_millis(60 + 37 * (n % 11) + 15 * n)) {
        let mut command = home.command(PROGRAM);
        command.args(arguments(&other.url, &["--artifacts"])).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("it starts");
        tokio::time::sleep(pause).await;
        if let Some(status) = process.try_wait().expect("it can be asked") {
            assert!(status.success(), "{status}");
            break;
        }
        process.kill().expect("it can be killed");
        process.wait().expect("it ends");
        kills += 1;
    }
    println!("figure: an import was killed {kills} times before it came to its end");
    assert!(kills > 3, "{kills}: the pauses are too long to hit anything");
    audited(&home);
    let gateway = home.serve().await;
    other.script("compare", &format!("http://{}", gateway.address("public")), &key);
}

/// A server that answers paths that begin so with this status and body; the longest beginning counts.
struct Stub {
    url: String,
}

impl Stub {
    fn start(answers: Vec<(&'static str, u16, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default();
                let fits = answers.iter().filter(|(begin, ..)| path.starts_with(begin));
                let (status, body) =
                    fits.max_by_key(|(begin, ..)| begin.len()).map_or((404, &b"{}"[..]), |(_, s, b)| (*s, b));
                // A body that ends in `CUT` is shorter than it says.
                let cut = body.strip_suffix(b"CUT");
                let length = body.len();
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(cut.unwrap_or(body))));
            }
        });
        Self { url }
    }

    /// A server with these models, each with these versions.
    fn of(models: &Value, versions: &Value, more: Vec<(&'static str, u16, Vec<u8>)>) -> Self {
        let answer = |field: &str, value: &Value| json!({field: value}).to_string().into_bytes();
        let mut answers = vec![
            ("/api/2.0/mlflow/registered-models/search", 200, answer("registered_models", models)),
            ("/api/2.0/mlflow/model-versions/search", 200, answer("model_versions", versions)),
        ];
        answers.extend(more);
        Self::start(answers)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_none_or_lies_ends_with_what_to_do() {
    let upstream = Upstream::start().await;
    let home = Arc::new(governed(&upstream));
    let search = "/api/2.0/mlflow/registered-models/search";
    let circle = json!({"registered_models": [], "next_page_token": "again"}).to_string().into_bytes();
    for (stub, says) in [
        (Stub::start(vec![(search, 200, b"<html>".to_vec())]), "is no MLflow server"),
        (Stub::start(vec![(search, 401, b"{}".to_vec())]), "give a token"),
        (Stub::start(vec![(search, 500, b"{\"message\": \"on fire\"}".to_vec())]), "on fire"),
        (Stub::start(vec![(search, 200, circle)]), "in a circle"),
        (Stub::start(vec![(search, 200, b"{\"registered_models\": []CUT".to_vec())]), "cut"),
        (Stub { url: "http://127.0.0.1:1".to_owned() }, "cannot be asked"),
    ] {
        let ran = import(&home, &stub.url, &[]).await;
        assert!(ran.code() == 1 && ran.err().contains(says), "{says}: {}", ran.err());
    }
    assert_eq!(import(&home, "mlflow", &[]).await.code(), 2);
    assert!(home.run(&["audit", "export", "--config", "config.yaml"]).out().is_empty(), "nothing was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_come_in_is_said_and_the_rest_comes() {
    let upstream = Upstream::start().await;
    let home = Arc::new(governed(&upstream));
    let models = json!([{"name": "a/../b"}, {"name": "m", "aliases": [{"alias": "x", "version": "7"}]}]);
    let version = |n: u64| json!({"name": "m", "version": n.to_string(), "source": "runs:/r/m", "status": "READY"});
    let versions = json!([version(1), version(2), version(3), version(4)]);
    let uri = |path: &str| json!({"artifact_uri": path}).to_string().into_bytes();
    let files = |name: &str| json!({"files": [{"path": name, "is_dir": false}]}).to_string().into_bytes();
    let place = "/api/2.0/mlflow/model-versions/get-download-uri?name=m&version=";
    let [one, two, three, four] = [1, 2, 3, 4].map(|n| &*format!("{place}{n}").leak());
    let more = vec![
        (one, 200, uri("file:///etc")),
        (two, 200, uri("mlflow-artifacts:/two")),
        (three, 200, uri("mlflow-artifacts:/three")),
        (four, 200, uri("mlflow-artifacts:/four")),
        ("/api/2.0/mlflow-artifacts/artifacts?path=two", 200, files("model.safetensors")),
        ("/api/2.0/mlflow-artifacts/artifacts/two/model.safetensors", 200, b"\x80\x04\x95pickle".to_vec()),
        ("/api/2.0/mlflow-artifacts/artifacts?path=three", 200, files("long.bin")),
        ("/api/2.0/mlflow-artifacts/artifacts/three/long.bin", 200, [&[7; 100_000][..], b"CUT"].concat()),
        ("/api/2.0/mlflow-artifacts/artifacts?path=four", 200, files("../../four.bin")),
        ("/api/2.0/mlflow-artifacts/artifacts/four/four.bin", 200, b"four".to_vec()),
    ];
    let stub = Stub::of(&models, &versions, more);
    let ran = import(&home, &stub.url, &["--artifacts"]).await;
    let (out, err) = (ran.out(), ran.err());
    assert!(ran.code() == 1 && err.contains("1 versions could not be had: run it again"), "{out}{err}");
    for says in [
        "left out  models:/a/../b: ",
        "left out  models:/m/1: its files lie at \"file:///etc\", which only the other machine can read",
        "left out  models:/m/2: model.safetensors: the file is refused",
        "left out  models:/m/3: long.bin: ",
        "left out  models:/m: the alias x stands for version 7, which is not here",
        "models: 1 new",
        "versions: 1 new",
    ] {
        assert!(out.contains(says), "{says}: {out}");
    }
    let kept = home.path().join("artifacts/paths/imported/m");
    let names: Vec<_> =
        std::fs::read_dir(&kept).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["4"], "of the others nothing is there");
    audited(&home);
    // The next version made here is behind the highest of there.
    let key = home.key(&["read", "write"]);
    let gateway: Gateway = home.serve().await;
    let made = gateway.client().with_key(&key);
    let made = made.post("/api/2.0/mlflow/model-versions/create", &json!({"name": "m", "source": "s3://b/x"})).await;
    assert_eq!(made.json()["model_version"]["version"], "5");
}
