//! The folder of one gateway: its configuration, keys and events, which outlive the process. Owns running the program's
//! commands there.

use super::Gateway;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// What every configuration of these tests begins with.
pub(crate) const BASE: &str = "\
listeners: {public: {address: \"127.0.0.1:0\"}}
admin: {address: \"127.0.0.1:0\", token: \"${env:TIDEGATE_ADMIN_TOKEN}\"}
store: {events: {to: \"file:events\"}}
keys: {file: keys.yaml}
";

/// The token of the admin interface.
pub(crate) const ADMIN_TOKEN: &str = "admin-token-of-the-tests";

/// The key that the gateway shows its upstream.
pub(crate) const UPSTREAM_KEY: &str = "upstream-key-of-the-tests";

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tidegate");

/// A folder for one gateway.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::with_prefix("tidegate-e2e-").expect("a temporary folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("the file can be written");
    }

    /// Writes beside the file and renames, as a careful editor does.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let beside = self.path().join(format!(".{name}.new"));
        std::fs::write(&beside, text).expect("the file can be written");
        std::fs::rename(beside, self.path().join(name)).expect("the file can be renamed");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).expect("the file can be read")
    }

    /// A command of the program, run in this folder and with its environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).stdin(Stdio::null());
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "TIDEGATE_LOG"] {
            command.env_remove(name);
        }
        command.env("TIDEGATE_ADMIN_TOKEN", ADMIN_TOKEN).env("UPSTREAM_KEY", UPSTREAM_KEY);
        if let Some(models) = models() {
            command.env("TIDEGATE_MODELS", models);
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran(self.command(PROGRAM).args(arguments).output().expect("the program runs"))
    }

    /// Makes a key with these roles and returns its secret.
    pub(crate) fn key(&self, roles: &[&str]) -> String {
        self.key_of("tester", roles)
    }

    /// The same, of a tenant.
    pub(crate) fn key_of(&self, tenant: &str, roles: &[&str]) -> String {
        self.new_key("tester", tenant, roles)
    }

    /// A new key of somebody else.
    pub(crate) fn key_as(&self, principal: &str, roles: &[&str]) -> String {
        self.new_key(principal, "default", roles)
    }

    fn new_key(&self, principal: &str, tenant: &str, roles: &[&str]) -> String {
        let mut arguments =
            vec!["key", "new", "--principal", principal, "--tenant", tenant, "--keys-file", "keys.yaml"];
        for role in roles {
            arguments.extend(["--role", role]);
        }
        let ran = self.run(&arguments);
        assert_eq!(ran.code(), 0, "{}", ran.err());
        ran.out().trim().to_owned()
    }

    /// Serves `config.yaml` of this folder.
    pub(crate) async fn serve(&self) -> Gateway {
        Gateway::start(self.command(PROGRAM)).await
    }
}

/// The models of this machine, where they were fetched for the tests.
pub(crate) fn models() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("TIDEGATE_TEST_MODELS")?);
    folder.is_dir().then_some(folder)
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository").to_owned()
}

/// A command that has ended.
pub(crate) struct Ran(Output);

impl Ran {
    pub(crate) const fn of(output: Output) -> Self {
        Self(output)
    }

    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}
