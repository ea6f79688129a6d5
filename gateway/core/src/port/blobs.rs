//! The port to files of models and the like: named by a path, written whole or not at all, durable when acknowledged.

use super::BoxFuture;
use super::mount::Frames;
use crate::digest::Digest;
use crate::{Fault, FaultKind};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::SystemTime;

/// Keeps files.
pub trait Blobs: Send + Sync + fmt::Debug {
    /// Writes a file, instead of one that may be there: readers see the old one or the new one, and it is durable when
    /// this returns. `most` bounds its length.
    fn put<'a>(&'a self, path: &'a BlobPath, content: Frames, most: u64) -> BoxFuture<'a, Result<BlobInfo, Fault>>;

    /// Opens a file from `range`; all of it where none is given.
    fn get<'a>(&'a self, path: &'a BlobPath, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Blob, Fault>>;

    /// What lies directly below a folder, sorted by name; of a folder that is not there, nothing. The root where none is
    /// given.
    fn list<'a>(&'a self, folder: Option<&'a BlobPath>) -> BoxFuture<'a, Result<Vec<BlobEntry>, Fault>>;

    /// Removes a file, or a folder with all below it; false where there was none.
    fn delete<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<bool, Fault>>;

    /// The file of this machine that holds what lies at `path`, fetched where it has to be: never written to again, and
    /// gone no sooner than a day after nothing leads to it any more. `NotFound` where there is no file.
    fn local<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<PathBuf, Fault>>;

    /// Removes what nothing leads to any more and is a day old; tells how many files that were.
    fn sweep(&self) -> BoxFuture<'_, Result<usize, Fault>>;
}

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// How many bytes.
    pub length: u64,
    /// Their SHA-256.
    pub digest: Digest,
}

/// A file opened to be read.
pub struct Blob {
    /// How many bytes the whole file has.
    pub length: u64,
    /// The SHA-256 of the whole file.
    pub digest: Digest,
    /// When it was written.
    pub written: SystemTime,
    /// The bytes asked for.
    pub frames: Frames,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("length", &self.length).field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// What lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobEntry {
    /// Its name there.
    pub name: String,
    /// Its length; `None` for a folder.
    pub length: Option<u64>,
}

/// The path of a file: parts with slashes between them, none of which leads elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobPath(String);

impl BlobPath {
    /// Checks a decoded path; slashes at its end are dropped.
    ///
    /// # Errors
    /// It is empty, absolute or too long, or has a part that could lead elsewhere or that a file system may not take.
    pub fn new(text: &str) -> Result<Self, Fault> {
        let refused = |says: &'static str| Fault::new(FaultKind::InvalidRequest, says);
        let text = text.trim_end_matches('/');
        if text.len() > 1024 {
            return Err(refused("the path is longer than 1024 bytes"));
        }
        for part in text.split('/') {
            if matches!(part, "" | "." | "..") {
                return Err(refused("the path is empty, absolute, or has an empty, `.` or `..` part"));
            }
            if part.len() > 200 {
                return Err(refused("a part of the path is longer than 200 bytes"));
            }
            // `#` and `?` would end a path in a URI; a backslash and a colon lead elsewhere on Windows.
            if part.contains(['\\', '#', '?', ':']) || part.chars().any(char::is_control) {
                return Err(refused("the path has a character that a path here must not have: \\ # ? : or a control"));
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for BlobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_elsewhere_is_none() {
        for bad in [
            "",
            "/",
            "/etc",
            "..",
            "a/../b",
            "a//b",
            ".",
            "a/.",
            "a\\b",
            "c:/x",
            "a#b",
            "a\0",
            "a\nb",
            &"x/".repeat(600),
        ] {
            assert!(BlobPath::new(bad).is_err(), "{bad:?}");
        }
        assert!(BlobPath::new(&"x".repeat(201)).is_err());
        for good in ["a", "a/b/MLmodel", "a/b/", "ünïcode/x y", "..a", "a..b"] {
            assert!(BlobPath::new(good).is_ok(), "{good:?}");
        }
        assert_eq!(BlobPath::new("a/b/").unwrap().name(), "b");
    }
}
