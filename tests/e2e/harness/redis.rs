//! A Redis of a test: on a socket in its own folder, its data in memory alone.

use super::eventually;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// The server; it ends with this value.
pub(crate) struct Redis {
    folder: TempDir,
    process: Child,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::with_prefix("tidegate-redis-").expect("a temporary folder");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "redis.sock"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server runs: install Debian's package of this name");
        let server = Self { folder, process };
        eventually("Redis to answer", async || server.answers().await.then_some(())).await;
        server
    }

    /// Its address, as a configuration names it.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket())
    }

    /// Stops it in its tracks: it takes connections, as the system does, and answers nothing.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn socket(&self) -> String {
        self.folder.path().join("redis.sock").to_str().expect("UTF-8").to_owned()
    }

    /// Asks it one thing, and gives the answer as it comes over the wire.
    pub(crate) async fn ask(&self, words: &[&[u8]]) -> Vec<u8> {
        let mut stream = UnixStream::connect(self.socket()).await.expect("it takes connections");
        let mut question = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            question.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            question.extend_from_slice(word);
            question.extend_from_slice(b"\r\n");
        }
        stream.write_all(&question).await.expect("it reads");
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.expect("it answers");
        answer.truncate(length);
        answer
    }

    async fn answers(&self) -> bool {
        let Ok(mut stream) = UnixStream::connect(self.socket()).await else { return false };
        let mut answer = [0; 7];
        stream.write_all(b"PING\r\n").await.is_ok()
            && stream.read_exact(&mut answer).await.is_ok()
            && answer == *b"+PONG\r\n"
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let told = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill runs");
        assert!(told.success(), "the signal {name} cannot be sent");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it can be waited for");
    }
}
