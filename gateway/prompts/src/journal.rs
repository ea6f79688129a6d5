//! The append-only file beside the refs that gives versions their numbers and keeps what git has no place for. Owns
//! its lines (CRC-32 and JSON), the cut of a torn end and the fsync; what a record means is the book's business.

use crate::fault::PromptFault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tidegate_core::{CommitSha, PromptName};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// A commit became version `n`; the newest one unless it was found `aside`, on no first-parent way of the branch.
    Version {
        name: PromptName,
        n: u32,
        sha: CommitSha,
        tree: CommitSha,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        aside: bool,
        /// When, where it was committed here: git itself counts in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unix_ms: Option<u64>,
    },
    /// Another version is the newest now; 0 where the folder is gone.
    Current { name: PromptName, n: u32 },
    /// All of the history to this commit is recorded.
    Head(CommitSha),
    /// A prompt without versions was made.
    Created { name: PromptName, unix_ms: u64 },
    /// A description was set, of the prompt or of a version.
    Described { name: PromptName, n: Option<u32>, text: Option<String> },
    /// A tag was set or taken away, of the prompt or of a version.
    Tagged { name: PromptName, n: Option<u32>, tags: BTreeMap<String, Option<String>> },
    /// A version was deleted; its number is not used again.
    DeletedVersion { name: PromptName, n: u32 },
    /// A prompt and all its versions were deleted.
    DeletedPrompt { name: PromptName },
    /// A request with a key was done.
    Done { key: String, content: String },
    /// Several at once: all or none of them, as they are one line.
    Together(Vec<Record>),
}

/// The file, read up to `len`.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Journal {
    /// Opens it, made where it is missing. Call with the lock held.
    pub(crate) fn open(path: &Path) -> Result<Self, PromptFault> {
        let is_new = !path.exists();
        let mut options = File::options();
        options.create(true).read(true).append(true);
        let file = options.open(path).map_err(PromptFault::io("open", path))?;
        if is_new && let Some(parent) = path.parent() {
            crate::disk::sync_folder(parent)?;
        }
        Ok(Self { path: path.to_owned(), file, len: 0 })
    }

    /// Whether there is more than what was read: asked without the lock.
    pub(crate) fn has_news(&self) -> bool {
        self.file.metadata().map_or(true, |m| m.len() != self.len)
    }

    /// Reads what was added since, and cuts off an end that was never acknowledged. Call with the lock held. `None`
    /// where the file is shorter than what was read: start again.
    pub(crate) fn read(&mut self) -> Result<Option<Vec<Record>>, PromptFault> {
        let all = self.file.metadata().map_err(PromptFault::io("read", &self.path))?.len();
        if all < self.len {
            self.len = 0;
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(self.len)).map_err(PromptFault::io("read", &self.path))?;
        self.file.read_to_end(&mut bytes).map_err(PromptFault::io("read", &self.path))?;
        let (records, good) = parse(&bytes).map_err(|why| self.damaged(&why))?;
        self.len += good;
        if self.len < all {
            tracing::warn!(cut = all - self.len, "cut the torn end of the prompts' journal");
            self.file.set_len(self.len).map_err(PromptFault::io("cut", &self.path))?;
            self.file.sync_data().map_err(PromptFault::io("sync", &self.path))?;
        }
        Ok(Some(records))
    }

    fn damaged(&self, why: &str) -> PromptFault {
        PromptFault::Io { doing: "read", path: self.path.clone(), why: why.to_owned() }
    }

    /// Adds records, all or none, and syncs them. Call with the lock held and all before read.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), PromptFault> {
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for record in records {
            line(record, &mut bytes).map_err(|e| self.damaged(&e.to_string()))?;
        }
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        if let Err(fault) = written {
            // What is there of it was acknowledged to nobody; a reader would cut it or take it, so take it away.
            drop(self.file.set_len(self.len));
            return Err(PromptFault::io("write", &self.path)(fault));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

fn line(record: &Record, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let json = serde_json::to_vec(record)?;
    out.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
    out.extend_from_slice(&json);
    out.push(b'\n');
    Ok(())
}

/// The records of whole lines and the bytes that they take; a bad line ends them, and must be the torn end.
fn parse(bytes: &[u8]) -> Result<(Vec<Record>, u64), String> {
    let (mut records, mut good) = (Vec::new(), 0);
    for whole in bytes.split_inclusive(|b| *b == b'\n') {
        let Some(json) = checked(whole) else { break };
        let record = serde_json::from_slice(json)
            .map_err(|e| format!("byte {good} is a record that this program does not know ({e}); use a newer one"))?;
        records.push(record);
        good += whole.len();
    }
    let behind = &bytes[good..];
    if behind.split_inclusive(|b| *b == b'\n').skip(1).any(|line| checked(line).is_some()) {
        return Err(format!("the line at byte {good} is damaged, and good ones follow: restore the file from a copy"));
    }
    Ok((records, good as u64))
}

fn checked(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, json) = line.split_at_checked(9)?;
    let sum = std::str::from_utf8(sum.strip_suffix(b" ")?).ok()?;
    (u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(json)).then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(n: u32) -> Record {
        let sha = CommitSha::from_bytes([n.to_le_bytes()[0]; 20]);
        Record::Version { name: "a".parse().unwrap(), n, sha, tree: sha, aside: false, unix_ms: None }
    }

    fn open(path: &Path) -> (Journal, Vec<Record>) {
        let mut journal = Journal::open(path).unwrap();
        let records = journal.read().unwrap().unwrap();
        (journal, records)
    }

    #[test]
    fn a_cut_at_any_byte_loses_no_acknowledged_record_and_needs_no_repair() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = open(&path);
        journal.append(&[version(1), version(2)]).unwrap();
        let acknowledged = std::fs::metadata(&path).unwrap().len();
        journal.append(&[version(3)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for end in usize::try_from(acknowledged).unwrap()..=whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let (mut journal, records) = open(&path);
            let kept = if end == whole.len() { 3 } else { 2 };
            assert_eq!(records, (1..=kept).map(version).collect::<Vec<_>>(), "cut at {end}");
            journal.append(&[version(9)]).unwrap();
            assert_eq!(open(&path).1.len(), records.len() + 1, "cut at {end}");
        }
    }

    #[test]
    fn damage_in_the_middle_is_told_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        open(&path).0.append(&[version(1), version(2), version(3)]).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let fault = Journal::open(&path).unwrap().read().unwrap_err();
        assert!(fault.to_string().contains("damaged"), "{fault}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn what_another_process_added_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut one, _) = open(&path);
        let (mut two, _) = open(&path);
        one.append(&[version(1)]).unwrap();
        assert!(two.has_news());
        assert_eq!(two.read().unwrap().unwrap(), [version(1)]);
        assert!(!two.has_news());
    }
}
