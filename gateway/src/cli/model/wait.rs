//! Waiting until a version has come to all replicas. What that means is the registry's `rollout`.

use crate::cli::admin::Admin;
use crate::cli::print;
use anyhow::Context as _;
use std::time::Duration;
use tidegate_core::port::models::ReplicaServing;
use tidegate_registry::rollout::Rollout;

/// How often the gateway is asked.
const AGAIN: Duration = Duration::from_millis(200);

/// Waits until each replica that has `reference` serves `version`.
pub(super) async fn wait(admin: &Admin, reference: &str, version: u32, longest: Duration) -> anyhow::Result<()> {
    let until = tokio::time::Instant::now() + longest;
    loop {
        let mut found = admin.serving().await?;
        let all: Vec<ReplicaServing> =
            serde_json::from_value(found["data"].take()).context("the gateway's list of replicas has another form")?;
        match Rollout::of(&all, reference, version) {
            Rollout::Done(replicas) => return print(&format!("{replicas} replicas serve it\n")),
            Rollout::Nobody => return print(&format!("no replica has {reference}: there is nothing to wait for\n")),
            Rollout::Refused { replica, reason } => {
                anyhow::bail!("{replica} cannot serve version {version}, and serves what it did before: {reason}")
            }
            Rollout::Underway { serve, others } => {
                let seconds = longest.as_secs();
                anyhow::ensure!(
                    tokio::time::Instant::now() < until,
                    "after {seconds} seconds {serve} replicas serve version {version}, and others do not: {}",
                    others.join(", ")
                );
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
