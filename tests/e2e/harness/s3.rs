//! A server that speaks S3, of the test's own: in memory, on a port that the system chose. The artifact store's suite has
//! it too.

use super::Client;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A server with one bucket, `models`; it ends with the test.
pub(crate) struct S3 {
    process: Child,
    port: u16,
}

impl S3 {
    /// Starts one; `None` where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let home = std::env::var("HOME").unwrap_or_default();
        let cache = std::env::var("TIDEGATE_CACHE").unwrap_or_else(|_| format!("{home}/.cache/tidegate"));
        let python = PathBuf::from(cache).join("clients/s3-venv/bin/python");
        if !python.exists() {
            return None;
        }
        let mut command = Command::new(python);
        command.arg(super::home::repository().join("tests/conformance/s3/serve.py"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let server = Self { process, port: line.trim().parse().expect("a port") };
        let made = Client::of(([127, 0, 0, 1], server.port).into()).send("PUT", "/models", &[], b"").await;
        assert_eq!(made.status(), 200, "{}", made.text());
        Some(server)
    }

    /// The fields of `store` that lead there.
    pub(crate) fn store(&self) -> String {
        let port = self.port;
        format!(
            "artifacts: \"s3://models/of/tests\", s3: {{endpoint: \"http://127.0.0.1:{port}\", access_key_id: tidegate, \
             secret_access_key: \"${{env:TIDEGATE_TEST_S3:-secret}}\", cache: cache}}"
        )
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
