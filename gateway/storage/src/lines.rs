//! A log of entries beside the records of calls: a file a day, a line of JSON an entry. Owns the files, and that a torn
//! end harms nothing; what entries are is their owner's.

use crate::StoreFault;
use crate::day::Day;
use crate::folder::sync_folder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A log of entries of one kind.
#[derive(Debug)]
pub struct Lines<Entry> {
    folder: PathBuf,
    open: Option<(Day, File)>,
    entries: PhantomData<fn() -> Entry>,
}

impl<Entry: Serialize + DeserializeOwned> Lines<Entry> {
    /// The log in this folder; it is made with the first entry.
    #[must_use]
    pub const fn at(folder: PathBuf) -> Self {
        Self { folder, open: None, entries: PhantomData }
    }

    /// Writes entries of one moment; with `is_synced` they are on disk when this returns.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn append(&mut self, now_ms: u64, entries: &[Entry], is_synced: bool) -> Result<(), StoreFault> {
        if entries.is_empty() {
            return Ok(());
        }
        let folder = self.folder.clone();
        let wrong = StoreFault::io("write to", &folder);
        let mut bytes = Vec::new();
        for entry in entries {
            if let Err(error) = serde_json::to_writer(&mut bytes, entry) {
                return Err(wrong(io::Error::other(error)));
            }
            bytes.push(b'\n');
        }
        let file = self.file(Day::of_ms(now_ms))?;
        let written = file.write_all(&bytes).and_then(|()| if is_synced { file.sync_data() } else { Ok(()) });
        written.map_err(wrong)
    }

    fn file(&mut self, day: Day) -> Result<&mut File, StoreFault> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != day) {
            let path = self.folder.join(format!("{day}.jsonl"));
            let wrong = || StoreFault::io("open", &path);
            fs::create_dir_all(&self.folder).map_err(wrong())?;
            let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path).map_err(wrong())?;
            if !ends_a_line(&path).map_err(wrong())? {
                file.write_all(b"\n").map_err(wrong())?;
            }
            sync_folder(&self.folder).map_err(wrong())?;
            self.open = Some((day, file));
        }
        match &mut self.open {
            Some((_, file)) => Ok(file),
            None => Err(StoreFault::io("open", &self.folder)(io::Error::other("no file"))),
        }
    }

    /// All entries in their order; lines that a kill cut off are none.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(&self, each: impl FnMut(Entry)) -> Result<(), StoreFault> {
        self.read_since(0, each)
    }

    /// The entries of the day of this moment and all later ones.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read_since(&self, since_ms: u64, mut each: impl FnMut(Entry)) -> Result<(), StoreFault> {
        let first = self.folder.join(format!("{}.jsonl", Day::of_ms(since_ms)));
        for path in self.paths()?.into_iter().filter(|path| since_ms == 0 || *path >= first) {
            let file = File::open(&path).map_err(StoreFault::io("open", &path))?;
            for line in BufReader::new(file).split(b'\n') {
                let line = line.map_err(StoreFault::io("read", &path))?;
                if let Ok(entry) = serde_json::from_slice(&line) {
                    each(entry);
                }
            }
        }
        Ok(())
    }

    /// Drops the days that ended so long ago; tells how many.
    ///
    /// # Errors
    /// A file cannot be deleted.
    pub fn expire(&self, now_ms: u64, retention: Duration) -> Result<usize, StoreFault> {
        let retention = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
        let first = self.folder.join(format!("{}.jsonl", Day::of_ms(now_ms.saturating_sub(retention))));
        let past: Vec<PathBuf> = self.paths()?.into_iter().filter(|path| *path < first).collect();
        for path in &past {
            fs::remove_file(path).map_err(StoreFault::io("delete", path))?;
        }
        if !past.is_empty() {
            sync_folder(&self.folder).map_err(StoreFault::io("sync", &self.folder))?;
        }
        Ok(past.len())
    }

    /// The files, the oldest first.
    fn paths(&self) -> Result<Vec<PathBuf>, StoreFault> {
        let listed = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(StoreFault::io("list", &self.folder))?,
        };
        let mut paths = Vec::new();
        for entry in listed {
            let path = entry.map_err(StoreFault::io("list", &self.folder))?.path();
            paths.extend(path.extension().is_some_and(|end| end == "jsonl").then_some(path));
        }
        paths.sort_unstable();
        Ok(paths)
    }
}

fn ends_a_line(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last == [b'\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    fn log(folder: &Path) -> Lines<f64> {
        Lines::at(folder.join("log"))
    }

    fn all(log: &Lines<f64>, since: u64) -> Vec<f64> {
        let mut found = Vec::new();
        log.read_since(since, |entry| found.push(entry)).unwrap();
        found
    }

    #[test]
    fn days_go_when_they_ended_so_long_ago() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path());
        (20u32..24).for_each(|day| log.append(u64::from(day) * DAY, &[f64::from(day)], false).unwrap());
        let two = Duration::from_millis(2 * DAY);
        assert_eq!(log.expire(23 * DAY - 1, two).unwrap(), 0);
        assert_eq!((log.expire(23 * DAY, two).unwrap(), all(&log, 0)), (1, vec![21.0, 22.0, 23.0]));
        assert_eq!(log.expire(23 * DAY, Duration::MAX).unwrap(), 0);
        assert_eq!(log.expire(99 * DAY, two).unwrap(), 3);
        // It is written on, whatever has gone.
        log.append(99 * DAY, &[1.0], false).unwrap();
        assert_eq!(all(&log, 0), [1.0]);
    }

    #[test]
    fn entries_come_back_in_their_order_and_a_torn_end_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = log(folder.path());
        assert!(all(&first, 0).is_empty());
        first.append(20 * DAY, &[1.0, 0.5], true).unwrap();
        first.append(21 * DAY, &[0.25], false).unwrap();
        assert_eq!(all(&first, 0), [1.0, 0.5, 0.25]);
        // A kill in the middle of a line.
        let path = folder.path().join("log").join(format!("{}.jsonl", Day::of_ms(21 * DAY)));
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"[7").unwrap();
        let mut again = log(folder.path());
        again.append(21 * DAY, &[2.0], true).unwrap();
        assert_eq!(all(&again, 0), [1.0, 0.5, 0.25, 2.0]);
        assert_eq!(all(&again, 21 * DAY + 5), [0.25, 2.0]);
    }
}
