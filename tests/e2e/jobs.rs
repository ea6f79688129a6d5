//! `/v1/files` and `/v1/batches`, from outside: the life of a batch, what is refused, and that a kill loses no line
//! that was counted.

use crate::harness::events::newest;
use crate::harness::home::BASE;
use crate::harness::upstream::{Act, Seen, Step, completion, failure};
use crate::harness::{Client, Gateway, Home, ROUTES, Upstream, eventually, provider};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;

const BOUNDARY: &str = "b0undary";

/// A gateway that takes batches, in front of an upstream.
struct Jobs {
    home: Home,
    gateway: Gateway,
    client: Client,
    upstream: Upstream,
}

impl Jobs {
    async fn with(batches: &str) -> Self {
        let upstream = Upstream::start().await;
        let home = Home::new();
        let text = format!("{BASE}{}{ROUTES}batches: {{to: \"file:jobs\"{batches}}}\n", provider("pool", &[&upstream]));
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "read"]);
        let gateway = home.serve().await;
        let client = gateway.client().with_key(&key);
        Self { home, gateway, client, upstream }
    }

    async fn begin(&self, lines: &str) -> Value {
        let file = upload(&self.client, "batch", lines).await;
        begin(&self.client, file["id"].as_str().unwrap()).await
    }
}

/// A form with the file before its purpose, as `curl` sends it.
async fn upload(client: &Client, purpose: &str, content: &str) -> Value {
    let answer = send(client, purpose, content).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()
}

async fn send(client: &Client, purpose: &str, content: &str) -> crate::harness::client::Answer {
    let body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\nContent-Type: application/octet-stream\r\n\r\n{content}\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--{BOUNDARY}--\r\n"
    );
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    client.send("POST", "/v1/files", &[("content-type", &kind)], body.as_bytes()).await
}

async fn begin(client: &Client, file: &str) -> Value {
    let wanted = json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"for": "a test"}});
    let answer = client.post("/v1/batches", &wanted).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()
}

async fn batch(client: &Client, id: &Value) -> Value {
    client.get(&format!("/v1/batches/{}", id.as_str().unwrap())).await.json()
}

async fn until(client: &Client, id: &Value, status: &str) -> Value {
    let is_so = async || Some(batch(client, id).await).filter(|batch| batch["status"] == status);
    eventually(&format!("a batch that is {status}"), is_so).await
}

