//! Prompts from a git repository: written and read by the interface, labelled, rendered, and followed when others push.

use crate::harness::home::BASE;
use crate::harness::{Client, Gateway, Home, Upstream, eventually, may_be_left_out};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

struct Stage {
    home: Home,
    gateway: Gateway,
    writer: Client,
    _upstream: Upstream,
}

impl Stage {
    /// `None` where there is no `git` to make a repository with; the gateway itself needs none.
    async fn new(test: &str) -> Option<Self> {
        if Command::new("git").arg("--version").output().is_err() && may_be_left_out(test, "git") {
            return None;
        }
        let upstream = Upstream::start().await;
        let home = Home::new();
        git(&home, &["init", "--quiet", "--bare", "--initial-branch=main", "repository"]);
        let sections = format!("{}{}", crate::harness::provider("pool", &[&upstream]), crate::harness::ROUTES);
        home.write("config.yaml", &format!("{BASE}{sections}prompts: {{repository: repository}}\n"));
        let key = home.key(&["read", "write"]);
        let gateway = home.serve().await;
        let writer = gateway.client().with_key(&key);
        Some(Self { home, gateway, writer, _upstream: upstream })
    }
}

fn git(home: &Home, arguments: &[&str]) {
    let identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
    let ran = home.command("git").args(identity).args(arguments).output().expect("git runs");
    assert!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

async fn write(client: &Client, template: &str) -> Value {
    let body = json!({"name": "greet", "template": template, "message": "a change"});
    let answer = client.post("/v1/prompts", &body).await;
    assert_eq!(answer.status(), 201, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_prompt_is_written_labelled_rendered_and_rolled_back() {
    let Some(stage) = Stage::new("a_prompt_is_written_labelled_rendered_and_rolled_back").await else { return };
    let client = &stage.writer;
    assert_eq!(write(client, "Hi {{ who }}").await["n"], 1);
    assert_eq!(write(client, "Hello {{ who }}").await["n"], 2);
    for version in [1, 2] {
        let body = json!({"version": version, "why": "tried"}).to_string();
        let moved = client.send("PUT", "/v1/prompts/greet/labels/production", &[], body.as_bytes()).await;
        assert_eq!(moved.status(), 200, "{}", moved.text());
    }
    let render = async |reference: &str| {
        let answer =
            client.post(&format!("/v1/prompts/{reference}/render"), &json!({"variables": {"who": "Bo"}})).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()["messages"][0]["content"].as_str().expect("a text").to_owned()
    };
    assert_eq!(render("greet").await, "Hello Bo");
    assert_eq!(render("greet%40production").await, "Hello Bo");
    let back = client.post("/v1/prompts/greet/rollback", &json!({"label": "production", "why": "worse"})).await;
    assert_eq!(back.status(), 200, "{}", back.text());
    assert_eq!(render("greet@production").await, "Hi Bo");
    let missing = client.post("/v1/prompts/greet/render", &json!({"variables": {}})).await;
    assert_eq!((missing.status(), missing.error()["param"].clone()), (400, json!("variables.who")));
    let list = client.get("/v1/prompts").await.json();
    assert_eq!((&list["data"][0]["name"], &list["data"][0]["versions"]), (&json!("greet"), &json!(2)));
    assert_eq!(client.get("/v1/prompts/absent").await.status(), 404);
    // It outlives the process, and is a repository that git knows.
    drop(stage.gateway);
    git(&stage.home, &["-C", "repository", "fsck", "--strict"]);
    let gateway = stage.home.serve().await;
    let reader = gateway.client().with_key(&stage.home.key(&["read"]));
    eventually("the key", async || (reader.get("/v1/prompts").await.status() == 200).then_some(())).await;
    let moves = reader.get("/v1/prompts/greet/labels/production").await.json();
    assert_eq!(moves["n"], 1);
    assert!(moves.to_string().contains("worse"), "{moves}");
    assert_eq!(reader.post("/v1/prompts", &json!({"name": "x", "template": "y"})).await.status(), 403);
    let wrong = reader.send("DELETE", "/v1/prompts/greet/versions", &[], b"").await;
    assert_eq!((wrong.status(), wrong.head.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn a_push_shows_within_two_seconds() {
    let Some(stage) = Stage::new("a_push_shows_within_two_seconds").await else { return };
    write(&stage.writer, "Hi {{ who }}").await;
    git(&stage.home, &["clone", "--quiet", "repository", "clone"]);
    stage.home.write("clone/prompts/greet/prompt.yaml", "text: {content: \"Good day {{ who }}\"}\n");
    git(&stage.home, &["-C", "clone", "commit", "--quiet", "-am", "politer"]);
    git(&stage.home, &["-C", "clone", "push", "--quiet"]);
    let pushed = Instant::now();
    eventually("the push to show", async || {
        let shown = stage.writer.get("/v1/prompts/greet").await.json();
        (shown["n"] == 2).then_some(())
    })
    .await;
    let took = pushed.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    println!("figure: a push showed after {took:?}");
}
