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
}

/// Sends a write; its status, where there is an answer.
async fn send(client: &Client, kind: Kind, id: &str) -> Option<u16> {
    let (method, path, body) = match kind {
        Kind::First => ("POST", "/v1/prompts".to_owned(), json!({"name": id, "template": "first", "message": id})),
        Kind::Further => ("POST", "/v1/prompts".to_owned(), json!({"name": "greet", "template": id, "message": id})),
        Kind::Label => ("PUT", format!("/v1/prompts/greet/labels/{id}"), json!({"version": 1, "why": id})),
    };
    let mut wire = client.try_connect().await.ok()?;
    wire.write(&client.request(method, &path, &[("idempotency-key", id)], body.to_string().as_bytes())).await;
    Some(wire.head().await?.status)
}

/// How often a write's result is there.
async fn found(client: &Client, kind: Kind, id: &str) -> usize {
    let path = match kind {
        Kind::First => format!("/v1/prompts/{id}/versions"),
        Kind::Further => "/v1/prompts/greet/versions".to_owned(),
        Kind::Label => format!("/v1/prompts/greet/labels/{id}"),
    };
    let answer = client.get(&path).await;
    let json = if answer.status() == 200 { answer.json() } else { Value::Null };
    match kind {
        Kind::Label => usize::from(json["n"] == 1),
        Kind::First | Kind::Further => {
            let is_it = |version: &&Value| version["commit"]["message"].as_str().is_some_and(|text| text.trim() == id);
            json["data"].as_array().map_or(0, |versions| versions.iter().filter(is_it).count())
        }
    }
}

/// Kills the gateway at the `nth` of these system calls while a write is under way; tells how that was answered, and
/// whether it was killed.
async fn strike(
    gateway: &mut Gateway,
    client: &Client,
    (kind, id): (Kind, &str),
    call: &str,
    nth: usize,
) -> (Option<u16>, bool) {
    let strace = Strace::inject(gateway.pid(), call, &format!("signal=SIGKILL:when={nth}")).await;
    let sent = tokio::time::timeout(Duration::from_secs(5), send(client, kind, id)).await;
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
    home.write("config.yaml", &format!("{BASE}{sections}prompts: {{repository: prompts.git}}\n"));
    let key = home.key(&["read", "write"]);
    let mut gateway = home.serve().await;
    let mut client = gateway.client().with_key(&key);
    assert_eq!(send(&client, Kind::Further, "beginning").await, Some(201));
    let (mut strikes, mut acknowledged) = (0, 0);
    for (name, kind) in [("first", Kind::First), ("further", Kind::Further), ("label", Kind::Label)] {
        for call in CALLS {
            for nth in (1..=MOST).filter(|nth| is_full() || nth % 3 == 1) {
                assert!(nth < MOST, "{name}: a write has no end of {call}");
                let id = format!("{name}-{call}-{nth}");
                let (status, was_killed) = strike(&mut gateway, &client, (kind, &id), call, nth).await;
                if was_killed {
                    strikes += 1;
                    gateway = home.serve().await;
                    client = gateway.client().with_key(&key);
                }
                let times = found(&client, kind, &id).await;
                if status.is_some_and(|status| status < 300) {
                    assert_eq!(times, 1, "{id} was acknowledged");
                    acknowledged += 1;
                } else {
                    assert!(times <= 1, "{id} is there {times} times after {status:?}");
                    let again = send(&client, kind, &id).await;
                    assert!(again.is_some_and(|status| status < 300), "{id} was sent again: {again:?}");
                    assert_eq!(found(&client, kind, &id).await, 1, "{id} was sent again");
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
