//! What was spent of budgets, kept in a file so that a restart does not forget a day's. Owns the file's form and that
//! it is old or new, never between; when it is written is the program's.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tidegate_core::NanoUsd;

/// What one account spent of one kind of budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// For whom the budget counts.
    pub per: Box<str>,
    /// In which span of the calendar.
    pub every: Box<str>,
    /// Whose account.
    pub account: Box<str>,
    /// Where the span began, in milliseconds since 1970.
    pub from: u64,
    /// How much.
    pub spent: NanoUsd,
}

/// The file: a line of JSON for each account.
#[derive(Debug, Clone)]
pub struct KeptFile {
    path: PathBuf,
}

impl KeptFile {
    /// The file at `path`, which need not be there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// What it holds; nothing where it is not there.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub fn read(&self) -> io::Result<Vec<Kept>> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::from)).collect()
    }

    /// Replaces it whole: written beside it, synced, then renamed.
    ///
    /// # Errors
    /// It cannot be written; then the old one is there still.
    pub fn write(&self, kept: &[Kept]) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let beside = self.path.with_extension("new");
        let mut text = Vec::new();
        for kept in kept {
            serde_json::to_writer(&mut text, kept)?;
            text.push(b'\n');
        }
        let mut file = File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_data()?;
        std::fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_again_and_what_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/budgets.jsonl");
        let file = KeptFile::at(&path);
        assert_eq!(file.read().unwrap(), []);
        let kept = |account: &str| Kept {
            per: "key".into(),
            every: "calendar_day".into(),
            account: account.into(),
            from: 86_400_000,
            spent: NanoUsd(7),
        };
        for kept in [vec![kept("a"), kept("b")], vec![kept("b")]] {
            file.write(&kept).unwrap();
            assert_eq!(file.read().unwrap(), kept);
        }
        std::fs::write(&path, "{\"per\":").unwrap();
        assert!(file.read().is_err());
    }
}
