//! The running program: started, told by signals, and killed when a test is done with it. Owns reading its log, from
//! which it learns the addresses that were bound.

use super::home::ADMIN_TOKEN;
use super::{Client, PATIENCE, eventually};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A gateway that runs.
pub(crate) struct Gateway {
    child: Child,
    addresses: BTreeMap<String, SocketAddr>,
    log: Log,
}

/// The lines that the program wrote, as they come.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no reader panicked").clone()
    }

    fn follow(&self, stderr: ChildStderr) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.0.lock().expect("no reader panicked").push(line);
            }
        });
    }
}

impl Gateway {
    /// Starts `program serve` and waits until all its listeners listen.
    pub(crate) async fn start(mut program: Command) -> Self {
        program.args(["serve", "--config", "config.yaml"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = program.spawn().expect("the program starts");
        let log = Log::default();
        log.follow(child.stderr.take().expect("its log is ours"));
        let end = Instant::now() + PATIENCE;
        let mut gateway = Self { child, addresses: BTreeMap::new(), log };
        while !gateway.is_listening() {
            let ended = gateway.child.try_wait().expect("it can be asked");
            assert!(
                ended.is_none() && Instant::now() < end,
                "it does not listen ({ended:?}); its log:\n{}",
                gateway.log.lines().join("\n")
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        gateway
    }

    /// The admin listener is bound last, so its line ends the start.
    fn is_listening(&mut self) -> bool {
        for line in self.log_of("listening") {
            if let (Some(name), Some(address)) = (line["listener"].as_str(), line["address"].as_str()) {
                self.addresses.insert(name.to_owned(), address.parse().expect("an address"));
            }
        }
        self.addresses.contains_key("public") && self.addresses.contains_key("admin")
    }

    /// The lines of its log with this message.
    pub(crate) fn log_of(&self, message: &str) -> Vec<Value> {
        let lines = self.log.lines();
        let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.filter(|line| line["message"].as_str().is_some_and(|text| text.contains(message))).collect()
    }

    /// All lines of its log.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        self.addresses[listener]
    }

    /// A client of the public listener, without a key.
    pub(crate) fn client(&self) -> Client {
        Client::of(self.address("public"))
    }

    /// A client of the admin listener, with its token.
    pub(crate) fn admin(&self) -> Client {
        Client::of(self.address("admin")).with_key(ADMIN_TOKEN)
    }

    /// Whether it was killed a moment ago: it is gone, or it answers and lives on. A process that dies accepts nobody any
    /// more before it can be waited for.
    pub(crate) async fn was_killed(&mut self) -> bool {
        let client = self.client();
        let child = &mut self.child;
        eventually("the program to answer or to be gone", async || {
            if child.try_wait().expect("it can be asked").is_some() {
                return Some(true);
            }
            let mut wire = client.try_connect().await.ok()?;
            wire.write(&client.request("GET", "/healthz", &[], b"")).await;
            wire.head().await.map(|_| false)
        })
        .await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let told =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().expect("kill runs");
        assert!(told.success(), "the signal {name} cannot be sent");
    }

    /// Kills it at once, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the end of the program", async || child.try_wait().expect("it can be asked")).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It has ended already where this fails.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
        if std::thread::panicking() {
            eprintln!("--- the program's log\n{}", self.log.lines().join("\n"));
        }
    }
}
