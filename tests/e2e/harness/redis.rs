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
