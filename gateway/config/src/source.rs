//! The files that were read. Owns finding them, the caps on their size and the hash over them; what stands in them is
//! `tree`'s.

use crate::place::Place;
use crate::report::Notes;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;

/// The most bytes of one file.
pub(crate) const LARGEST: u64 = 1 << 20;

/// The most bytes of a file that is attached: no component of a plugin is as large.
const LARGEST_ATTACHED: u64 = 64 << 20;

/// The files that were read, in order.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: Vec<Source>,
    /// What `${file:…}` pointed at: watched and hashed, never shown.
    secrets: Vec<Source>,
    /// What is named and is no text, such as components of plugins: watched and hashed, not kept.
    attached: Vec<Attached>,
}

/// A file of which the digest matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
}

impl Attached {
    /// Reads it through.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let too_large = || io::Error::other("it is larger than 64 MiB");
        if file.metadata()?.len() > LARGEST_ATTACHED {
            return Err(too_large());
        }
        let (mut hash, mut chunk, mut length) = (Sha256::new(), vec![0; 64 << 10], 0);
        let mut file = file.take(LARGEST_ATTACHED + 1);
        loop {
            match file.read(&mut chunk)? {
                0 => break,
                read => {
                    length += read as u64;
                    hash.update(chunk.get(..read).unwrap_or_default());
                }
            }
        }
        if length > LARGEST_ATTACHED {
            return Err(too_large());
        }
        Ok(Self { path: path.to_owned(), digest: Digest::from_bytes(hash.finalize().into()) })
    }
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
    /// Where each line starts.
    starts: Vec<usize>,
}

impl Source {
    fn new(path: PathBuf, text: String) -> Self {
        // YAML ends a line at a line feed, a carriage return, or both.
        let bytes = text.as_bytes();
        let is_end = |i: usize| bytes[i] == b'\n' || (bytes[i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
        let starts = std::iter::once(0).chain((0..bytes.len()).filter(|i| is_end(*i)).map(|i| i + 1)).collect();
        Self { path, text, starts }
    }

    fn line(&self, line: usize) -> Option<&str> {
        let start = *self.starts.get(line.checked_sub(1)?)?;
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        Some(self.text.get(start..end)?.trim_end_matches(['\n', '\r']))
    }
}

impl Sources {
    /// One text that was read elsewhere.
    pub(crate) fn of(path: impl Into<PathBuf>, text: &str) -> Self {
        let mut sources = Self::default();
        sources.add(path.into(), text.to_owned());
        sources
    }

    /// Takes a text in; the answer is its index.
    pub(crate) fn add(&mut self, path: PathBuf, text: String) -> usize {
        self.files.push(Source::new(path, text));
        self.files.len() - 1
    }

    /// Reads a file in; where that fails it stands there as an empty one, and a fault is noted at its start.
    pub(crate) fn read(&mut self, path: PathBuf, notes: &mut Notes) -> Option<usize> {
        let read = read_capped(&path);
        let (text, fault) = match read {
            Ok(text) => (text, None),
            Err(fault) => (String::new(), Some(fault)),
        };
        let index = self.add(path, text);
        let Some(fault) = fault else { return Some(index) };
        notes
            .fault(&Place::start(index), format!("the file cannot be read: {fault}"))
            .remedy("see that the path is right and the file is text");
        None
    }

    /// Reads what a `${file:…}` points at, without the line end at its end.
    pub(crate) fn read_secret(&mut self, path: &Path) -> io::Result<String> {
        let text = read_capped(path)?;
        let value = text.strip_suffix('\n').unwrap_or(&text);
        let value = value.strip_suffix('\r').unwrap_or(value).to_owned();
        if !self.secrets.iter().any(|known| known.path == path) {
            self.secrets.push(Source::new(path.to_owned(), text));
        }
        Ok(value)
    }

    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn path(&self, index: usize) -> &Path {
        self.files.get(index).map_or(Path::new(""), |source| &source.path)
    }

    pub(crate) fn text(&self, index: usize) -> &str {
        self.files.get(index).map_or("", |source| &source.text)
    }

    /// A line of a file, from 1.
    pub(crate) fn line(&self, index: usize, line: usize) -> Option<&str> {
        self.files.get(index)?.line(line)
    }

    /// Takes further files in, each once.
    pub(crate) fn attach(&mut self, more: Vec<Attached>) {
        for attached in more {
            if !self.attached.contains(&attached) {
                self.attached.push(attached);
            }
        }
    }

    /// Every file that was read.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let texts = self.files.iter().chain(&self.secrets).map(|source| source.path.clone());
        texts.chain(self.attached.iter().map(|attached| attached.path.clone())).collect()
    }

    /// The first 16 hex digits of the SHA-256 over all files: each text with its length before it, of others the digest.
    pub(crate) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for Source { text, .. } in self.files.iter().chain(&self.secrets) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        for Attached { digest, .. } in &self.attached {
            hash.update(digest.as_bytes());
        }
        Digest::from_bytes(hash.finalize().into()).short()
    }
}

/// The YAML files of a folder, in the order of their names; hidden ones left out.
pub(crate) fn yaml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if is_yaml && !is_hidden && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read_capped(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes)
        .map_err(|fault| io::Error::other(format!("it is not UTF-8 from byte {} on", fault.utf8_error().valid_up_to())))
}
