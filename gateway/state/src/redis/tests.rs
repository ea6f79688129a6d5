use super::*;
use crate::shared::model::Model;
use std::path::Path;
use std::process::{Child, Command, Stdio};

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

/// Numbers that are the same in each run.
struct Draws(u64);

impl Draws {
    /// By SplitMix64.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % end
    }
}

#[tokio::test]
async fn the_script_says_what_the_model_says() {
    let server = Server::start();
    let mut store = server.store().await;
    let connected = store.connected.as_mut().unwrap();
    let mut draws = Draws(7);
    for account in 0..300 {
        let mut model = Model::default();
        let mut now_us = 1_790_000_000_000_000 + draws.below(1_000_000);
        let is_rate = account % 2 == 0;
        let until_ms = now_us / 1000 + 60_000;
        let mut holders = [(0_u64, 0_u64, 0_u64); 3];
        for seq in 1..30 {
            now_us += draws.below(4_000_000);
            let who = usize::try_from(draws.below(3)).unwrap();
            let (drawn, settled, acked) = &mut holders[who];
            *settled += draws.below(40).min(*drawn - *settled);
            if draws.below(5) == 0 {
                *drawn = *settled;
            }
            let need = draws.below(3) * draws.below(100);
            let ask = Ask {
                key: format!("account{account}"),
                holder: format!("h{who}"),
                seq: if draws.below(20) == 0 { seq / 2 } else { seq },
                drawn: *drawn,
                settled: *settled,
                acked: *acked,
                least: need.min(draws.below(100)),
                need,
                like: draws.below(500),
                most: if draws.below(10) == 0 { 700 } else { 1_000 },
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
