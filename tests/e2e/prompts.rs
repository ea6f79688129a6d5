//! Prompts from a git repository: written and read by the interface, labelled, rendered, and followed when others push.

use crate::harness::git_server::GitServer;
use crate::harness::home::BASE;
use crate::harness::{Client, Gateway, Home, Upstream, eventually, may_be_left_out};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

struct Stage {
    home: Home,
    gateway: Gateway,
    writer: Client,
    upstream: Upstream,
}

impl Stage {
    /// `None` where there is no `git` to make a repository with; the gateway itself needs none.
    async fn new(test: &str) -> Option<Self> {
        if Command::new("git").arg("--version").output().is_err() && may_be_left_out(test, "git") {
            return None;
        }
        let upstream = Upstream::start().await;
        let home = Home::new();
        let sections = format!("{}{}", crate::harness::provider("pool", &[&upstream]), crate::harness::ROUTES);
        home.write("config.yaml", &format!("{BASE}{sections}prompts: {{repository: prompts.git}}\n"));
        let key = home.key(&["read", "write"]);
        let gateway = home.serve().await;
        let writer = gateway.client().with_key(&key);
        Some(Self { home, gateway, writer, upstream })
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
    git(&stage.home, &["-C", "prompts.git", "fsck", "--strict"]);
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
    git(&stage.home, &["clone", "--quiet", "prompts.git", "clone"]);
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

/// HMAC-SHA256 of `body` by Python's word, so that the gateway is not asked about itself.
fn signed(home: &Home, secret: &str, body: &str) -> String {
    home.write("word", body);
    let script = format!(
        "import hmac,sys; print(hmac.new({secret:?}.encode(), open('word','rb').read(), 'sha256').hexdigest(), end='')"
    );
    let output = home.command("python3").args(["-c", &script]).output().expect("Python runs");
    String::from_utf8(output.stdout).expect("digits")
}

#[tokio::test]
async fn a_forges_word_has_a_push_fetched_at_once() {
    if Command::new("git").arg("--version").output().is_err()
        && may_be_left_out("a_forges_word_has_a_push_fetched_at_once", "git")
    {
        return;
    }
    let upstream = Upstream::start().await;
    let home = Home::new();
    git(&home, &["init", "--quiet", "--initial-branch=main", "work"]);
    std::fs::create_dir_all(home.path().join("work/prompts/greet")).expect("a folder");
    let commit = |text: &str| {
        home.write("work/prompts/greet/prompt.yaml", &format!("text: {{content: {text}}}\n"));
        git(&home, &["-C", "work", "add", "."]);
        git(&home, &["-C", "work", "commit", "--quiet", "-m", text]);
    };
    commit("one");
    let server = GitServer::start(&home.path().join("work"), "Z2l0OnNlY3JldA==");
    let sections = format!("{}{}", crate::harness::provider("pool", &[&upstream]), crate::harness::ROUTES);
    let prompts = format!(
        "prompts: {{repository: \"{}\", token: \"${{file:token}}\", poll: 1h, webhook: {{secret: \"${{file:hook}}\"}}}}\n",
        server.url()
    );
    home.write("config.yaml", &format!("{BASE}{sections}{prompts}"));
    home.write("token", "secret");
    home.write("hook", "word of the forge");
    let key = home.key(&["read"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    let text = async || {
        let answer = client.post("/v1/prompts/greet/render", &json!({})).await;
        answer.json()["messages"][0]["content"].as_str().map(str::to_owned)
    };
    commit("two");
    let forge = gateway.client().without_key();
    let path = "/v1/webhooks/prompts";
    let word = r#"{"ref": "refs/heads/main"}"#;
    let bad = format!("sha256={}", signed(&home, "another", word));
    for headers in [&[][..], &[("x-hub-signature-256", bad.as_str())], &[("x-gitlab-token", "word")]] {
        assert_eq!(forge.send("POST", path, headers, word.as_bytes()).await.status(), 401, "{headers:?}");
    }
    assert_eq!(forge.get(path).await.status(), 405);
    assert_eq!(gateway.admin().send("POST", path, &[], b"").await.status(), 404, "forges reach the public listener");
    assert_eq!(text().await.as_deref(), Some("one"), "none of them was worth a fetch");
    let good = format!("sha256={}", signed(&home, "word of the forge", word));
    let taken = forge.send("POST", path, &[("x-hub-signature-256", &good)], word.as_bytes()).await;
    assert_eq!(taken.status(), 202, "{}", taken.text());
    let told = Instant::now();
    eventually("the push", async || (text().await.as_deref() == Some("two")).then_some(())).await;
    println!("figure: a push that the forge told of showed after {} ms", told.elapsed().as_millis());
}

#[tokio::test]
async fn the_work_tree_is_there_for_this_machine_and_moves_of_labels_are_audited() {
    if Command::new("git").arg("--version").output().is_err()
        && may_be_left_out("the_work_tree_is_there_for_this_machine_and_moves_of_labels_are_audited", "git")
    {
        return;
    }
    let upstream = Upstream::start().await;
    let home = Home::new();
    git(&home, &["init", "--quiet", "--initial-branch=main", "work"]);
    std::fs::create_dir_all(home.path().join("work/prompts/greet")).expect("a folder");
    for text in ["one", "two"] {
        home.write("work/prompts/greet/prompt.yaml", &format!("text: {{content: {text}}}\n"));
        git(&home, &["-C", "work", "add", "."]);
        git(&home, &["-C", "work", "commit", "--quiet", "-m", text]);
    }
    home.write("work/prompts/greet/prompt.yaml", "text: {content: being tried}\n");
    let store = "{events: {to: \"file:events\"}, registry: \"sqlite:registry.db\", artifacts: \"file:artifacts\"}";
    let base = BASE.replace("{events: {to: \"file:events\"}}", store);
    let sections = format!("{}{}", crate::harness::provider("pool", &[&upstream]), crate::harness::ROUTES);
    home.write("config.yaml", &format!("{base}{sections}prompts: {{repository: work}}\n"));
    let key = home.key(&["read", "write"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    let dev = client.post("/v1/prompts/greet/render", &json!({"version": "dev"})).await;
    assert_eq!(dev.json()["messages"][0]["content"], "being tried", "{}", dev.text());
    let compared = client.get("/v1/prompts/greet/diff?from=2&to=dev").await;
    assert!(compared.json()["text"].as_str().is_some_and(|text| text.contains("being tried")), "{}", compared.text());
    let label = "/v1/prompts/greet/labels/production";
    let set = async |body: Value| client.send("PUT", label, &[], body.to_string().as_bytes()).await.status();
    assert_eq!(set(json!({"version": 1, "expected": 2})).await, 409);
    assert_eq!(set(json!({"version": 1, "expected": 0, "why": "read it"})).await, 200);
    let alias = json!({"name": "greet", "alias": "production", "version": "2"});
    let by_mlflow = client.post("/api/2.0/mlflow/registered-models/alias", &alias).await;
    assert_eq!(by_mlflow.status(), 200, "{}", by_mlflow.text());
    let back = client.post("/v1/prompts/greet/rollback", &json!({"label": "production"})).await;
    assert_eq!(back.status(), 200, "{}", back.text());
    let ran = home.run(&["prompt", "label", "greet", "production", "2", "--expect", "1", "--config", "config.yaml"]);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    let log = home.run(&["audit", "export", "--config", "config.yaml"]).out();
    let entries: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect();
    let deeds: Vec<(&str, &str)> = entries
        .iter()
        .map(|one| (one["action"].as_str().unwrap_or(""), one["subject"].as_str().unwrap_or("")))
        .collect();
    let to = "prompts:/greet@production";
    assert_eq!(
        deeds,
        [("prompt.label", to), ("prompt.label", to), ("prompt.rollback", to), ("prompt.label", to)],
        "{log}"
    );
    assert!(log.contains("read it") && home.run(&["audit", "verify", "--config", "config.yaml"]).code() == 0, "{log}");
}

#[tokio::test]
async fn a_remote_repository_is_fetched_by_https_and_only_read() {
    if Command::new("git").arg("--version").output().is_err()
        && may_be_left_out("a_remote_repository_is_fetched_by_https_and_only_read", "git")
    {
        return;
    }
    let upstream = Upstream::start().await;
    let home = Home::new();
    git(&home, &["init", "--quiet", "--initial-branch=main", "work"]);
    std::fs::create_dir_all(home.path().join("work/prompts/greet")).expect("a folder");
    let commit = |text: &str| {
        home.write("work/prompts/greet/prompt.yaml", &format!("text: {{content: {text}}}\n"));
        git(&home, &["-C", "work", "add", "."]);
        git(&home, &["-C", "work", "commit", "--quiet", "-m", text]);
    };
    commit("one");
    git(&home, &["-C", "work", "tag", "prompts/greet/production"]);
    // `git:secret`, as it is sent.
    let server = GitServer::start(&home.path().join("work"), "Z2l0OnNlY3JldA==");
    let sections = format!("{}{}", crate::harness::provider("pool", &[&upstream]), crate::harness::ROUTES);
    let prompts = format!("prompts: {{repository: \"{}\", token: \"${{file:token}}\", poll: 1s}}\n", server.url());
    home.write("config.yaml", &format!("{BASE}{sections}{prompts}"));
    home.write("token", "wrong");
    let key = home.key(&["read", "write"]);
    let refused = home.run(&["serve", "--config", "config.yaml"]);
    assert!(refused.code() != 0 && refused.err().contains("prompts.token"), "{}", refused.err());
    home.write("token", "secret");
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    let text = async |reference: &str| {
        let answer = client.post(&format!("/v1/prompts/{reference}/render"), &json!({})).await;
        answer.json()["messages"][0]["content"].as_str().map(str::to_owned)
    };
    assert_eq!(text("greet@production").await.as_deref(), Some("one"));
    let written = client.post("/v1/prompts", &json!({"name": "x", "template": "y"})).await;
    assert_eq!(written.status(), 409, "{}", written.text());
    commit("two");
    git(&home, &["-C", "work", "tag", "--force", "prompts/greet/production"]);
    let pushed = Instant::now();
    eventually("the push", async || (text("greet@production").await.as_deref() == Some("two")).then_some(())).await;
    assert!(pushed.elapsed() < Duration::from_secs(5), "{:?}", pushed.elapsed());
}

/// A gateway with a route of two variants, each with a label of the prompt `greet`, and one without a prompt.
async fn tried(test: &str) -> Option<(Stage, Client)> {
    let mut stage = Stage::new(test).await?;
    write(&stage.writer, "Hi {{ who }}").await;
    write(&stage.writer, "Hello {{ who }}").await;
    for (label, version) in [("production", 1), ("candidate", 2)] {
        point(&stage.writer, label, version).await;
    }
    let text = stage.home.read("config.yaml");
    let tried =
        "tried: {variants: {old: {model: up, prompt: greet@production}, new: {model: up, prompt: greet@candidate}}}";
    stage.home.replace("config.yaml", &text.replace("routes: {", &format!("routes: {{{tried}, ")));
    let key = stage.home.key(&["infer", "read", "write"]);
    drop(stage.gateway);
    stage.gateway = stage.home.serve().await;
    stage.writer = stage.gateway.client().with_key(&key);
    let admin = stage.gateway.admin();
    Some((stage, admin))
}

async fn point(client: &Client, label: &str, version: u32) {
    let body = json!({"version": version, "why": "tried"}).to_string();
    let moved = client.send("PUT", &format!("/v1/prompts/greet/labels/{label}"), &[], body.as_bytes()).await;
    assert_eq!(moved.status(), 200, "{}", moved.text());
}

fn asked(route: &str, prompt: &Value) -> Value {
    json!({"model": route, "prompt": prompt, "messages": [{"role": "user", "content": "and now?"}]})
}

#[tokio::test]
async fn two_versions_of_a_prompt_are_tried_against_each_other_and_rolled_back() {
    let test = "two_versions_of_a_prompt_are_tried_against_each_other_and_rolled_back";
    let Some((stage, admin)) = tried(test).await else { return };
    let (mut by_version, mut last) = ([0, 0, 0], Value::Null);
    for _ in 0..40 {
        let answer = stage.writer.chat(&asked("tried", &json!({"variables": {"who": "Bo"}}))).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let id = answer.head.header("x-request-id").expect("an id").to_owned();
        let event = crate::harness::events::event(&admin, &id).await;
        let n = event["prompt"]["n"].as_u64().expect("a version");
        by_version[usize::try_from(n).expect("a small number")] += 1;
        let wanted = if n == 1 { ("old", "Hi Bo") } else { ("new", "Hello Bo") };
        assert_eq!((&event["variant"], &event["prompt"]["name"]), (&json!(wanted.0), &json!("greet")));
        assert_eq!(event["prompt"]["sha"].as_str().map(str::len), Some(40));
        last = serde_json::from_slice(&stage.upstream.seen().last().expect("a call").body).expect("JSON");
        assert_eq!(last["messages"][0], json!({"role": "user", "content": wanted.1}));
    }
    assert!(by_version[1] > 5 && by_version[2] > 5, "{by_version:?}");
    assert_eq!(last["messages"][1], json!({"role": "user", "content": "and now?"}));
    assert_eq!(last.get("prompt"), None);
    // The label moves: from then on both arms have the version that it points to.
    point(&stage.writer, "candidate", 1).await;
    let moved = Instant::now();
    eventually("both arms at the first version", async || {
        let mut is_old = true;
        for _ in 0..8 {
            let answer = stage.writer.chat(&asked("tried", &json!({"variables": {"who": "Bo"}}))).await;
            is_old &= answer.status() == 200;
            let body: Value = serde_json::from_slice(&stage.upstream.seen().last()?.body).ok()?;
            is_old &= body["messages"][0]["content"] == "Hi Bo";
        }
        is_old.then_some(())
    })
    .await;
    let took = moved.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    println!("figure: a label that was moved back served after {took:?}");
    let log = stage.writer.get("/v1/prompts/greet/labels/candidate").await.text();
    assert!(log.contains("tester"), "{log}");
}

#[tokio::test]
async fn callers_name_a_prompt_and_its_variables_are_strict() {
    let Some((stage, admin)) = tried("callers_name_a_prompt_and_its_variables_are_strict").await else { return };
    let client = &stage.writer;
    let named = json!({"id": "greet", "version": 2, "variables": {"who": "Bo"}});
    let answer = client.chat(&json!({"model": "mock", "prompt": named})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let body: Value = serde_json::from_slice(&stage.upstream.seen().last().expect("a call").body).expect("JSON");
    assert_eq!(body["messages"], json!([{"role": "user", "content": "Hello Bo"}]));
    for (route, prompt, status, param) in [
        ("tried", json!({}), 400, "prompt.variables.who"),
        ("tried", json!({"variables": {"who": "Bo", "more": 1}}), 400, "prompt.variables.more"),
        ("tried", json!({"id": "greet", "variables": {"who": "Bo"}}), 400, "prompt.id"),
        ("mock", json!({"variables": {"who": "Bo"}}), 400, "prompt.id"),
        ("mock", json!({"id": "absent"}), 404, "prompt.id"),
        ("mock", json!({"id": "greet", "version": "../x", "variables": {"who": "Bo"}}), 400, "prompt.version"),
        ("mock", json!({"id": "greet", "version": 7, "variables": {"who": "Bo"}}), 404, "prompt.id"),
        ("mock", json!({"name": "greet"}), 400, "prompt"),
    ] {
        let answer = client.chat(&asked(route, &prompt)).await;
        assert_eq!((answer.status(), &answer.error()["param"]), (status, &json!(param)), "{prompt}: {}", answer.text());
    }
    // The same interface for operators, and nothing of it for callers.
    let body = json!({"name": "greet", "ref": "main", "template": "Good day {{ who }}"});
    let made = admin.post("/admin/v1/prompts", &body).await;
    assert_eq!((made.status(), made.json()["n"].clone()), (201, json!(3)), "{}", made.text());
    assert_eq!(client.post("/admin/v1/prompts", &body).await.status(), 404);
}

#[tokio::test]
async fn a_label_that_is_taken_away_keeps_no_other_change_from_taking_effect() {
    let test = "a_label_that_is_taken_away_keeps_no_other_change_from_taking_effect";
    let Some((stage, admin)) = tried(test).await else { return };
    for label in ["production", "candidate"] {
        let path = format!("/v1/prompts/greet/labels/{label}");
        assert_eq!(stage.writer.send("DELETE", &path, &[], b"").await.status(), 200);
    }
    let answer = stage.writer.chat(&asked("tried", &json!({"variables": {"who": "Bo"}}))).await;
    assert_eq!(answer.status(), 503, "{}", answer.text());
    let made = admin.post("/admin/v1/keys", &json!({"principal": "leaver", "tenant": "t", "roles": ["infer"]})).await;
    let leaver = stage.gateway.client().with_key(made.json()["secret"].as_str().expect("a secret"));
    let status = async |wanted: u16| (leaver.get("/v1/models").await.status() == wanted).then_some(());
    eventually("the new key", async || status(200).await).await;
    let path = format!("/admin/v1/keys/{}", made.json()["id"].as_str().expect("an id"));
    assert_eq!(admin.send("DELETE", &path, &[], b"").await.status(), 204);
    eventually("the revocation", async || status(401).await).await;
    point(&stage.writer, "production", 1).await;
    point(&stage.writer, "candidate", 1).await;
    let answer = stage.writer.chat(&asked("tried", &json!({"variables": {"who": "Bo"}}))).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[tokio::test]
async fn a_fallback_that_lacks_its_variables_leaves_the_first_fault() {
    let Some(mut stage) = Stage::new("a_fallback_that_lacks_its_variables_leaves_the_first_fault").await else {
        return;
    };
    write(&stage.writer, "Hi {{ who }}").await;
    let text = stage.home.read("config.yaml");
    let route = "falls: {variants: {plain: {model: up}, asked: {model: up, prompt: greet}}, policy: {weighted: {plain: 100%, asked: 0%}}, fallback: [{when: [\"5xx\"], to: {variant: asked}}], retry: {attempts: 1}}";
    stage.home.replace("config.yaml", &text.replace("routes: {", &format!("routes: {{{route}, ")));
    let key = stage.home.key(&["infer"]);
    drop(stage.gateway);
    stage.gateway = stage.home.serve().await;
    stage.upstream.always(crate::harness::upstream::failure(500));
    let client = stage.gateway.client().with_key(&key);
    let answer = client.chat(&json!({"model": "falls", "messages": [{"role": "user", "content": "hi"}]})).await;
    assert_eq!(answer.status() / 100, 5, "{}", answer.text());
    assert_eq!(stage.upstream.count(), 1);
}

#[tokio::test]
async fn a_route_whose_prompt_is_not_there_is_refused() {
    let Some(stage) = Stage::new("a_route_whose_prompt_is_not_there_is_refused").await else { return };
    let text = stage.home.read("config.yaml");
    let config = text.replace("routes: {", "routes: {lost: {model: up, prompt: absent@production}, ");
    // Beside the gateway that runs.
    stage.home.write("lost.yaml", &config.replace("file:events", "file:elsewhere"));
    let ran = stage.home.run(&["serve", "--config", "lost.yaml"]);
    assert!(ran.code() != 0 && ran.err().contains("absent@production"), "{}", ran.err());
    stage.home.write("none.yaml", &config.replace("prompts: {repository: prompts.git}\n", ""));
    let ran = stage.home.run(&["check", "none.yaml"]);
    assert!(ran.code() == 2 && (ran.err() + &ran.out()).contains("no repository"), "{}{}", ran.err(), ran.out());
}

#[tokio::test]
async fn mlflows_prompt_calls_are_answered_from_git() {
    let Some(mut stage) = Stage::new("mlflows_prompt_calls_are_answered_from_git").await else { return };
    let text = stage.home.read("config.yaml");
    stage.home.write("config.yaml", &text.replace("store: {", "store: {registry: \"sqlite:registry.db\", "));
    let key = stage.home.key(&["read", "write"]);
    drop(stage.gateway);
    stage.gateway = stage.home.serve().await;
    let client = stage.gateway.client().with_key(&key);
    let call = async |method: &str, path: &str, body: Value| {
        let path = format!("/api/2.0/mlflow/{path}");
        let json = [("content-type", "application/json")];
        let answer = client.send(method, &path, &json, body.to_string().as_bytes()).await;
        (answer.status(), serde_json::from_str::<Value>(&answer.text()).unwrap_or(Value::Null))
    };
    let is_prompt = json!({"key": "mlflow.prompt.is_prompt", "value": "true"});
    let of = |tags: Value| {
        let mut all = vec![is_prompt.clone()];
        all.extend(tags.as_array().cloned().unwrap_or_default());
        all
    };
    let new = json!({"name": "support", "tags": of(json!([{"key": "team", "value": "a"}]))});
    assert_eq!(call("POST", "registered-models/create", new.clone()).await.0, 200);
    let (status, again) = call("POST", "registered-models/create", new).await;
    assert_eq!((status, &again["error_code"]), (400, &json!("RESOURCE_ALREADY_EXISTS")), "{again}");
    let (status, mixed) = call("POST", "registered-models/create", json!({"name": "support"})).await;
    assert!(status == 400 && mixed["message"].as_str().unwrap_or_default().contains("already taken"), "{mixed}");
    for (kind, text) in
        [("text", "Hi {{ who }}"), ("chat", r#"[{"role": "system", "content": "Gr\\u00fc\\u00dfe {{ who }}"}]"#)]
    {
        let text = text.replace("\\\\", "\\");
        let tags =
            of(json!([{"key": "_mlflow_prompt_type", "value": kind}, {"key": "mlflow.prompt.text", "value": text}]));
        let version = json!({"name": "support", "source": "dummy-source", "description": kind, "tags": tags});
        let (status, made) = call("POST", "model-versions/create", version).await;
        assert_eq!(status, 200, "{made}");
        let kept = made["model_version"]["tags"].as_array().expect("tags").clone();
        assert!(kept.contains(&json!({"key": "mlflow.prompt.text", "value": text})), "{kept:?}");
        assert_eq!(made["model_version"]["description"], kind);
    }
    let alias = json!({"name": "support", "alias": "production", "version": "1"});
    assert_eq!(call("POST", "registered-models/alias", alias).await, (200, json!({})));
    let (_, got) = call("GET", "registered-models/alias?name=support&alias=production", Value::Null).await;
    assert_eq!(got["model_version"]["version"], "1");
    let (_, got) = call("GET", "registered-models/alias?name=support&alias=latest", Value::Null).await;
    assert_eq!(got["model_version"]["version"], "2");
    let search = "registered-models/search?filter=tags.%60mlflow.prompt.is_prompt%60%20%3D%20%27true%27%20AND%20name%20LIKE%20%27sup%25%27";
    let (_, found) = call("GET", search, Value::Null).await;
    assert_eq!(found["registered_models"][0]["aliases"], json!([{"alias": "production", "version": "1"}]));
    assert_eq!(call("GET", "registered-models/search", Value::Null).await.1, json!({}));
    // What git knows of it: two commits of the caller, and the label's ref.
    git(&stage.home, &["-C", "prompts.git", "rev-parse", "refs/tidegate/labels/support/production"]);
    let rendered = client.post("/v1/prompts/support@production/render", &json!({"variables": {"who": "Bo"}})).await;
    assert_eq!(rendered.json()["messages"][0]["content"], "Hi Bo");
    assert_eq!(call("DELETE", "registered-models/delete", json!({"name": "support"})).await, (200, json!({})));
    assert_eq!(call("GET", "registered-models/get?name=support", Value::Null).await.0, 404);
}

#[tokio::test]
async fn the_command_line_moves_labels_and_tries_cases_at_a_route() {
    let Some(stage) = Stage::new("the_command_line_moves_labels_and_tries_cases_at_a_route").await else { return };
    let run = async |arguments: &[&str]| {
        let mut command = stage.home.command(crate::harness::home::PROGRAM);
        command.args(arguments).args(["--config", "config.yaml"]);
        // Elsewhere, as the upstream runs on this thread.
        let ran = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it runs");
        let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        (ran.status.code().expect("a code"), said)
    };
    for text in ["Hi {{ who }}", "Hello {{ who }}"] {
        write(&stage.writer, text).await;
    }
    for version in ["1", "2"] {
        assert_eq!(run(&["prompt", "label", "greet", "production", version, "--why", "better"]).await.0, 0);
    }
    let (code, said) = run(&["prompt", "diff", "greet", "1"]).await;
    assert!(code == 0 && said.contains("-") && said.contains("Hello {{ who }}"), "{said}");
    let (code, said) = run(&["prompt", "rollback", "greet", "production"]).await;
    assert!(code == 0 && said.contains("\"n\": 1"), "{said}");
    let (code, said) = run(&["prompt", "list"]).await;
    assert!(code == 0 && said.contains("production=1"), "{said}");
    let (code, said) = run(&["prompt", "render", "greet@production", "--var", "who=Bo"]).await;
    assert!(code == 0 && said.contains("Hi Bo"), "{said}");
    let (code, said) = run(&["prompt", "render", "greet"]).await;
    assert!(code == 1 && said.contains("`who` is missing"), "{said}");

    git(&stage.home, &["clone", "--quiet", "prompts.git", "clone"]);
    let cases = "tests:\n- {name: greets, variables: {who: Bo}, expect: [{contains: hello}, {regex: \"there$\"}]}\n- {name: leaves, variables: {who: Bo}, expect: [{contains: bye}]}\n";
    stage.home.write("clone/prompts/greet/prompt.yaml", &format!("text: {{content: \"Hi {{{{ who }}}}\"}}\n{cases}"));
    git(&stage.home, &["-C", "clone", "commit", "--quiet", "-am", "cases"]);
    git(&stage.home, &["-C", "clone", "push", "--quiet"]);
    eventually("the push", async || (stage.writer.get("/v1/prompts/greet").await.json()["n"] == 3).then_some(())).await;
    stage.upstream.always(crate::harness::upstream::stream(&["hello", " there"], true));
    let (key, url) = (stage.home.key(&["infer"]), format!("http://{}", stage.gateway.address("public")));
    let mut tried = (0, String::new());
    eventually("the key", async || {
        tried = run(&["prompt", "test", "greet", "--route", "mock", "--url", &url, "--key", &key]).await;
        (!tried.1.contains("status 401")).then_some(())
    })
    .await;
    let (code, said) = tried;
    assert!(code == 1 && said.contains("ok greets") && said.contains("FAILED leaves"), "{said}");
    assert!(said.contains("greet/3: 1 passed, 1 failed"), "{said}");
    assert_eq!(stage.upstream.last().json()["messages"], json!([{"role": "user", "content": "Hi Bo"}]));
}
