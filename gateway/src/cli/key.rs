//! `tidegate key`: keys made, listed and revoked in the key file. The secret is shown once and kept nowhere; the file
//! holds its digest. A running gateway sees the change of the file by itself.

use super::{Wrong, load, print, when};
use crate::terminal::Style;
use clap::{Args, Subcommand};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tidegate_config::keys;
use tidegate_core::clock::SystemClock;
use tidegate_core::digest::Digest;
use tidegate_core::{Clock, KeyId, KeyRecord, Principal, Role, RouteName, Secret, Tenant};

/// The commands on keys.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key and print its secret, once
    #[command(after_help = "\
Examples:
  tidegate key new --principal ann --tenant web
  tidegate key new --principal ci --tenant web --role infer --route smollm2 --expires 90d
  tidegate key new --principal ops --tenant web --role read --role admin --config configs/production")]
    New(New),
    /// List the keys
    List {
        #[command(flatten)]
        file: KeyFile,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a key; callers who use it are refused from then on
    Revoke {
        /// The key's id, as `key list` shows it
        id: KeyId,
        #[command(flatten)]
        file: KeyFile,
    },
}

/// Where keys are kept.
#[derive(Debug, Args)]
pub(super) struct KeyFile {
    /// The key file [default: keys.yaml]
    #[arg(long, value_name = "PATH")]
    keys_file: Option<PathBuf>,
    /// The configuration that names the key file
    #[arg(long, value_name = "PATH", conflicts_with = "keys_file")]
    config: Option<PathBuf>,
}

/// The arguments of `key new`.
#[derive(Debug, Args)]
pub(super) struct New {
    /// Who will call with it
    #[arg(long)]
    principal: Principal,
    /// For whom; limits are counted by tenant
    #[arg(long)]
    tenant: Tenant,
    /// What it may do: infer, feedback, read, write, approve or admin; can be given again
    #[arg(long = "role", value_parser = role, default_value = "infer")]
    roles: Vec<Role>,
    /// A route that it may call; can be given again; all where none is given
    #[arg(long = "route")]
    routes: Vec<RouteName>,
    /// How long it holds, such as 90d; for ever where it is not given
    #[arg(long, value_parser = when::span, value_name = "SPAN")]
    expires: Option<Duration>,
    /// A note on it, as name=value; can be given again
    #[arg(long = "tag", value_parser = tag, value_name = "NAME=VALUE")]
    tags: Vec<(String, String)>,
    #[command(flatten)]
    file: KeyFile,
}

fn role(text: &str) -> Result<Role, String> {
    let quoted = serde_json::Value::String(text.to_owned());
    serde_json::from_value(quoted)
        .map_err(|_| "a role is one of infer, feedback, read, write, approve, admin".to_owned())
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a tag has the form name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Key {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::New(new) => new.run(&SystemClock),
            Self::List { file, json } => {
                let records = read(&file.path()?)?;
                print(&if json {
                    format!("{:#}\n", shown(&records))
                } else {
                    table(&records, SystemClock.wall(), Style::stdout())
                })
            }
            Self::Revoke { id, file } => {
                let path = file.path()?;
                let is_revoked = keys::change(&path, |records| {
                    let before = records.len();
                    records.retain(|record| record.id != id);
                    records.len() < before
                })?;
                let none = || format!("there is no key {id} in {}; `tidegate key list` shows them", path.display());
                anyhow::ensure!(is_revoked, none());
                print(&format!("{} {id} is revoked\n", Style::stdout().good("ok:")))
            }
        }
    }
}

impl KeyFile {
    fn path(&self) -> anyhow::Result<PathBuf> {
        let Some(config) = &self.config else {
            return Ok(self.keys_file.clone().unwrap_or_else(|| "keys.yaml".into()));
        };
        let keys = load(config)?.spec.keys;
        let none = || Wrong(format!("{} asks for no keys: add `keys: {{file: keys.yaml}}` to it", config.display()));
        Ok(keys.ok_or_else(none)?.file)
    }
}

impl New {
    fn run(self, clock: &dyn Clock) -> anyhow::Result<()> {
        let path = self.file.path()?;
        let (secret, record) = self.make(clock)?;
        let id = record.id.clone();
        keys::change(&path, move |records| {
            records.push(record);
            true
        })?;
        let style = Style::stderr();
        let note = format!("{} key {id} is in {}; its secret is shown this once:\n", style.good("ok:"), path.display());
        // The note goes beside the secret, so that `$(tidegate key new …)` yields the secret alone.
        std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes())?;
        print(&format!("{}\n", secret.expose()))
    }

    fn make(self, clock: &dyn Clock) -> anyhow::Result<(Secret, KeyRecord)> {
        let mut random = [0u8; 40];
        getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
        let hex = random.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap_or_default();
            hex
        });
        let secret = Secret::new(format!("sk-{}", &hex[..64]));
        let record = KeyRecord {
            id: format!("key-{}", &hex[64..]).parse()?,
            digest: Digest::of(secret.expose().as_bytes()),
            principal: self.principal,
            tenant: self.tenant,
            roles: self.roles.into_iter().collect(),
            routes: Some(self.routes.into_iter().collect::<BTreeSet<_>>()).filter(|routes| !routes.is_empty()),
            expires: self.expires.map(|span| clock.wall() + span),
            tags: self.tags.into_iter().collect::<BTreeMap<_, _>>(),
        };
        Ok((secret, record))
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<KeyRecord>> {
    if !path.exists() {
        anyhow::bail!("there is no key file {}; `tidegate key new` makes one", path.display());
    }
    Ok(keys::read(path)?)
}

fn shown(records: &[KeyRecord]) -> serde_json::Value {
    let show = |key: &KeyRecord| {
        let expires =
            key.expires.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()).map(|since| since.as_secs());
        serde_json::json!({"id": key.id, "principal": key.principal, "tenant": key.tenant, "roles": key.roles, "routes": key.routes, "expires": expires, "tags": key.tags})
    };
    records.iter().map(show).collect()
}

fn table(records: &[KeyRecord], now: SystemTime, style: Style) -> String {
    let mut text = style.dim(&format!(
        "{:<22} {:<16} {:<16} {:<24} {:<16} {}",
        "ID", "PRINCIPAL", "TENANT", "ROLES", "EXPIRES", "ROUTES"
    ));
    text.push('\n');
    for key in records {
        let roles = key.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect::<Vec<_>>().join(",");
        let routes = key
            .routes
            .as_ref()
            .map_or("all".to_owned(), |routes| routes.iter().map(RouteName::as_str).collect::<Vec<_>>().join(","));
        let expires = key.expires.map_or_else(|| "never".to_owned(), when::minute);
        let expires = format!("{expires:<16}");
        let expires = if key.expires.is_some_and(|at| at <= now) { style.bad(&expires) } else { expires };
        let KeyRecord { id, principal, tenant, .. } = key;
        let (id, principal, tenant) = (id.as_str(), principal.as_str(), tenant.as_str());
        writeln!(text, "{id:<22} {principal:<16} {tenant:<16} {roles:<24} {expires} {routes}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests;
