//! Where monitors are kept between runs of the program, beside the records of calls: a file each. Owns that one is there
//! whole or not at all; what stands in it is its owner's.

use crate::StoreFault;
use crate::folder::write_whole;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tidegate_core::MonitorName;
use tidegate_core::digest::Digest;

/// The monitors of an event store.
#[derive(Debug, Clone)]
pub struct MonitorShelf {
    folder: PathBuf,
}

impl MonitorShelf {
    /// Those in this folder of an event store; it is made with the first.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.join("monitors") }
    }

    /// What was kept of a monitor last.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(&self, monitor: &MonitorName) -> Result<Option<Vec<u8>>, StoreFault> {
        let path = self.path(monitor);
        match fs::read(&path) {
            Ok(kept) => Ok(Some(kept)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreFault::io("read", &path)(error)),
        }
    }

    /// Keeps it; it is on disk when this returns.
    ///
    /// # Errors
    /// It cannot be written; what was there before stays.
    pub fn keep(&self, monitor: &MonitorName, content: &[u8]) -> Result<(), StoreFault> {
        fs::create_dir_all(&self.folder).map_err(StoreFault::io("create the folder", &self.folder))?;
        write_whole(&self.path(monitor), content)
    }

    /// Names of monitors may hold slashes, so files are named by their digest.
    fn path(&self, monitor: &MonitorName) -> PathBuf {
        self.folder.join(format!("{}.json", Digest::of(monitor.as_str().as_bytes()).short()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_last_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = MonitorShelf::at(folder.path());
        let (monitor, other) = ("a/b".parse().unwrap(), "a".parse().unwrap());
        assert_eq!(shelf.load(&monitor).unwrap(), None);
        shelf.keep(&monitor, b"one").unwrap();
        shelf.keep(&monitor, b"two").unwrap();
        assert_eq!(shelf.load(&monitor).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(shelf.load(&other).unwrap(), None);
        // A folder where the file belongs.
        fs::create_dir_all(shelf.path(&other)).unwrap();
        assert!(shelf.load(&other).is_err() && shelf.keep(&other, b"three").is_err());
    }
}
