//! A PostgreSQL server of the suite's own: in a folder that goes with it, on a socket there and no port.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use tidegate_core::Secret;
use tidegate_core::spec::DatabaseSpec;

pub(crate) struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl Server {
    /// Starts one; `None` where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap();
        let server = Self { folder, programs };
        let (data, sockets) = (server.path("data"), server.path("sockets"));
        std::fs::create_dir(&sockets).unwrap();
        if is_root() {
            // The server refuses to run as root.
            run(Command::new("chown").args(["-R", "postgres"]).arg(server.folder.path()));
        }
        server.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-N", "--locale=C", "-E", "UTF8"]);
        let options = format!("-c listen_addresses='' -c unix_socket_directories='{sockets}' -c max_connections=100");
        server.run("pg_ctl", &["-D", &data, "-w", "-o", &options, "-l", &server.path("log"), "start"]);
        Some(server)
    }

    /// An empty database of this name.
    pub(crate) async fn database(&self, name: &str) -> DatabaseSpec {
        let sockets = self.path("sockets").replace('/', "%2F");
        let url = |name: &str| format!("postgres://postgres@{sockets}/{name}");
        let mut db = sqlx::PgConnection::connect(&url("postgres")).await.unwrap();
        db.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        db.close().await.unwrap();
        DatabaseSpec::Postgres(Secret::new(url(name)))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
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

impl Drop for Server {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.path("data"), "-m", "immediate", "stop"]);
    }
}

fn run(command: &mut Command) {
    // Its output goes nowhere: a server that inherits a pipe would keep the reader waiting for ever.
    let status = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0)
}

/// The folder of its programs: where PATH has them, else Debian's newest.
fn programs() -> Option<PathBuf> {
    let has = |folder: &Path| folder.join("initdb").exists() && folder.join("pg_ctl").exists();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&paths).find(|folder| has(folder)) {
        return Some(folder);
    }
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort();
    debian.into_iter().rev().find(|folder| has(folder))
}
