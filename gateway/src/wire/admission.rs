//! Whether a model fits into the memory beside the one that it shall replace. Owns the reckoning; without a figure of the
//! system everything is taken to fit.

use crate::pull::{ModelFiles, ModelKind};
use anyhow::ensure;
use tidegate_core::spec::LocalSpec;

/// What loading takes beside the weights and the cache, in bytes.
const BESIDE: u64 = 64 << 20;

/// Refuses files that do not fit into what is free now.
///
/// # Errors
/// Says how much is missing.
pub(super) fn admit(files: &ModelFiles, local: &LocalSpec) -> anyhow::Result<()> {
    fits(needed(files, local), available())
}

fn fits(needed: u64, available: Option<u64>) -> anyhow::Result<()> {
    let Some(available) = available else { return Ok(()) };
    ensure!(
        needed <= available,
        "it needs some {} MiB beside the model that serves, and {} MiB are free",
        needed >> 20,
        available >> 20
    );
    Ok(())
}

fn needed(files: &ModelFiles, local: &LocalSpec) -> u64 {
    let length = |path: &std::path::Path| path.metadata().map_or(0, |about| about.len());
    match &files.kind {
        ModelKind::Gguf { path } => length(path).saturating_add(local.kv_cache).saturating_add(BESIDE),
        ModelKind::Embedder { weights, .. } => length(weights).saturating_add(BESIDE),
    }
}

/// What could be had without swapping, as Linux reckons it (proc(5), `MemAvailable`).
fn available() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_read_in_bytes() {
        assert_eq!(parse("MemTotal: 8 kB\nMemAvailable:    1024 kB\n"), Some(1 << 20));
        assert_eq!(parse("MemTotal: 8 kB\n"), None);
    }

    #[test]
    fn what_is_larger_than_the_room_is_refused() {
        assert!(fits(10 << 20, Some(9 << 20)).unwrap_err().to_string().contains("10 MiB"));
        assert!(fits(10 << 20, Some(10 << 20)).is_ok());
        assert!(fits(u64::MAX, None).is_ok());
    }
}
