//! The script against its model, and a Redis that goes away.

use super::*;
use crate::shared::model::Model;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tidegate_core::dice::{Dice as _, SplitMix};

/// A Redis of this test, on a socket in its own folder.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Self::run(folder.path());
        Self { process, folder }
    }

    fn run(folder: &Path) -> Child {
        Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "redis.sock"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server runs: install Debian's package of this name")
    }

    async fn store(&self) -> RedisStore {
        let url = format!("redis+unix://{}", self.folder.path().join("redis.sock").display());
        let mut store = RedisStore::at(&Secret::new(url)).unwrap();
        let until = tokio::time::Instant::now() + Duration::from_secs(20);
        while let Err(fault) = store.exchange(&[]).await {
            assert!(tokio::time::Instant::now() < until, "{fault}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        store
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A number below `end`.
fn below(dice: &SplitMix, end: u64) -> u64 {
    dice.next_u64() % end
}

#[tokio::test]
async fn the_script_says_what_the_model_says() {
    let server = Server::start();
    let mut store = server.store().await;
    let connected = store.connected.as_mut().unwrap();
    let dice = &SplitMix::seeded(7);
    for account in 0..300 {
        let mut model = Model::default();
        let mut now_us = 1_790_000_000_000_000 + below(dice, 1_000_000);
        let is_rate = account % 2 == 0;
        let until_ms = now_us / 1000 + 60_000;
        let mut holders = [(0_u64, 0_u64, 0_u64); 3];
        for seq in 1..30 {
            now_us += below(dice, 4_000_000);
            let who = usize::try_from(below(dice, 3)).unwrap();
            let (drawn, settled, acked) = &mut holders[who];
            *settled += below(dice, 40).min(*drawn - *settled);
            if below(dice, 5) == 0 {
                *drawn = *settled;
            }
            let need = below(dice, 3) * below(dice, 100);
            let ask = Ask {
                key: format!("account{account}"),
                holder: format!("h{who}"),
                seq: if below(dice, 20) == 0 { seq / 2 } else { seq },
                drawn: *drawn,
                settled: *settled,
                acked: *acked,
                least: need.min(below(dice, 100)),
                need,
                like: below(dice, 500),
                most: if below(dice, 10) == 0 { 700 } else { 1_000 },
                every_us: if is_rate { 7_000_001 } else { 0 },
                until_ms: if is_rate { 0 } else { until_ms },
                hold_ms: 10_000,
            };
            let expected = model.exchange(&ask, i64::try_from(now_us).unwrap());
            let said = connected.exchange(std::slice::from_ref(&ask), now_us).await.unwrap();
            assert_eq!(said.iter().map(answer).collect::<Vec<_>>(), [expected], "account {account}: {ask:?}");
            if expected.verdict == Verdict::Done {
                *drawn += expected.granted;
                *acked = *settled;
            }
        }
    }
}

#[tokio::test]
async fn a_redis_that_forgot_the_script_or_came_back_is_told_again() {
    let mut server = Server::start();
    let mut store = server.store().await;
    let ask = Ask {
        key: "k".into(),
        holder: "h".into(),
        seq: 1,
        drawn: 0,
        settled: 0,
        acked: 0,
        least: 5,
        need: 5,
        like: 5,
        most: 10,
        every_us: 1_000_000,
        until_ms: 0,
        hold_ms: 1_000,
    };
    assert_eq!(store.exchange(std::slice::from_ref(&ask)).await.unwrap()[0].granted, 5);
    let mut other = store.connect().await.unwrap().connection;
    let () = ::redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut other).await.unwrap();
    let fault = store.exchange(std::slice::from_ref(&ask)).await.unwrap_err();
    assert!(fault.0.contains("NOSCRIPT") || fault.0.contains("script"), "{fault}");
    let ask = Ask { seq: 2, ..ask };
    assert_eq!(store.exchange(std::slice::from_ref(&ask)).await.unwrap()[0].verdict, Verdict::Done);

    server.process.kill().unwrap();
    server.process.wait().unwrap();
    assert!(store.exchange(std::slice::from_ref(&ask)).await.is_err());
    assert!(store.exchange(std::slice::from_ref(&ask)).await.is_err(), "nobody is there");
    server.process = Server::run(server.folder.path());
    let mut store = server.store().await;
    assert_eq!(store.exchange(&[ask]).await.unwrap()[0].verdict, Verdict::Done);
}

#[tokio::test]
async fn a_course_has_one_leader_and_is_only_replaced_by_the_one_after_it() {
    let server = Server::start();
    server.store().await;
    let url = Secret::new(format!("redis+unix://{}", server.folder.path().join("redis.sock").display()));
    let [mut a, mut b] = ["a", "b"].map(|name| RedisCourses::at(&url, name.to_owned()).unwrap());
    let ask = |seen: Option<&str>| [CourseAsk { key: "k".into(), seen: seen.map(str::to_owned) }];
    assert_eq!(a.round(&[]).await.unwrap(), []);
    let nothing = Course { leader: "a".into(), ..Course::default() };
    assert_eq!(a.round(&ask(None)).await.unwrap(), [nothing]);
    assert!(a.commit("k", (0, 1), "first").await.unwrap());
    assert!(!b.commit("k", (0, 1), "another first").await.unwrap(), "it is too late");
    assert!(b.commit("k", (1, 2), "second").await.unwrap(), "who follows may turn, too");
    let known = b.round(&ask(Some("much"))).await.unwrap().remove(0);
    assert_eq!((known.version, known.text.as_deref(), known.leader.as_str()), (2, Some("second"), "a"));
    assert_eq!(known.seen, BTreeMap::from([("b".to_owned(), "much".to_owned())]));

    // The lead ends with its time.
    let mut other = store_connection(&url).await;
    let () = ::redis::cmd("HSET").arg("k").arg("until").arg(0).query_async(&mut other).await.unwrap();
    assert_eq!(b.round(&ask(None)).await.unwrap()[0].leader, "b");
    assert_eq!(a.round(&ask(Some("more"))).await.unwrap()[0].leader, "b");
}

async fn store_connection(url: &Secret) -> MultiplexedConnection {
    connect(&client(url).unwrap()).await.unwrap()
}
