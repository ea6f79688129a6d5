//! The files of one prompt's folder as they were at a version, and the caps on them. Owns what may be in a folder;
//! where it was read from is not its business.

use crate::fault::SourceFault;
use std::collections::BTreeMap;

/// The name of the file that makes a folder a prompt.
pub(crate) const PROMPT_FILE: &str = "prompt.yaml";

/// The most bytes of one file.
pub(crate) const FILE_BYTES: u64 = 256 << 10;
/// The most bytes of all files.
pub(crate) const FOLDER_BYTES: u64 = 1 << 20;
/// The most files.
pub(crate) const FILES: usize = 64;
/// The deepest folder in the folder.
pub(crate) const DEPTH: usize = 4;

/// The files of a folder: text alone, by their path from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    files: BTreeMap<String, String>,
    bytes: u64,
    skipped: Vec<Skipped>,
}

/// Something that was not read, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Skipped {
    /// Where it lies, in the repository or in the folder.
    pub path: String,
    /// Why it was left out.
    pub why: String,
}

impl Skipped {
    pub(crate) fn new(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self { path: path.into(), why: why.into() }
    }
}

impl Folder {
    /// A folder of these files.
    #[must_use]
    pub fn of(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut folder = Self::default();
        for (path, text) in files {
            folder.put(path, text.into_bytes());
        }
        folder
    }

    /// Takes a file in, or notes why not.
    pub(crate) fn put(&mut self, path: String, bytes: Vec<u8>) {
        let len = bytes.len() as u64;
        if let Err(why) = self.room(len) {
            self.skip(path, why);
        } else if let Ok(text) = String::from_utf8(bytes) {
            self.bytes += len;
            self.files.insert(path, text);
        } else {
            self.skip(path, "is not UTF-8 text");
        }
    }

    /// Whether a file of `len` bytes may come in: asked before it is read.
    pub(crate) fn room(&self, len: u64) -> Result<(), &'static str> {
        if len > FILE_BYTES {
            return Err("is larger than 256 KiB");
        }
        if self.bytes + len > FOLDER_BYTES {
            return Err("would make the folder larger than 1 MiB");
        }
        if self.files.len() >= FILES { Err("is one of more than 64 files") } else { Ok(()) }
    }

    pub(crate) fn skip(&mut self, path: String, why: &str) {
        if self.skipped.len() < FILES {
            self.skipped.push(Skipped::new(path, why));
        }
    }

    /// The text of a file.
    ///
    /// # Errors
    /// When there is none, or it was left out; says why.
    pub fn read(&self, path: &str) -> Result<&str, SourceFault> {
        self.files.get(path).map(String::as_str).ok_or_else(|| {
            let why = self.skipped.iter().find(|s| s.path == path).map_or("there is no such file", |s| s.why.as_str());
            SourceFault::at(path, None, why)
        })
    }

    /// All files, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// What was left out.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
