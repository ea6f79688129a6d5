//! Anchors of the registry's audit log, kept beside the records of calls: which hash its newest entry had when. A log that
//! was written anew, or cut together with its own head, then differs from what stands here. Owns the file's form.

use crate::StoreFault;
use crate::folder::sync_folder;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;

/// The file's name in the folder of the event store.
const NAME: &str = "anchors.jsonl";

/// One head of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Milliseconds since 1970 at which it was noted.
    pub at: u64,
    /// The number of the newest entry.
    pub entry: i64,
    /// Its hash.
    pub hash: Digest,
}

/// As it stands in a line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at: u64,
    entry: i64,
    hash: String,
}

/// The anchors in one event store's folder.
#[derive(Debug, Clone)]
pub struct Anchors {
    path: PathBuf,
}

impl Anchors {
    /// Those in this folder.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { path: folder.join(NAME) }
    }

    /// Adds one; when this returns it is on disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&self, anchor: &Anchor) -> Result<(), StoreFault> {
        let wrong = || StoreFault::io("add an anchor to", &self.path);
        let line = Line { at: anchor.at, entry: anchor.entry, hash: anchor.hash.to_string() };
        let mut bytes = serde_json::to_vec(&line).map_err(io::Error::other).map_err(wrong())?;
        bytes.push(b'\n');
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path).map_err(wrong())?;
        // A kill in the middle of the one before leaves a beginning of a line, which must not swallow this one.
        if !is_new && !ends_a_line(&self.path).map_err(wrong())? {
            bytes.insert(0, b'\n');
        }
        file.write_all(&bytes).map_err(wrong())?;
        file.sync_data().map_err(wrong())?;
        if is_new && let Some(folder) = self.path.parent() {
            sync_folder(folder).map_err(wrong())?;
        }
        Ok(())
    }

    /// All of them, in the order in which they were noted; lines that a kill left unfinished are none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<Vec<Anchor>, StoreFault> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(StoreFault::io("read the anchors in", &self.path))?,
        };
        let anchor = |line: &str| {
            let Line { at, entry, hash } = serde_json::from_str(line).ok()?;
            Some(Anchor { at, entry, hash: hash.parse().ok()? })
        };
        Ok(text.lines().filter_map(anchor).collect())
    }
}

fn ends_a_line(path: &Path) -> io::Result<bool> {
    Ok(fs::read(path)?.last().is_none_or(|byte| *byte == b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_read_back_and_a_torn_line_hides_none() {
        let folder = tempfile::tempdir().unwrap();
        let anchors = Anchors::at(folder.path());
        assert_eq!(anchors.read().unwrap(), []);
        let first = Anchor { at: 5, entry: 2, hash: Digest::of(b"a") };
        let second = Anchor { at: 6, entry: 9, hash: Digest::of(b"b") };
        anchors.add(&first).unwrap();
        let whole = fs::read(folder.path().join(NAME)).unwrap();
        for kept in 0..whole.len() - 1 {
            let torn = [&whole[..], &whole[..kept]].concat();
            fs::write(folder.path().join(NAME), torn).unwrap();
            anchors.add(&second).unwrap();
            assert_eq!(anchors.read().unwrap(), [first.clone(), second.clone()], "{kept}");
        }
    }
}
