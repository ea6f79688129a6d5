//! The script against its model, and a Redis that goes away.

use super::*;
use crate::shared::model::Model;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tidegate_core::dice::{Dice as _, SplitMix};
use tidegate_core::port::parcels::{Answer as ParcelAnswer, Ask as ParcelAsk, Parcels as _, Post, Stow};

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

/// What is asked by somebody who has this state and so many parcels behind it.
fn parcel_ask(parcels: &[&str], state: &str, taken: u64, stow: Option<Stow>) -> ParcelAsk {
    ParcelAsk {
        key: "{k}".into(),
        parcels: parcels.iter().map(|text| (*text).to_owned()).collect(),
        state: state.into(),
        taken,
        stow,
        ..ParcelAsk::default()
    }
}

async fn parcels_at(at: &RedisParcels, ask: ParcelAsk) -> ParcelAnswer {
    at.exchange(vec![ask]).await.unwrap().remove(0)
}

#[tokio::test]
async fn parcels_go_to_the_one_who_leads_and_leave_the_queue_with_his_state() {
    let server = Server::start();
    server.store().await;
    let url = Secret::new(format!("redis+unix://{}", server.folder.path().join("redis.sock").display()));
    let [a, b] = ["a", "b"].map(|name| RedisParcels::at(&url, name.to_owned()).unwrap());
    assert_eq!(a.exchange(Vec::new()).await.unwrap(), []);
    let first = parcels_at(&a, parcel_ask(&["1"], "", 0, None)).await;
    assert_eq!((first.leader.as_str(), first.is_taken, first.parcels.as_slice()), ("a", true, &["1".to_owned()][..]));
    let other = parcels_at(&b, parcel_ask(&["2", "3"], "", 0, None)).await;
    assert_eq!(
        (other.leader.as_str(), other.is_taken, other.parcels.len()),
        ("a", true, 0),
        "who follows hears nothing"
    );
    let next = parcels_at(&a, parcel_ask(&[], "", 1, None)).await;
    assert_eq!((next.parcels.as_slice(), next.more), (&["2".to_owned(), "3".to_owned()][..], 0));

    // The state takes two of the three with it; asked once more, since the answer was lost, nothing else happens.
    let posts = vec![(Post::Page, "p1".to_owned(), "page".to_owned())];
    let stow = || Some(Stow { name: "s1".into(), text: "state".into(), taken: 2, posts: posts.clone() });
    for _ in 0..2 {
        let stowed = parcels_at(&a, parcel_ask(&[], "", 3, stow())).await;
        assert_eq!((stowed.state.as_str(), stowed.text, stowed.parcels.len(), stowed.more), ("s1", None, 0, 0));
    }
    let told = parcels_at(&b, parcel_ask(&["4"], "", 0, None)).await;
    assert_eq!(told.posts, [Some(("p1".to_owned(), "page".to_owned())), None]);
    let known = ParcelAsk { known: ["p1".into(), String::new()], ..parcel_ask(&[], "", 0, None) };
    assert_eq!(parcels_at(&b, known).await.posts, [None, None]);
    // Who does not lead, or has another state, stows nothing.
    let late = Some(Stow { name: "s2".into(), text: "late".into(), taken: 1, posts: Vec::new() });
    assert_eq!(parcels_at(&b, parcel_ask(&[], "s1", 0, late.clone())).await.state, "s1");
    assert_eq!(parcels_at(&a, parcel_ask(&[], "s0", 0, late)).await.state, "s1");

    // He goes: the next one has the state, and what is behind it.
    let leaves = ParcelAsk { leaves: true, ..parcel_ask(&[], "s1", 1, None) };
    assert_eq!(parcels_at(&a, leaves).await.leader, "");
    let next = parcels_at(&b, parcel_ask(&[], "", 0, None)).await;
    let expected = ("b", "s1", Some("state".to_owned()), vec!["3".to_owned(), "4".to_owned()]);
    assert_eq!((next.leader.as_str(), next.state.as_str(), next.text, next.parcels), expected);
    // The lead of one who is killed ends with its time.
    let mut other = store_connection(&url).await;
    let () = ::redis::cmd("HSET").arg("{k}").arg("until").arg(0).query_async(&mut other).await.unwrap();
    assert_eq!(parcels_at(&a, parcel_ask(&[], "", 0, None)).await.leader, "a");

    // What there is no room for is not taken, not even in part.
    let large = "x".repeat(40 << 20);
    assert!(parcels_at(&a, parcel_ask(&[&large], "s1", 2, None)).await.is_taken);
    assert!(!parcels_at(&b, parcel_ask(&["5", &large], "", 0, None)).await.is_taken);
    assert!(parcels_at(&b, parcel_ask(&["5"], "", 0, None)).await.is_taken);
    let stow = Some(Stow { name: "s3".into(), text: "state".into(), taken: 3, posts: Vec::new() });
    let behind = parcels_at(&a, parcel_ask(&[&large], "s1", 3, stow)).await;
    assert_eq!((behind.is_taken, behind.parcels.len(), behind.more), (true, 1, 1));
    // A store that lost all says so.
    let () = ::redis::cmd("FLUSHALL").query_async(&mut other).await.unwrap();
    let lost = parcels_at(&a, parcel_ask(&["6"], "s3", 2, None)).await;
    assert_eq!(
        (lost.leader.as_str(), lost.state.as_str(), lost.text, lost.parcels),
        ("a", "", None, vec!["6".to_owned()])
    );
}
