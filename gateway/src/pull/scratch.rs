//! A folder for what is needed only for a moment, in the cache so that no other disk fills. Owns its end: it goes when
//! the value is dropped, and what a killed process left goes a day later.

use super::Reason;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PREFIX: &str = ".scratch-";
const STALE: Duration = Duration::from_secs(24 * 3600);

/// A folder that is removed with this value.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A new, empty folder in `cache`, with a name that nobody can foresee.
    pub(super) fn within(cache: &Path) -> Result<Self, Reason> {
        fs::create_dir_all(cache).map_err(|e| Reason::cache(cache, &e))?;
        sweep(cache);
        let mut random = [0u8; 8];
        getrandom::fill(&mut random)
            .map_err(|e| Reason::Stopped(format!("the system gives no random numbers: {e}")))?;
        let path = cache.join(format!("{PREFIX}{:016x}", u64::from_le_bytes(random)));
        fs::create_dir(&path).map_err(|e| Reason::cache(&path, &e))?;
        Ok(Self(path))
    }

    /// A new folder in it.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, Reason> {
        let path = self.0.join(name);
        fs::create_dir(&path).map_err(|e| Reason::cache(&path, &e))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept by a later run.
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

fn sweep(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let age = entry.metadata().and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
        if ours && age.is_some_and(|age| age > STALE) {
            fs::remove_dir_all(entry.path()).unwrap_or_default();
        }
    }
}

/// Bytes of the largest file in `folder`, at any depth.
pub(super) fn largest_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => largest_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_its_value() {
        let cache = tempfile::tempdir().unwrap();
        let scratch = Scratch::within(cache.path()).unwrap();
        let folder = scratch.folder("wheel").unwrap();
        fs::write(folder.join("a"), b"12345").unwrap();
        fs::write(folder.join("b"), b"123").unwrap();
        assert_eq!(largest_in(cache.path()), 5);
        drop(scratch);
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }
}
