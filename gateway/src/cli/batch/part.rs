//! What of a batch is done: a file of JSON lines, whose first one says of what it is. Owns that a command that was broken off
//! goes on behind the last whole row, and that nothing is put behind the rows of another batch.

use crate::cli::Wrong;
use anyhow::Context as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// The column of what a row was refused for.
pub(super) const ERROR: &str = "error";

/// What is done.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    file: File,
    /// How many rows.
    pub(super) rows: u64,
    /// How many of them were refused.
    pub(super) refused: u64,
}

impl Part {
    /// The one at a path, or a new one.
    ///
    /// # Errors
    /// What is there is of another batch, or cannot be read.
    pub(super) fn open(path: &Path, heading: &Value) -> anyhow::Result<Self> {
        let unread = || format!("{} cannot be read or written", path.display());
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut part = Self { path: path.to_owned(), file: file.with_context(unread)?, rows: 0, refused: 0 };
        let (mut reader, mut line, mut whole) = (BufReader::new(&part.file), Vec::new(), 0);
        let mut is_first = true;
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).with_context(unread)?;
            // What was written half is written again.
            if read == 0 || !line.ends_with(b"\n") {
                break;
            }
            let said: Value = serde_json::from_slice(&line).unwrap_or_default();
            if std::mem::take(&mut is_first) {
                if said != *heading {
                    return Err(Wrong(format!(
                        "{} is a part of another batch (another table, route or columns): remove it, or name another --out",
                        path.display()
                    ))
                    .into());
                }
            } else {
                part.rows += 1;
                part.refused += u64::from(said.get(ERROR).is_some());
            }
            whole += read as u64;
        }
        part.file.set_len(whole).with_context(unread)?;
        part.file.seek(SeekFrom::Start(whole)).with_context(unread)?;
        if is_first {
            part.write(format!("{heading}\n").as_bytes())?;
        }
        Ok(part)
    }

    /// Puts rows behind it.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn append(&mut self, rows: &[Map<String, Value>]) -> anyhow::Result<()> {
        let mut lines = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut lines, row)?;
            lines.push(b'\n');
            self.refused += u64::from(row.contains_key(ERROR));
        }
        self.rows += rows.len() as u64;
        self.write(&lines)
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

/// The SHA-256 of a file, in hex.
///
/// # Errors
/// It cannot be read.
pub(super) fn digest(path: &Path) -> anyhow::Result<String> {
    let unread = || format!("{} cannot be read", path.display());
    let (mut file, mut hash, mut some) = (File::open(path).with_context(unread)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut some).with_context(unread)? {
            0 => break,
            read => hash.update(&some[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_part_goes_on_behind_its_last_whole_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv.part");
        let heading = json!({"batch": {"route": "r"}});
        let mut part = Part::open(&path, &heading).unwrap();
        part.append(&[row(&json!({"x": 1})), row(&json!({"x": 2, "error": "no"}))]).unwrap();
        drop(part);
        // The power goes within a row.
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"x\": 3, \"ha");
        std::fs::write(&path, &text).unwrap();
        let mut part = Part::open(&path, &heading).unwrap();
        assert_eq!((part.rows, part.refused), (2, 1));
        part.append(&[row(&json!({"x": 3}))]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().last(), Some("{\"x\":3}"));
        let fault = Part::open(&path, &json!({"batch": {"route": "other"}})).unwrap_err();
        assert!(fault.to_string().contains("another batch"), "{fault}");
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4, "and it is left alone");
    }
}
