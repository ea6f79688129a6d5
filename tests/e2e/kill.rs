//! Power cuts and failing disks: what was sealed opens, what was acknowledged is there, and what was lost is said.

use crate::harness::home::{BASE, PROGRAM};
use crate::harness::upstream::{Act, chunk, done, opening, piece, usage};
use crate::harness::{Client, Gateway, Home, Stage, Strace, Upstream, chat, chat_stream, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How many kills; `./verify full` asks for 20.
fn kills() -> usize {
    std::env::var("TIDEGATE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

fn configuration(upstream: &Upstream, durability: &str) -> String {
    let base = BASE.replace("{to: \"file:events\"}", &format!("{{to: \"file:events\", durability: {durability}}}"));
    format!("{base}{}{}", crate::harness::provider("pool", &[upstream]), crate::harness::ROUTES)
}

/// Answered calls and when their last byte came.
type Answered = Arc<Mutex<Vec<(String, Instant)>>>;

/// Calls without end until the gateway is gone; notes every call that was answered to its end.
async fn call(client: Client, answered: Answered) {
    loop {
        let Ok(mut wire) = client.try_connect().await else { return };
        loop {
            wire.write(&client.request("POST", "/v1/chat/completions", &[], chat("mock").to_string().as_bytes())).await;
            let Some(head) = wire.head().await else { break };
            let mut framing = head.framing();
            let end = loop {
                match wire.part(&mut framing).await {
                    crate::harness::wire::Part::Data(_) => {}
                    end => break end,
                }
            };
            if head.status != 200 || end != crate::harness::wire::Part::End {
                break;
            }
            let id = head.header("x-request-id").expect("every answer has an id").to_owned();
            answered.lock().expect("no caller panicked").push((id, Instant::now()));
        }
    }
}

/// One kill: the calls answered before it, and what the next start found.
struct Kill {
    number: usize,
    answered: Vec<(String, Instant)>,
    at: Instant,
    known: BTreeSet<String>,
    /// How many records the next start says are lost; it counts those of calls that were never answered too.
    said_lost: usize,
}

impl Kill {
    /// The calls that were answered and left no record, and how long before the kill that was.
    fn lost(&self) -> Vec<(&str, Duration)> {
        let lost = self.answered.iter().filter(|(id, _)| !self.known.contains(id));
        lost.map(|(id, at)| (id.as_str(), self.at.saturating_duration_since(*at))).collect()
    }
}

/// What the start says of the run before it; it says nothing where nothing was lost.
fn said_lost(gateway: &Gateway) -> usize {
    let lines = gateway.log_of("the last run did not stop in order");
    lines.first().map_or(0, |line| line["lost"].as_u64().expect("it says how many records are lost") as usize)
}

/// Kills the gateway under load again and again.
async fn sweep(durability: &str, mut judge: impl FnMut(Kill)) {
    let upstream = Upstream::start().await;
    let home = Home::new();
    home.write("config.yaml", &configuration(&upstream, durability));
    let key = home.key(&["infer"]);
    let mut gateway = home.serve().await;
    for kill in 0..kills() {
        let answered = Answered::default();
        let callers: Vec<_> =
            (0..8).map(|_| tokio::spawn(call(gateway.client().with_key(&key), Arc::clone(&answered)))).collect();
        // A moment that no two kills share: so many answers after the load began.
        let moment = 40 + (kill * 7919) % 400;
        eventually("the load", async || (answered.lock().expect("no caller panicked").len() >= moment).then_some(()))
            .await;
        gateway.kill();
        let at = Instant::now();
        for caller in callers {
            caller.await.expect("a caller ends when the gateway is gone");
        }
        gateway = home.serve().await;
        let known = recorded(&home, kill);
        let answered = std::mem::take(&mut *answered.lock().expect("no caller panicked"));
        judge(Kill { number: kill, answered, at, known, said_lost: said_lost(&gateway) });
        assert_eq!(
            gateway.client().with_key(&key).chat(&chat("mock")).await.status(),
            200,
            "it serves after kill {kill}"
        );
    }
}

/// The ids of all records; each is whole and there once.
fn recorded(home: &Home, kill: usize) -> BTreeSet<String> {
    let ran = home.run(&["events", "tail", "-n", "10000000", "--json", "--config", "config.yaml"]);
    assert_eq!(ran.code(), 0, "kill {kill}: {}", ran.err());
    let told = ran.out();
    let ids: Vec<String> = told
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("a record is whole")["id"]
                .as_str()
                .expect("it has an id")
                .to_owned()
        })
        .collect();
    let distinct: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), distinct.len(), "kill {kill}: a record is there twice");
    distinct
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_at_most_the_last_second() {
    let (mut lost_in_all, mut oldest) = (0, Duration::ZERO);
    sweep("queue", |kill| {
        let lost = kill.lost();
        lost_in_all += lost.len();
        for (id, age) in &lost {
            // A record is written within 10 ms, and what is written survives the end of the process.
            oldest = oldest.max(*age);
            assert!(
                *age < Duration::from_secs(1),
                "kill {}: {id} was answered {age:?} before and is lost",
                kill.number
            );
        }
        let (lost, said) = (lost.len(), kill.said_lost);
        assert!(lost <= said, "kill {}: {lost} answered calls are lost and the next start says {said}", kill.number);
    })
    .await;
    println!(
        "figure: {} kills, {lost_in_all} of the answered calls lost, the oldest {oldest:?} before the kill",
        kills()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_call_survives_every_kill() {
    let mut answered_in_all = 0;
    sweep("ack", |kill| {
        answered_in_all += kill.answered.len();
        let lost = kill.lost();
        assert!(lost.is_empty(), "kill {}: answered calls are missing: {lost:?}", kill.number);
    })
    .await;
    println!("figure: {} kills with durability ack, 0 of {answered_in_all} answered calls missing", kills());
}

#[tokio::test]
async fn a_torn_tail_is_cut_at_the_last_good_record() {
    let stage = Stage::new().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(stage.client.chat(&chat("mock")).await.request_id());
    }
    crate::harness::events::event(&stage.admin, &ids[19]).await;
    stage.gateway.kill();
    let newest = newest_segment(&stage.home);
    let bytes = std::fs::read(&newest).unwrap();
    // Cut within the last record, with garbage behind it, as a torn write leaves it.
    let mut torn = bytes[..bytes.len() - 9].to_vec();
    torn.extend_from_slice(&[0xa5; 5]);
    std::fs::write(&newest, torn).unwrap();
    let gateway = stage.home.serve().await;
    let known = crate::harness::events::newest(&gateway.admin(), 100).await;
    let known: BTreeSet<&str> = known.iter().map(|event| event["id"].as_str().expect("it has an id")).collect();
    let wanted: BTreeSet<&str> = ids[..19].iter().map(String::as_str).collect();
    assert_eq!(known, wanted, "only the last record was torn");
    assert_eq!(said_lost(&gateway), 1);
}

/// The file of the event store that was written last.
fn newest_segment(home: &Home) -> std::path::PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![home.path().join("events")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let segments = files
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("seg") || path.extension().is_some_and(|end| end == "log"));
    segments
        .filter(|path| path.metadata().unwrap().len() > 64)
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap())
        .expect("there is a segment")
}

