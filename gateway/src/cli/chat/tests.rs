//! The chat against a server of our own on port 0: what it sends, what it prints, what it makes of failures.

use super::*;
use crate::terminal::tests::Seen;
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const SSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// A server that gives these answers in order, and keeps the heads and bodies that it was sent.
struct Fake {
    gateway: Gateway,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

async fn fake(answers: Vec<String>) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            keep.lock().unwrap().push(request);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    Fake { gateway: Gateway::new(&url, Some(Secret::new("sk-x")), Arc::new(Web::direct())).unwrap(), seen }
}

async fn read_request(stream: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    loop {
        bytes.push(stream.read_u8().await.unwrap());
        if bytes.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length: ").map(|n| n.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.unwrap();
    (head, serde_json::from_slice(&body).unwrap_or_default())
}

fn streamed(parts: &[&str]) -> String {
    let events = parts.iter().map(|part| format!("data: {}\n\n", json!({"choices": [{"delta": {"content": part}}]})));
    format!("{SSE}{}data: [DONE]\n\n", events.collect::<String>())
}

async fn chat(fake: &Fake, typed: &[&str]) -> (String, anyhow::Result<()>) {
    let (tell, lines) = mpsc::channel(typed.len().max(1));
    for line in typed {
        tell.send(Ok((*line).to_owned())).await.unwrap();
    }
    drop(tell);
    let mut seen = Seen::default();
    let look = Look { style: Style::plain(), interactive: false, screen: true };
    let done = talk(&fake.gateway, Session::new("r".to_owned(), None, None), lines, &mut seen, look).await;
    (seen.text(), done)
}

#[tokio::test]
async fn answers_stream_out_and_become_history() {
    let fake = fake(vec![streamed(&["Hel", "lo \u{1b}[2J!"]), streamed(&["Bye"])]).await;
    let (text, done) = chat(&fake, &["hi", "", "and?", "/quit", "never said"]).await;
    done.unwrap();
    assert_eq!(text, "Hello \\u{1b}[2J!\nBye\n");
    let seen = fake.seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert!(
        seen[0].0.starts_with("POST /v1/chat/completions HTTP/1.1\r\n")
            && seen[0].0.to_lowercase().contains("authorization: bearer sk-x\r\n"),
        "{}",
        seen[0].0
    );
    let said: Vec<_> =
        seen[1].1["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["hi", "Hello \u{1b}[2J!", "and?"]);
}

#[tokio::test]
async fn a_cut_or_failed_answer_is_said_and_not_kept() {
    let cut = streamed(&["half"]).replace("data: [DONE]\n\n", "");
    let error = format!("{SSE}data: {}\n\n", json!({"error": {"message": "upstream left"}}));
    let refused =
        "HTTP/1.1 404 Not Found\r\ncontent-length: 37\r\n\r\n{\"error\":{\"message\":\"no such model\"}}".to_owned();
    let fake = fake(vec![cut, error, refused, streamed(&["whole"])]).await;
    let (text, done) = chat(&fake, &["a", "b", "c", "d"]).await;
    assert_eq!(text, "half\nwhole\n");
    assert!(done.unwrap_err().to_string().contains("not every message"));
    let seen = fake.seen.lock().unwrap();
    assert_eq!(seen[3].1["messages"], json!([{"role": "user", "content": "d"}]));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let refused =
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 30\r\n\r\n{\"error\":{\"message\":\"no key\"}}".to_owned();
    let list =
        "HTTP/1.1 200 OK\r\ncontent-length: 37\r\n\r\n{\"data\":[{\"id\":\"first\"},{\"id\":\"b\"}]} ".to_owned();
    let fake = fake(vec![refused, list]).await;
    let fault = fake.gateway.first_route().await.unwrap_err().to_string();
    assert_eq!(fault, "the gateway refused it with status 401: no key; give a key by --key or TIDEGATE_API_KEY");
    assert_eq!(fake.gateway.first_route().await.unwrap(), "first");
}

#[tokio::test]
async fn without_a_gateway_it_says_how_to_start_one() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gateway = Gateway::new(&format!("http://127.0.0.1:{port}"), None, Arc::new(Web::direct())).unwrap();
    let fault = gateway.first_route().await.unwrap_err().to_string();
    assert!(fault.contains("tidegate serve"), "{fault}");
    for bad in ["", "localhost:8080", "ftp://h", "http://"] {
        assert!(Gateway::new(bad, None, Arc::new(Web::direct())).is_err(), "{bad:?}");
    }
}
