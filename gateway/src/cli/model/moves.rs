//! Aliases moved: to a version, and back.

use super::{version_id, wait};
use crate::cli::admin::{Admin, Door};
use crate::cli::print;
use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use std::time::Duration;
use tidegate_registry::facts::VersionId;

/// The arguments of `model promote`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Promote {
    /// NAME/3
    #[arg(value_parser = version_id)]
    version: VersionId,
    /// The alias
    alias: String,
    /// The version that the alias must stand for now (0: none), or nothing is moved
    #[arg(long, value_name = "VERSION")]
    expect: Option<i64>,
    /// Wait until each replica that has the alias serves the version, for at most so many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "120")]
    wait: Option<u64>,
    #[command(flatten)]
    door: Door,
}

/// The arguments of `model rollback`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// The model
    name: String,
    /// The alias
    alias: String,
    /// Wait until each replica that has the alias serves the version, for at most so many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "120")]
    wait: Option<u64>,
    #[command(flatten)]
    door: Door,
}

impl Promote {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let VersionId { name, version } = &self.version;
        let admin = self.door.open();
        move_alias(&admin, name.as_str(), &self.alias, *version, self.expect).await?;
        until_served(&admin, name.as_str(), &self.alias, *version, self.wait).await
    }
}

impl Rollback {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let admin = self.door.open();
        let now = admin.ask("GET", &[&self.name, "aliases", &self.alias], None).await?;
        let to = before(&now).with_context(|| format!("`{}` of {} stood for nothing before", self.alias, self.name))?;
        // What it was read from may have moved meanwhile.
        let expected = now["version"].as_i64().unwrap_or(0);
        move_alias(&admin, &self.name, &self.alias, to, Some(expected)).await?;
        until_served(&admin, &self.name, &self.alias, to, self.wait).await
    }
}

/// Waits, where that is wanted, until all replicas serve what the alias stands for now.
async fn until_served(
    admin: &Admin,
    name: &str,
    alias: &str,
    version: i64,
    seconds: Option<u64>,
) -> anyhow::Result<()> {
    let Some(seconds) = seconds else { return Ok(()) };
    let (reference, version) = (format!("models:/{name}@{alias}"), u32::try_from(version)?);
    wait::wait(admin, &reference, version, Duration::from_secs(seconds)).await
}

/// What an alias stood for before what it stands for now.
fn before(alias: &Value) -> Option<i64> {
    // Histories of older programs have moves that led nowhere.
    let mut moves = alias["moves"].as_array()?.iter();
    moves.find(|one| one["before"] != one["after"])?["before"].as_i64()
}

async fn move_alias(admin: &Admin, name: &str, alias: &str, version: i64, expected: Option<i64>) -> anyhow::Result<()> {
    let mut body = json!({"version": version});
    if let Some(expected) = expected {
        body["expected"] = expected.into();
    }
    admin.ask("PUT", &[name, "aliases", alias], Some(&body)).await?;
    print(&format!("{name}@{alias} stands for version {version}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_where_the_newest_move_came_from() {
        let moves = json!({"version": 3, "moves": [{"before": 2, "after": 3}, {"before": null, "after": 2}]});
        assert_eq!(before(&moves), Some(2));
        let twice = json!({"version": 3, "moves": [{"before": 3, "after": 3}, {"before": 2, "after": 3}]});
        assert_eq!(before(&twice), Some(2), "a move to where it stood is no move");
        assert_eq!(before(&json!({"version": 1, "moves": [{"before": null, "after": 1}]})), None);
        assert_eq!(before(&json!({"version": null, "moves": []})), None);
    }
}