#[tokio::test]
async fn an_answer_whose_record_is_not_durable_is_none() {
    if Strace::is_missing("an_answer_whose_record_is_not_durable_is_none") {
        return;
    }
    let upstream = Upstream::start().await;
    let text = configuration(&upstream, "ack");
    let stage = Stage::of(upstream, &text).await;
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    let disk = Strace::inject(stage.gateway.pid(), "fsync,fdatasync", "error=EIO").await;
    let answer = stage.client.chat(&chat("mock")).await;
    assert_eq!((answer.status(), answer.error()["code"].clone()), (503, json!("not_durable")));
    assert_eq!(answer.header("x-should-retry"), Some("false"), "a second try would be billed twice");
    stage.upstream.then(Act::Stream(vec![
        opening(),
        piece("said"),
        chunk(&json!({}), Some("stop")),
        usage(1, 1),
        done(),
    ]));
    let events = stage.client.stream(&chat_stream("mock")).await.events().await;
    assert!(!events.contains(&"[DONE]".to_owned()), "a stream without a record ended as if it had one: {events:?}");
    assert!(events.last().is_some_and(|event| event.contains("\"error\"")), "{events:?}");
    drop(disk);
    eventually("the disk to be used again", async || {
        (stage.client.chat(&chat("mock")).await.status() == 200).then_some(())
    })
    .await;
    assert_eq!(
        stage
            .home
            .command(PROGRAM)
            .args(["events", "tail", "--json", "--config", "config.yaml"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(0)
    );
}
