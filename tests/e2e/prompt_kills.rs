//! Kills of the gateway at single system calls while a prompt is written: what was acknowledged is there, what was not can
//! be sent again and is there once, and the repository is whole after all of it.

use crate::harness::home::BASE;
use crate::harness::{Client, Gateway, Home, Strace, Upstream};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const CALLS: [&str; 8] = ["write", "pwrite64", "fsync", "fdatasync", "rename", "link", "unlink", "mkdir"];
/// No write has more of any of them.
const MOST: usize = 61;

/// Whether every system call is struck, not each third: `./verify full` asks for it.
fn is_full() -> bool {
    std::env::var_os("TIDEGATE_REGISTRY_KILLS").is_some()
}

/// What is written.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The first version of a prompt.
    First,
    /// A further version of one.
    Further,
    /// A label's move.
    Label,
    /// A label's way back.
    Rollback,
    /// A further version, by MLflow's interface.
    Registered,
    /// A tag, by MLflow's interface.
    Tag,
    /// The end of a version, by MLflow's interface.
    Delete,
}

const KINDS: [Kind; 7] =
    [Kind::First, Kind::Further, Kind::Label, Kind::Rollback, Kind::Registered, Kind::Tag, Kind::Delete];

const MLFLOW: &str = "/api/2.0/mlflow";

impl Kind {
    /// Makes what the write needs; tells the number of the version that it is about.
    async fn prepare(self, client: &Client, id: &str) -> u64 {
        let version = async |text: &str| {
            let made = client.post("/v1/prompts", &json!({"name": "greet", "template": text})).await;
            assert_eq!(made.status(), 201, "{}", made.text());
            made.json()["n"].as_u64().expect("a number")
        };
        match self {
            Self::Rollback => {
                for n in [1, 2] {
                    let body = json!({"version": n}).to_string();
                    let path = format!("/v1/prompts/greet/labels/{id}");
                    assert_eq!(client.send("PUT", &path, &[], body.as_bytes()).await.status(), 200);
                }
                1
            }
            Self::Delete => version(id).await,
            _ => 1,
        }
    }

    fn request(self, id: &str, n: u64) -> (&'static str, String, Value) {
        let prompts = "/v1/prompts".to_owned();
        match self {
            Self::First => ("POST", prompts, json!({"name": id, "template": "first", "message": id})),
            Self::Further => ("POST", prompts, json!({"name": "greet", "template": id, "message": id})),
            Self::Label => ("PUT", format!("/v1/prompts/greet/labels/{id}"), json!({"version": 1, "why": id})),
            Self::Rollback => ("POST", "/v1/prompts/greet/rollback".to_owned(), json!({"label": id, "why": id})),
            Self::Registered => {
                let tags = json!([
                    {"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": id},
                ]);
                let body = json!({"name": "greet", "source": "prompt-template", "description": id, "tags": tags});
                ("POST", format!("{MLFLOW}/model-versions/create"), body)
            }
            Self::Tag => {
                let body = json!({"name": "greet", "key": id, "value": "yes"});
                ("POST", format!("{MLFLOW}/registered-models/set-tag"), body)
            }
            Self::Delete => (
                "DELETE",
                format!("{MLFLOW}/model-versions/delete"),
                json!({"name": "greet", "version": n.to_string()}),
            ),
        }
    }
}

/// Sends a write; its status, where there is an answer.
async fn send(client: &Client, kind: Kind, id: &str, n: u64) -> Option<u16> {
    let (method, path, body) = kind.request(id, n);
    let mut wire = client.try_connect().await.ok()?;
    wire.write(&client.request(method, &path, &[("idempotency-key", id)], body.to_string().as_bytes())).await;
    Some(wire.head().await?.status)
}

