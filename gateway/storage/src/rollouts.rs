//! Where rollouts are kept between runs of the program, beside the records of calls: a file each. Owns that one is there
//! whole or not at all; what stands in it is its owner's.

use crate::StoreFault;
use crate::folder::write_whole;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tidegate_core::RouteName;
use tidegate_core::digest::Digest;

/// The rollouts of an event store.
#[derive(Debug)]
pub struct RolloutShelf {
    folder: PathBuf,
}

impl RolloutShelf {
    /// Those in this folder of an event store; it is made with the first.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.join("rollouts") }
    }

    /// What was kept of the rollout of a route last.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(&self, route: &RouteName) -> Result<Option<Vec<u8>>, StoreFault> {
        let path = self.path(route);
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
    pub fn keep(&self, route: &RouteName, content: &[u8]) -> Result<(), StoreFault> {
        fs::create_dir_all(&self.folder).map_err(StoreFault::io("create the folder", &self.folder))?;
        write_whole(&self.path(route), content)
    }

    /// Names of routes may hold slashes, so files are named by their digest.
    fn path(&self, route: &RouteName) -> PathBuf {
        self.folder.join(format!("{}.json", Digest::of(route.as_str().as_bytes()).short()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_last_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = RolloutShelf::at(folder.path());
        let (route, other) = ("a/b".parse().unwrap(), "a".parse().unwrap());
        assert_eq!(shelf.load(&route).unwrap(), None);
        shelf.keep(&route, b"one").unwrap();
        shelf.keep(&route, b"two").unwrap();
        assert_eq!(shelf.load(&route).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(shelf.load(&other).unwrap(), None);
        // A folder where the file belongs.
        fs::create_dir_all(shelf.path(&other)).unwrap();
        assert!(shelf.load(&other).is_err() && shelf.keep(&other, b"three").is_err());
    }
}
