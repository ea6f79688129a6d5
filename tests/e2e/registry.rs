//! The registry by MLflow's interface: models and files go in and come out, roles hold, and what was acknowledged is
//! there after every kill. What MLflow's own client makes of it is `tests/conformance`'s.

use crate::harness::client::Answer;
use crate::harness::home::BASE;
use crate::harness::{Client, Gateway, Home, Strace, Upstream};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const API: &str = "/api/2.0/mlflow";
const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";

fn configuration(upstream: &Upstream) -> String {
    let store = "{events: {to: \"file:events\"}, registry: \"sqlite:registry.db\", artifacts: \"file:artifacts\"}";
    let base = BASE.replace("{events: {to: \"file:events\"}}", store);
    format!("{base}{}{}", crate::harness::provider("pool", &[upstream]), crate::harness::ROUTES)
}

struct Stage {
    home: Home,
    gateway: Gateway,
    writer: Client,
    _upstream: Upstream,
}

impl Stage {
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let home = Home::new();
        home.write("config.yaml", &configuration(&upstream));
        let key = home.key(&["read", "write"]);
        let gateway = home.serve().await;
        let writer = gateway.client().with_key(&key);
        Self { home, gateway, writer, _upstream: upstream }
    }
}

/// A call that must succeed.
async fn call(client: &Client, method: &str, path: &str, body: &Value) -> Value {
    let answer = client.send(method, &format!("{API}{path}"), &[], body.to_string().as_bytes()).await;
    assert_eq!(answer.status(), 200, "{method} {path}: {}", answer.text());
    answer.json()
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status(), answer.json()["error_code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_model_and_its_files_go_in_and_come_out() {
    let stage = Stage::new().await;
    let client = &stage.writer;
    call(client, "POST", "/registered-models/create", &json!({"name": "m", "tags": [{"key": "a", "value": "b"}]}))
        .await;
    let made =
        call(client, "POST", "/model-versions/create", &json!({"name": "m", "source": "mlflow-artifacts:/m/1"})).await;
    assert_eq!(made["model_version"]["version"], "1");
    // More than the listener takes of other bodies: files are written as they come.
    let file: Vec<u8> = (0..20 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let put = client.send("PUT", &format!("{FILES}/m/1/model.bin"), &[], &file).await;
    assert_eq!((put.status(), put.body.len()), (200, 0), "{}", put.text());
    assert!(client.get(&format!("{FILES}/m/1/model.bin")).await.body == file);
    let part = client.send("GET", &format!("{FILES}/m/1/model.bin"), &[("range", "bytes=1000-1009")], b"").await;
    assert_eq!((part.status(), &part.body[..]), (206, &file[1000..1010]));
    let listed = client.get(&format!("{FILES}?path=m/1")).await.json();
    assert_eq!(listed, json!({"files": [{"path": "model.bin", "is_dir": false, "file_size": file.len()}]}));
    let uri = client.get(&format!("{API}/model-versions/get-download-uri?name=m&version=1")).await.json();
    assert_eq!(uri, json!({"artifact_uri": "mlflow-artifacts:/m/1"}));
    // It outlives the process.
    drop(stage.gateway);
    let key = stage.home.key(&["read"]);
    let gateway = stage.home.serve().await;
    let client = gateway.client().with_key(&key);
    assert_eq!(
        client.get(&format!("{API}/registered-models/get?name=m")).await.json()["registered_model"]["name"],
        "m"
    );
    assert!(client.get(&format!("{FILES}/m/1/model.bin")).await.body == file);
}

#[tokio::test]
async fn each_call_needs_its_role() {
    let stage = Stage::new().await;
    let create = json!({"name": "m"}).to_string();
    let path = format!("{API}/registered-models/create");
    for (roles, expected) in
        [(&["infer"][..], (403, "PERMISSION_DENIED")), (&["read"], (403, "PERMISSION_DENIED")), (&["write"], (200, ""))]
    {
        let key = stage.home.key(roles);
        let client = stage.gateway.client().with_key(&key);
        // The gateway follows its key file.
        crate::harness::eventually("the key", async || (client.get("/v1/models").await.status() != 401).then_some(()))
            .await;
        let answer = client.send("POST", &path, &[], create.as_bytes()).await;
        assert_eq!(refused(&answer), (expected.0, expected.1.to_owned()), "{roles:?}: {}", answer.text());
    }
    let nobody = stage.gateway.client().without_key();
    assert_eq!(refused(&nobody.send("POST", &path, &[], create.as_bytes()).await), (401, "UNAUTHENTICATED".into()));
    assert_eq!(nobody.get("/api/3.0/mlflow/server-info").await.status(), 200);
    let wrong = stage.writer.get(&path).await;
    assert_eq!((wrong.status(), wrong.head.header("allow")), (405, Some("POST")));
    assert_eq!(stage.writer.get("/api/2.0/mlflow/runs/get").await.status(), 404);
}

#[tokio::test]
async fn files_cannot_lie_elsewhere() {
    let stage = Stage::new().await;
    for path in ["../x", "a/../../x", "%2e%2e/x", "%252e%252e%252fx", "/etc/passwd", "a%00b", "a%5c..%5cx", "c%3a/x"] {
        for method in ["PUT", "GET", "DELETE"] {
            let answer = stage.writer.send(method, &format!("{FILES}/{path}"), &[], b"x").await;
            assert!(matches!(answer.status(), 400 | 404), "{method} {path}: {} {}", answer.status(), answer.text());
            // Also what is refused before the registry sees it is said as its clients read it.
            assert!(answer.text().contains("\"error_code\""), "{method} {path}: {}", answer.text());
        }
    }
    assert!(!stage.home.path().join("x").exists());
}

/// How many kills; `./verify full` asks for 300.
fn kills() -> usize {
    std::env::var("TIDEGATE_REGISTRY_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(50)
}

/// One write, as it was sent, and whether it was acknowledged.
#[derive(Clone, Debug)]
struct Write {
    /// A name of its own, which is also its idempotency key.
    id: String,
    kind: Kind,
    is_done: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Model,
    Version,
    Tag,
    Alias,
    File,
}

type Writes = Arc<Mutex<Vec<Write>>>;

/// Sends a write; `None` where the gateway was gone before it answered.
async fn send(client: &Client, write: &Write) -> Option<u16> {
    let id = &write.id;
    let (method, path, body) = match write.kind {
        Kind::Model => ("POST", format!("{API}/registered-models/create"), json!({"name": id}).to_string()),
        Kind::Version => {
            let body = json!({"name": "m", "source": format!("s3://b/{id}")});
            ("POST", format!("{API}/model-versions/create"), body.to_string())
        }
        Kind::Tag => {
            let body = json!({"name": "m", "key": id, "value": id});
            ("POST", format!("{API}/registered-models/set-tag"), body.to_string())
        }
        Kind::Alias => {
            let body = json!({"name": "m", "alias": id, "version": "1"});
            ("POST", format!("{API}/registered-models/alias"), body.to_string())
        }
        Kind::File => ("PUT", format!("{FILES}/files/{id}"), format!("content of {id}")),
    };
    let mut wire = client.try_connect().await.ok()?;
    let headers = [("idempotency-key", id.as_str())];
    wire.write(&client.request(method, &path, &headers, body.as_bytes())).await;
    let head = wire.head().await?;
    Some(head.status)
}

/// Writes of all kinds without end until the gateway is gone.
async fn write_on(client: Client, name: String, writes: Writes) {
    for number in 0.. {
        let kind = match number % 5 {
            0 => Kind::Version,
            1 => Kind::File,
            2 => Kind::Tag,
            3 => Kind::Alias,
            _ => Kind::Model,
        };
        let mut write = Write { id: format!("{name}-{number}"), kind, is_done: false };
        let status = send(&client, &write).await;
        write.is_done = status == Some(200);
        assert!(matches!(status, None | Some(200)), "{write:?}: {status:?}");
        writes.lock().expect("no writer panicked").push(write);
        if status.is_none() {
            return;
        }
    }
}

/// How often a write's result is there.
async fn found(client: &Client, write: &Write) -> usize {
    let id = &write.id;
    let model =
        async || client.get(&format!("{API}/registered-models/get?name=m")).await.json()["registered_model"].clone();
    let count = |list: &Value, field: &str| {
        list.as_array().map_or(0, |list| list.iter().filter(|entry| entry[field] == **id).count())
    };
    match write.kind {
        Kind::Model => usize::from(client.get(&format!("{API}/registered-models/get?name={id}")).await.status() == 200),
        Kind::Version => {
            let filter = format!("source_path%3D%27s3%3A%2F%2Fb%2F{id}%27");
            let page = client.get(&format!("{API}/model-versions/search?filter={filter}")).await.json();
            page["model_versions"].as_array().map_or(0, Vec::len)
        }
        Kind::Tag => count(&model().await["tags"], "key"),
        Kind::Alias => count(&model().await["aliases"], "alias"),
        Kind::File => {
            let file = client.get(&format!("{FILES}/files/{id}")).await;
            usize::from(file.status() == 200 && file.body == format!("content of {id}").as_bytes())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_every_kill() {
    let Stage { home, mut gateway, writer, _upstream } = Stage::new().await;
    let key = home.key(&["read", "write"]);
    drop(writer);
    gateway.kill();
    gateway = home.serve().await;
    let mut client = gateway.client().with_key(&key);
    call(&client, "POST", "/registered-models/create", &json!({"name": "m"})).await;
    call(&client, "POST", "/model-versions/create", &json!({"name": "m", "source": "s3://b/first"})).await;
    let (mut acknowledged, mut cut) = (0, 0);
    for kill in 0..kills() {
        let writes = Writes::default();
        let writers: Vec<_> = (0..4)
            .map(|writer| tokio::spawn(write_on(client.clone(), format!("k{kill}w{writer}"), Arc::clone(&writes))))
            .collect();
        // A moment that no two kills share: so many writes after the load began.
        let moment = 3 + (kill * 7919) % 37;
        crate::harness::eventually("the load", async || {
            (writes.lock().expect("no writer panicked").len() >= moment).then_some(())
        })
        .await;
        gateway.kill();
        for writer in writers {
            writer.await.expect("a writer ends when the gateway is gone");
        }
        gateway = home.serve().await;
        client = gateway.client().with_key(&key);
        let writes = std::mem::take(&mut *writes.lock().expect("no writer panicked"));
        for write in &writes {
            let times = found(&client, write).await;
            if write.is_done {
                assert_eq!(times, 1, "kill {kill}: {write:?} was acknowledged");
                acknowledged += 1;
            } else {
                // It may have been done or not; sent again it is done, and once.
                assert!(times <= 1, "kill {kill}: {write:?} is there {times} times");
                assert_eq!(send(&client, write).await, Some(200), "kill {kill}: {write:?}");
                assert_eq!(found(&client, write).await, 1, "kill {kill}: {write:?} was sent again");
                cut += 1;
            }
        }
    }
    let ran = home.run(&["audit", "verify", "--config", "config.yaml"]);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    let all = "filter=name%3D%27m%27&order_by=version_number&max_results=200000";
    let page = client.get(&format!("{API}/model-versions/search?{all}")).await;
    let versions = page.json()["model_versions"].as_array().expect("versions").clone();
    let numbers: Vec<String> = versions.iter().map(|v| v["version"].as_str().expect("a number").to_owned()).collect();
    assert_eq!(numbers, (1..=numbers.len()).map(|n| n.to_string()).collect::<Vec<_>>(), "versions have no gap");
    println!(
        "figure: {} kills, {acknowledged} acknowledged writes all there once, {cut} cut ones done once when sent again",
        kills()
    );
}

/// Whether every system call is struck, not each third: `./verify full` asks for it.
fn is_full() -> bool {
    std::env::var_os("TIDEGATE_REGISTRY_KILLS").is_some()
}

/// Kills the gateway at the `nth` of these system calls while `write` is under way; tells whether it was killed.
async fn strike(gateway: &mut Gateway, client: &Client, write: &mut Write, call: &str, nth: usize) -> bool {
    let strace = Strace::inject(gateway.pid(), call, &format!("signal=SIGKILL:when={nth}")).await;
    let sent = tokio::time::timeout(std::time::Duration::from_secs(5), send(client, write)).await;
    write.is_done = sent == Ok(Some(200));
    drop(strace);
    gateway.was_killed().await
}

#[tokio::test]
async fn a_kill_at_any_system_call_of_a_write_leaves_it_done_or_not_and_never_half() {
    if Strace::is_missing("a_kill_at_any_system_call_of_a_write_leaves_it_done_or_not_and_never_half") {
        return;
    }
    const MOST: usize = 61;
    let Stage { home, mut gateway, _upstream, .. } = Stage::new().await;
    let key = home.key(&["read", "write"]);
    gateway.kill();
    gateway = home.serve().await;
    let mut client = gateway.client().with_key(&key);
    call(&client, "POST", "/registered-models/create", &json!({"name": "m"})).await;
    call(&client, "POST", "/model-versions/create", &json!({"name": "m", "source": "s3://b/first"})).await;
    let (mut strikes, mut acknowledged) = (0, 0);
    for (name, kind) in [
        ("model", Kind::Model),
        ("version", Kind::Version),
        ("tag", Kind::Tag),
        ("alias", Kind::Alias),
        ("file", Kind::File),
    ] {
        for syscall in ["pwrite64", "write", "fsync", "fdatasync", "rename", "ftruncate", "unlink", "mkdir"] {
            for nth in (1..=MOST).filter(|nth| is_full() || nth % 3 == 1) {
                assert!(nth < MOST, "{name}: a write has no end of {syscall}");
                let mut write = Write { id: format!("{name}-{syscall}-{nth}"), kind, is_done: false };
                let was_killed = strike(&mut gateway, &client, &mut write, syscall, nth).await;
                if was_killed {
                    strikes += 1;
                    gateway = home.serve().await;
                    client = gateway.client().with_key(&key);
                }
                let times = found(&client, &write).await;
                if write.is_done {
                    assert_eq!(times, 1, "{write:?} was acknowledged");
                    acknowledged += 1;
                } else {
                    assert!(times <= 1, "{write:?} is there {times} times");
                    assert_eq!(send(&client, &write).await, Some(200), "{write:?}");
                    assert_eq!(found(&client, &write).await, 1, "{write:?} was sent again");
                }
                if !was_killed {
                    break;
                }
            }
        }
    }
    let ran = home.run(&["audit", "verify", "--config", "config.yaml"]);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    println!(
        "figure: {strikes} kills at single system calls, {acknowledged} writes acknowledged, none lost, doubled or half"
    );
}

#[tokio::test]
async fn the_audit_log_is_checked_and_written_out_by_the_program() {
    let stage = Stage::new().await;
    for name in ["a", "b"] {
        call(&stage.writer, "POST", "/registered-models/create", &json!({"name": name})).await;
    }
    let verify = |more: &[&str]| stage.home.run(&[&["audit", "verify", "--config", "config.yaml"], more].concat());
    let ran = verify(&[]);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    let head = ran.out().lines().find_map(|line| line.strip_prefix("head: ").map(str::to_owned)).expect("a head");
    call(&stage.writer, "DELETE", "/registered-models/delete", &json!({"name": "a"})).await;
    assert_eq!(verify(&["--anchor", &head]).code(), 0);
    let forged = head.replace("2:", "1:");
    assert_eq!(verify(&["--anchor", &forged]).code(), 1);
    assert_eq!(verify(&["--anchor", "x"]).code(), 2);
    let exported = stage.home.run(&["audit", "export", "--config", "config.yaml"]).out();
    let deeds: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let deeds: Vec<_> = deeds.iter().map(|entry| (entry["action"].as_str(), entry["subject"].as_str())).collect();
    assert_eq!(
        deeds,
        [
            (Some("model.create"), Some("models:/a")),
            (Some("model.create"), Some("models:/b")),
            (Some("model.delete"), Some("models:/a"))
        ]
    );
    assert!(exported.contains("\"actor\":\"tester\""));
}

#[tokio::test]
async fn what_is_erased_is_gone_and_a_log_written_anew_shows() {
    let mut stage = Stage::new().await;
    let description = "asked for by ann@example.org";
    call(&stage.writer, "POST", "/registered-models/create", &json!({"name": "a", "description": description})).await;
    call(&stage.writer, "POST", "/registered-models/create", &json!({"name": "b"})).await;
    // The head is noted beside the records when the gateway ends.
    stage.gateway.signal("TERM");
    assert!(stage.gateway.ended().await.success());
    let anchors = stage.home.read("events/anchors.jsonl");
    assert!(anchors.ends_with('\n') && anchors.contains("\"entry\":2,"), "{anchors}");
    let run = |arguments: &[&str]| stage.home.run(&[&["audit"], arguments, &["--config", "config.yaml"]].concat());
    let erased = run(&["erase", "--mentions", "ann@example.org", "--by", "ticket-512"]);
    assert_eq!(
        (erased.code(), erased.out().trim()),
        (0, "the particulars of 1 entries were erased"),
        "{}",
        erased.err()
    );
    let exported = run(&["export"]).out();
    assert!(!exported.contains("ann@example.org") && exported.contains("ticket-512"), "{exported}");
    assert_eq!(run(&["erase", "--by", "x"]).code(), 2);
    assert_eq!(run(&["erase", "--mentions", "a", "--by", "x"]).code(), 2);
    let verified = run(&["verify"]);
    assert_eq!(verified.code(), 0, "{}", verified.err());
    assert!(verified.out().contains("3 entries") && verified.out().contains("1 heads"), "{}", verified.out());
    // Whoever writes the whole database anew has a chain that is whole, and not the one that was noted.
    for file in ["registry.db", "registry.db-wal", "registry.db-shm"] {
        let path = stage.home.path().join(file);
        assert!(!path.exists() || std::fs::remove_file(path).is_ok());
    }
    let key = stage.home.key(&["write"]);
    let mut gateway = stage.home.serve().await;
    let writer = gateway.client().with_key(&key);
    for name in ["a", "b", "c"] {
        call(&writer, "POST", "/registered-models/create", &json!({"name": name})).await;
    }
    gateway.signal("TERM");
    assert!(gateway.ended().await.success());
    let verified = run(&["verify"]);
    assert_eq!(verified.code(), 1);
    assert!(verified.err().contains("entry 2 is another than the one that was noted"), "{}", verified.err());
}