async fn lines(client: &Client, file: &Value) -> Vec<Value> {
    let answer = client.get(&format!("/v1/files/{}/content", file.as_str().unwrap())).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn line(id: &str, body: &Value) -> String {
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
}

fn says(text: &str) -> Value {
    json!({"model": "mock", "messages": [{"role": "user", "content": text}]})
}

fn asked(seen: &Seen) -> String {
    seen.json()["messages"][0]["content"].as_str().unwrap().to_owned()
}

fn by_text(seen: &Seen) -> Act {
    if asked(seen) == "bad" { failure(400) } else { completion("hello", 3, 2) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_worked_off_by_the_way_of_live_calls() {
    let jobs = Jobs::with("").await;
    jobs.upstream.always(Act::By(by_text));
    let mut streams = says("s");
    streams["stream"] = json!(true);
    let input = [
        line("one", &says("1")),
        "\n".to_owned(),
        line("two", &says("bad")),
        line("three", &json!({"model": "none", "messages": [{"role": "user", "content": "3"}]})),
        line("four", &json!({"messages": "no"})),
        line("five", &streams),
    ]
    .concat();
    let file = upload(&jobs.client, "batch", &input).await;
    assert_eq!(
        (&file["object"], &file["purpose"], &file["filename"], &file["bytes"], &file["status"]),
        (&json!("file"), &json!("batch"), &json!("in.jsonl"), &json!(input.len()), &json!("processed"))
    );
    let begun = begin(&jobs.client, file["id"].as_str().unwrap()).await;
    assert_eq!(
        (&begun["object"], &begun["status"], &begun["completion_window"]),
        (&json!("batch"), &json!("validating"), &json!("24h"))
    );
    let done = until(&jobs.client, &begun["id"], "completed").await;
    assert_eq!(done["request_counts"], json!({"total": 5, "completed": 1, "failed": 4}));
    assert_eq!((&done["metadata"]["for"], &done["errors"]), (&json!("a test"), &Value::Null));
    for moment in ["created_at", "in_progress_at", "finalizing_at", "completed_at", "expires_at"] {
        assert!(done[moment].is_u64(), "{moment}: {done}");
    }
    let output = lines(&jobs.client, &done["output_file_id"]).await;
    assert_eq!(output.len(), 1);
    let response = &output[0]["response"];
    assert_eq!(
        (&output[0]["custom_id"], &output[0]["error"], &response["status_code"]),
        (&json!("one"), &Value::Null, &json!(200))
    );
    assert_eq!(response["body"]["choices"][0]["message"]["content"], "hello");
    assert!(output[0]["id"].as_str().unwrap().starts_with("batch_req_"));
    let mut errors: Vec<(String, u64)> = lines(&jobs.client, &done["error_file_id"])
        .await
        .iter()
        .map(|line| {
            assert!(line["response"]["body"]["error"]["message"].is_string(), "{line}");
            (line["custom_id"].as_str().unwrap().to_owned(), line["response"]["status_code"].as_u64().unwrap())
        })
        .collect();
    errors.sort();
    let wanted = [("five", 400), ("four", 400), ("three", 404), ("two", 400)];
    assert_eq!(errors, wanted.map(|(id, status)| (id.to_owned(), status)));
    // Each line that was asked has a record, with its name and the batch as its episode.
    let admin = jobs.gateway.admin();
    let record = async || newest(&admin, 20).await.into_iter().find(|event| event["client_request_id"] == "one");
    let event = eventually("the record", record).await;
    assert_eq!(
        (&event["episode"], &event["id"], &event["outcome"]),
        (&begun["id"], &response["request_id"], &json!("ok"))
    );
    assert_eq!(event["usage"]["prompt"], 3);
    // Lists, other tenants, and the end of a file.
    let listed = jobs.client.get("/v1/batches?limit=1").await.json();
    assert_eq!((&listed["data"][0]["id"], &listed["has_more"]), (&begun["id"], &json!(false)));
    let files = jobs.client.get("/v1/files?purpose=batch").await.json();
    assert_eq!(files["data"].as_array().unwrap().len(), 1, "{files}");
    let other = jobs.gateway.client().with_key(&jobs.home.key_of("beta", &["infer"]));
    let path = format!("/v1/batches/{}", begun["id"].as_str().unwrap());
    eventually("the new key", async || (other.get("/v1/files").await.status() == 200).then_some(())).await;
    assert_eq!(other.get(&path).await.status(), 404);
    assert_eq!(other.get(&format!("/v1/files/{}/content", file["id"].as_str().unwrap())).await.status(), 404);
    assert!(other.get("/v1/files").await.json()["data"].as_array().unwrap().is_empty());
    assert_eq!(jobs.gateway.client().get("/v1/files").await.status(), 401);
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    let gone = jobs.client.send("DELETE", &path, &[], b"").await;
    assert_eq!(gone.json(), json!({"id": file["id"], "object": "file", "deleted": true}));
    assert_eq!(jobs.client.get(&path).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_batch_is_said() {
    let jobs = Jobs::with(", max_file: 2KiB, max_stored: 4KiB").await;
    let input = format!("{}{{\n{}", line("a", &says("1")), line("a", &says("1")));
    let failed = jobs.begin(&input).await;
    let failed = until(&jobs.client, &failed["id"], "failed").await;
    let faults = failed["errors"]["data"].as_array().unwrap();
    let told: Vec<(&str, u64)> =
        faults.iter().map(|fault| (fault["code"].as_str().unwrap(), fault["line"].as_u64().unwrap())).collect();
    assert_eq!(told, [("invalid_json_line", 2), ("duplicate_custom_id", 3)], "{failed}");
    assert_eq!((jobs.upstream.count(), &failed["output_file_id"]), (0, &Value::Null));
    let large = send(&jobs.client, "batch", &"x".repeat(3000)).await;
    assert_eq!(large.status(), 413, "{}", large.text());
    let purpose = send(&jobs.client, "fine-tune", "{}").await;
    assert!(purpose.status() == 400 && purpose.error()["param"] == "purpose", "{}", purpose.text());
    let plain = jobs.client.post("/v1/files", &json!({})).await;
    assert_eq!(plain.status(), 415, "{}", plain.text());
    let files = jobs.client.get("/v1/files").await.json();
    assert_eq!(files["data"].as_array().unwrap().len(), 1, "what was refused is not kept: {files}");
    let id = files["data"][0]["id"].clone();
    for (wanted, param) in [
        (
            json!({"input_file_id": "file-0", "endpoint": "/v1/chat/completions", "completion_window": "24h"}),
            "input_file_id",
        ),
        (json!({"input_file_id": id, "endpoint": "/v1/images", "completion_window": "24h"}), "endpoint"),
        (json!({"input_file_id": id, "endpoint": "/v1/embeddings", "completion_window": "1h"}), "completion_window"),
        (
            json!({"input_file_id": id, "endpoint": "/v1/embeddings", "completion_window": "24h", "metadata": {"a": 1}}),
            "metadata",
        ),
    ] {
        let refused = jobs.client.post("/v1/batches", &wanted).await;
        assert!(matches!(refused.status(), 400 | 404) && refused.error()["param"] == param, "{}", refused.text());
    }
    for (method, path, status) in [
        ("GET", "/v1/batches/batch_0", 404),
        ("POST", "/v1/batches/batch_0/cancel", 404),
        ("DELETE", "/v1/files/file-0", 404),
        ("PUT", "/v1/files", 405),
        ("GET", "/v1/batches?limit=0", 400),
        ("GET", "/v1/batches?after=x", 400),
    ] {
        let refused = jobs.client.send(method, path, &[], b"").await;
        assert_eq!(refused.status(), status, "{method} {path}: {}", refused.text());
        assert!(refused.error()["message"].is_string());
    }
}

/// Answers when the test lets it.
fn held(hold: &Arc<Semaphore>) -> Act {
    let body = json!({"id": "x", "object": "chat.completion", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "late"}, "finish_reason": "stop"}]});
    Act::Stream(vec![Step::Hold(Arc::clone(hold)), Step::Send(Bytes::from(body.to_string())), Step::End])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_batch_keeps_what_was_answered() {
    let jobs = Jobs::with(", parallel: 1").await;
    let hold = Arc::new(Semaphore::new(0));
    jobs.upstream.then(completion("first", 1, 1));
    jobs.upstream.then(held(&hold));
    jobs.upstream.always(failure(500));
    let input: String = (0..5).map(|n| line(&format!("l{n}"), &says(&n.to_string()))).collect();
    let begun = jobs.begin(&input).await;
    eventually("the second line", async || (jobs.upstream.count() == 2).then_some(())).await;
    let path = format!("/v1/files/{}", begun["input_file_id"].as_str().unwrap());
    let needed = jobs.client.send("DELETE", &path, &[], b"").await;
    assert_eq!(needed.status(), 409, "{}", needed.text());
    let cancel = format!("/v1/batches/{}/cancel", begun["id"].as_str().unwrap());
    let cancelled = jobs.client.send("POST", &cancel, &[], b"").await.json();
    assert_eq!(cancelled["status"], "cancelling");
    hold.add_permits(1);
    let done = until(&jobs.client, &begun["id"], "cancelled").await;
    assert_eq!(done["request_counts"], json!({"total": 5, "completed": 2, "failed": 0}));
    let output = lines(&jobs.client, &done["output_file_id"]).await;
    assert_eq!(output.len(), 2, "the line that was under way ended");
    assert_eq!((&done["error_file_id"], jobs.upstream.count()), (&Value::Null, 2));
    // Once is enough, and what ended stays so.
    assert_eq!(jobs.client.send("POST", &cancel, &[], b"").await.json()["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_goes_on_behind_a_kill_where_it_was() {
    let jobs = Jobs::with(", parallel: 2").await;
    for _ in 0..3 {
        jobs.upstream.then(completion("before", 1, 1));
    }
    jobs.upstream.always(Act::Hang);
    let input: String = (0..8).map(|n| line(&format!("l{n}"), &says(&n.to_string()))).collect();
    let begun = jobs.begin(&input).await;
    let counted = async || {
        let now = batch(&jobs.client, &begun["id"]).await;
        (now["request_counts"]["completed"] == 3).then_some(now)
    };
    let before = eventually("three lines", counted).await;
    assert_eq!(before["status"], "in_progress");
    eventually("two more under way", async || (jobs.upstream.count() == 5).then_some(())).await;
    let Jobs { home, gateway, upstream, .. } = jobs;
    gateway.kill();
    upstream.always(completion("after", 1, 1));
    let mark = upstream.count();
    let key = home.key(&["infer", "read"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    let done = until(&client, &begun["id"], "completed").await;
    assert_eq!(done["request_counts"], json!({"total": 8, "completed": 8, "failed": 0}));
    let output = lines(&client, &done["output_file_id"]).await;
    let told = |text: &str| {
        let is_it = |line: &&Value| line["response"]["body"]["choices"][0]["message"]["content"] == text;
        let mut ids: Vec<String> =
            output.iter().filter(is_it).map(|line| line["custom_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let (first, later) = (told("before"), told("after"));
    assert_eq!((first.len(), later.len(), output.len()), (3, 5, 8), "{output:?}");
    // What was counted before is not asked again.
    let mut again: Vec<String> = upstream.seen()[mark..].iter().map(|seen| format!("l{}", asked(seen))).collect();
    again.sort();
    assert_eq!(again, later);
    // The folder is the living gateway's alone.
    home.write("second.yaml", &home.read("config.yaml").replace("file:events", "file:others"));
    let second = home.run(&["serve", "--config", "second.yaml"]);
    assert!(second.code() != 0 && second.err().contains("another process works off the batches"), "{}", second.err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_a_revoked_key_are_refused_and_recorded() {
    let jobs = Jobs::with(", parallel: 1").await;
    let hold = Arc::new(Semaphore::new(0));
    jobs.upstream.then(held(&hold));
    jobs.upstream.always(failure(500));
    let admin = jobs.gateway.admin();
    let wanted = json!({"principal": "ann", "tenant": "shop", "roles": ["infer"]});
    let made = admin.post("/admin/v1/keys", &wanted).await.json();
    let client = jobs.gateway.client().with_key(made["secret"].as_str().unwrap());
    let input = [line("first", &says("1")), line("second", &says("2"))].concat();
    let file = upload(&client, "batch", &input).await;
    let mut wanted =
        json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    wanted["output_expires_after"] = json!({"anchor": "created_at", "seconds": 3600});
    let begun = client.post("/v1/batches", &wanted).await;
    assert_eq!(begun.status(), 200, "{}", begun.text());
    eventually("the first line", async || (jobs.upstream.count() == 1).then_some(())).await;
    let path = format!("/admin/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(admin.send("DELETE", &path, &[], b"").await.status(), 204);
    hold.add_permits(1);
    let refused = async || newest(&admin, 20).await.into_iter().find(|event| event["client_request_id"] == "second");
    let event = eventually("the record of the second line", refused).await;
    assert_eq!((&event["episode"], &event["key"], &event["status"]), (&begun.json()["id"], &made["id"], &json!(401)));
    assert_eq!(jobs.upstream.count(), 1, "nobody is asked for a key that is no more");
}