/// How often a write's result is there.
async fn found(client: &Client, kind: Kind, id: &str, n: u64) -> usize {
    let path = match kind {
        Kind::First => format!("/v1/prompts/{id}/versions"),
        Kind::Further | Kind::Registered | Kind::Delete => "/v1/prompts/greet/versions".to_owned(),
        Kind::Label | Kind::Rollback => format!("/v1/prompts/greet/labels/{id}"),
        Kind::Tag => format!("{MLFLOW}/registered-models/get?name=greet"),
    };
    let answer = client.get(&path).await;
    let json = if answer.status() == 200 { answer.json() } else { Value::Null };
    let count = |list: &Value, is_it: &dyn Fn(&Value) -> bool| {
        list.as_array().map_or(0, |list| list.iter().filter(|one| is_it(one)).count())
    };
    match kind {
        Kind::Label => usize::from(json["n"] == 1),
        Kind::Rollback => {
            let times = count(&json["moves"], &|one| one["why"] == format!("rollback: {id}"));
            assert_eq!(json["n"], if times == 1 { 1 } else { 2 }, "{id}: {json}");
            times
        }
        Kind::Tag => count(&json["registered_model"]["tags"], &|tag| tag["key"] == id),
        Kind::Delete => 1 - count(&json["data"], &|version| version["n"] == n),
        Kind::First | Kind::Further | Kind::Registered => {
            count(&json["data"], &|version| version["commit"]["message"].as_str().is_some_and(|text| text.trim() == id))
        }
    }
}

/// Kills the gateway at the `nth` of these system calls while a write is under way; tells how that was answered, and
/// whether it was killed.
async fn strike(
    gateway: &mut Gateway,
    client: &Client,
    (kind, id, n): (Kind, &str, u64),
    call: &str,
    nth: usize,
) -> (Option<u16>, bool) {
    let strace = Strace::inject(gateway.pid(), call, &format!("signal=SIGKILL:when={nth}")).await;
    let sent = tokio::time::timeout(Duration::from_secs(5), send(client, kind, id, n)).await;
    drop(strace);
    (sent.ok().flatten(), gateway.was_killed().await)
}

#[tokio::test]
async fn a_kill_at_any_system_call_leaves_a_prompt_written_or_not_and_never_half() {
    const NAME: &str = "a_kill_at_any_system_call_leaves_a_prompt_written_or_not_and_never_half";
    if Strace::is_missing(NAME) {
        return;
    }
    let upstream = Upstream::start().await;
    let home = Home::new();
    let sections = format!("{}{}", crate::harness::provider("pool", &[&upstream]), crate::harness::ROUTES);
    let store = "{events: {to: \"file:events\"}, registry: \"sqlite:registry.db\", artifacts: \"file:artifacts\"}";
    let base = BASE.replace("{events: {to: \"file:events\"}}", store);
    home.write("config.yaml", &format!("{base}{sections}prompts: {{repository: prompts.git}}\n"));
    let key = home.key(&["read", "write"]);
    let mut gateway = home.serve().await;
    let mut client = gateway.client().with_key(&key);
    for text in ["beginning", "second"] {
        assert_eq!(send(&client, Kind::Further, text, 0).await, Some(201));
    }
    let (mut strikes, mut acknowledged) = (0, 0);
    for kind in KINDS {
        let name = format!("{kind:?}").to_lowercase();
        for call in CALLS {
            for nth in (1..=MOST).filter(|nth| is_full() || nth % 3 == 1) {
                assert!(nth < MOST, "{name}: a write has no end of {call}");
                let id = format!("{name}-{call}-{nth}");
                let n = kind.prepare(&client, &id).await;
                let (status, was_killed) = strike(&mut gateway, &client, (kind, &id, n), call, nth).await;
                if was_killed {
                    strikes += 1;
                    gateway = home.serve().await;
                    client = gateway.client().with_key(&key);
                }
                let times = found(&client, kind, &id, n).await;
                if status.is_some_and(|status| status < 300) {
                    assert_eq!(times, 1, "{id} was acknowledged");
                    acknowledged += 1;
                } else {
                    assert!(times <= 1, "{id} is there {times} times after {status:?}");
                    let again = send(&client, kind, &id, n).await;
                    assert!(again.is_some_and(|status| status < 300), "{id} was sent again: {again:?}");
                    assert_eq!(found(&client, kind, &id, n).await, 1, "{id} was sent again");
                }
                if !was_killed {
                    break;
                }
            }
        }
    }
    drop(gateway);
    if Command::new("git").arg("--version").output().is_ok() {
        let checked = home.command("git").args(["-C", "prompts.git", "fsck", "--strict"]).output().expect("git runs");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    println!(
        "figure: {strikes} kills at single system calls, {acknowledged} writes of prompts acknowledged, none lost, doubled or half"
    );
}
