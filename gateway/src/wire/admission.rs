//! Whether a model fits into the memory that is free, beside the one that it shall replace. Owns the reckoning; without a figure of the
//! system everything is taken to fit.

use crate::pull::{ModelFiles, ModelKind};
use anyhow::ensure;
use std::path::Path;
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
        "it needs some {} MiB, and {} MiB are free: free some, or choose a smaller model or `kv_cache`",
        needed >> 20,
        available >> 20
    );
    Ok(())
}

/// What a model takes in memory, about.
pub(super) fn needed(files: &ModelFiles, local: &LocalSpec) -> u64 {
    let length = |path: &std::path::Path| path.metadata().map_or(0, |about| about.len());
    match &files.kind {
        ModelKind::Gguf { path } => length(path).saturating_add(local.kv_cache).saturating_add(BESIDE),
        ModelKind::Classic { path, .. } => length(path).saturating_mul(4),
        ModelKind::Folder { files } => {
            let weights = files.iter().filter(|(name, _)| name.ends_with(".safetensors"));
            let weights = weights.fold(0u64, |sum, (_, path)| sum.saturating_add(length(path)));
            weights.saturating_add(local.kv_cache).saturating_add(BESIDE)
        }
        ModelKind::Embedder { weights, .. } | ModelKind::Reranker { weights, .. } => {
            length(weights).saturating_add(BESIDE)
        }
    }
}

/// What could be had without swapping, as Linux reckons it (proc(5), `MemAvailable`), and within the limits of the groups
/// that the process is in (cgroups(7), version 2), as a container has them.
fn available() -> Option<u64> {
    let machine = parse(&std::fs::read_to_string("/proc/meminfo").ok()?);
    let group = std::fs::read_to_string("/proc/self/cgroup").ok();
    let group = group.and_then(|text| within(Path::new("/sys/fs/cgroup"), &text));
    machine.into_iter().chain(group).min()
}

/// What is left of the tightest limit between the group that `cgroup` names and `root`; files that the system could drop
/// count as left.
fn within(root: &Path, cgroup: &str) -> Option<u64> {
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folders = root.join(own);
    let number =
        |folder: &Path, name: &str| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let left = |folder: &Path| {
        let (most, used) = (number(folder, "memory.max")?, number(folder, "memory.current")?);
        let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let files = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
        Some(most.saturating_sub(used.saturating_sub(files.unwrap_or_default())))
    };
    folders.ancestors().take_while(|folder| folder.starts_with(root)).filter_map(left).min()
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
    fn the_tightest_group_bounds_it() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let left = || within(root.path(), "1:name=systemd:/x\n0::/pod/gateway\n");
        assert_eq!(left(), None);
        write("pod/gateway/memory.max", "max\n");
        write("pod/gateway/memory.current", "100\n");
        assert_eq!(left(), None, "no limit");
        write("pod/memory.max", "1000\n");
        write("pod/memory.current", "700\n");
        assert_eq!(left(), Some(300));
        write("pod/memory.stat", "anon 1\ninactive_file 250\n");
        assert_eq!(left(), Some(550));
        write("pod/gateway/memory.max", "150\n");
        assert_eq!(left(), Some(50));
    }

    #[test]
    fn what_is_larger_than_the_room_is_refused() {
        assert!(fits(10 << 20, Some(9 << 20)).unwrap_err().to_string().contains("10 MiB"));
        assert!(fits(10 << 20, Some(10 << 20)).is_ok());
        assert!(fits(u64::MAX, None).is_ok());
    }
}
