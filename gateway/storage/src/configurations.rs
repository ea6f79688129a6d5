//! The configurations that calls were answered under, kept beside their records: a record names its configuration by its
//! hash, and a year later its file says no more what that was. Owns their names; what stands in them is the caller's.

use crate::StoreFault;
use crate::folder::{sync_folder, write_whole};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The configurations in one event store's folder.
#[derive(Debug, Clone)]
pub struct Configurations {
    folder: PathBuf,
}

impl Configurations {
    /// Those in this folder of an event store.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.join("configurations") }
    }

    /// Keeps one by its hash; one that is kept stays as it is.
    ///
    /// # Errors
    /// The hash is none, or it cannot be written.
    pub fn keep(&self, hash: &str, text: &str) -> Result<(), StoreFault> {
        let path = self.path(hash)?;
        if path.exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).map_err(StoreFault::io("create the folder", &self.folder))?;
        if let Some(parent) = self.folder.parent() {
            sync_folder(parent).map_err(StoreFault::io("sync the folder", parent))?;
        }
        write_whole(&path, text.as_bytes())
    }

    /// The one of this hash, if it is kept.
    ///
    /// # Errors
    /// The hash is none, or the file cannot be read.
    pub fn get(&self, hash: &str) -> Result<Option<String>, StoreFault> {
        let path = self.path(hash)?;
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(StoreFault::io("read", &path)),
        }
    }

    /// The file of a hash; whoever asks may have any text for one.
    fn path(&self, hash: &str) -> Result<PathBuf, StoreFault> {
        let path = self.folder.join(format!("{hash}.json"));
        if !hash.is_empty() && hash.len() <= 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(path);
        }
        Err(StoreFault::io("find", &self.folder)(io::Error::other("a configuration's name is its hash, in hex digits")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_kept_once_and_no_other_file_can_be_had() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Configurations::at(folder.path());
        assert_eq!(kept.get("00ff").unwrap(), None);
        kept.keep("00ff", "{}").unwrap();
        kept.keep("00ff", "other").unwrap();
        assert_eq!(kept.get("00ff").unwrap().as_deref(), Some("{}"));
        fs::write(folder.path().join("x.json"), "secret").unwrap();
        for bad in ["../x", "", "x", &"a".repeat(65)] {
            assert!(kept.get(bad).is_err() && kept.keep(bad, "").is_err(), "{bad}");
        }
    }
}
