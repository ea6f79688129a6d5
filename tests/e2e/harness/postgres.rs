//! A PostgreSQL server of the test's own: in a folder that goes with it, on a socket there and no port. The registry's
//! suite has it too.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A server; it stops with the test.
pub(crate) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
}

impl Postgres {
    /// Starts one; `None` where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = TempDir::with_prefix("tidegate-pg-").expect("a temporary folder");
        let server = Self { folder, programs };
        let (data, sockets) = (server.path("data"), server.path("sockets"));
        std::fs::create_dir(&sockets).expect("a folder");
        if is_root() {
            // The server refuses to run as root.
            run(Command::new("chown").args(["-R", "postgres"]).arg(server.folder.path()));
        }
        server.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-N", "--locale=C", "-E", "UTF8"]);
        let options = format!("-c listen_addresses='' -c unix_socket_directories='{sockets}' -c max_connections=100");
        server.run("pg_ctl", &["-D", &data, "-w", "-o", &options, "-l", &server.path("log"), "start"]);
        Some(server)
    }

    /// The database of this name, as a configuration names it; `postgres` is there from the beginning.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://postgres@{}/{name}", self.path("sockets").replace('/', "%2F"))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        run(command.args(arguments).current_dir(self.folder.path()));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.path("data"), "-m", "immediate", "stop"]);
    }
}

fn run(command: &mut Command) {
    // Its output goes nowhere: a server that inherits a pipe would keep the reader waiting for ever.
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs");
    assert!(status.success(), "{command:?}: {status}");
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}

/// The folder of its programs: where PATH has them, else Debian's newest.
fn programs() -> Option<PathBuf> {
    let has = |folder: &Path| folder.join("initdb").exists() && folder.join("pg_ctl").exists();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&paths).find(|folder| has(folder)) {
        return Some(folder);
    }
    let entries = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut debian: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    debian.sort();
    debian.into_iter().rev().find(|folder| has(folder))
}
