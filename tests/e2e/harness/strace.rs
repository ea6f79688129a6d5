//! `strace` on a running program, which makes its system calls fail, or kills it at one of them.

use super::{eventually, may_be_left_out};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Is attached until it is dropped; the program then goes on as if nothing had been.
pub(crate) struct Strace(Child);

impl Strace {
    /// Whether the test of this name has to do without it.
    pub(crate) fn is_missing(test: &str) -> bool {
        Command::new("strace").arg("-V").output().is_err() && may_be_left_out(test, "strace")
    }

    /// Injects `what` into these system calls of all threads of `pid`, in the words of strace's `inject`.
    pub(crate) async fn inject(pid: u32, calls: &str, what: &str) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={calls}"));
        strace.arg("-e").arg(format!("inject={calls}:{what}")).arg("-p").arg(pid.to_string());
        let child =
            strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace starts");
        eventually("strace to be attached to every thread", async || {
            // Gone already: it was killed at a call of its own.
            let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Some(()) };
            let is_traced = |status: String| {
                let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
                let is_dead = status.lines().any(|line| line.starts_with("State:") && line.contains('Z'));
                is_dead || tracer.is_some_and(|tracer| tracer.trim() != "0")
            };
            let mut statuses = threads.map(|thread| std::fs::read_to_string(thread.ok()?.path().join("status")).ok());
            statuses.all(|status| status.is_none_or(is_traced)).then_some(())
        })
        .await;
        Self(child)
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // SIGTERM, so that strace lets the program go on.
        let term = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).stderr(Stdio::null()).status();
        term.map(drop).unwrap_or_default();
        let patience = Instant::now() + Duration::from_millis(300);
        while Instant::now() < patience {
            if self.0.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // It may wait for ever for the threads of a program that it killed.
        self.0.kill().map(drop).unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}
