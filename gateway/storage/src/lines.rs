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

/// So much room for lines is kept from one append to the next.
const BUFFER_KEPT: usize = 1 << 20;

/// A log of entries of one kind.
#[derive(Debug)]
pub struct Lines<Entry> {
    folder: PathBuf,
    open: Option<(Day, File)>,
    buffer: Vec<u8>,
    entries: PhantomData<fn() -> Entry>,
}

impl<Entry: Serialize + DeserializeOwned> Lines<Entry> {
    /// The log in this folder; it is made with the first entry.
    #[must_use]
    pub const fn at(folder: PathBuf) -> Self {
        Self { folder, open: None, buffer: Vec::new(), entries: PhantomData }
    }

    /// Writes entries of one moment; with `is_synced` they are on disk when this returns.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn append(&mut self, now_ms: u64, entries: &[Entry], is_synced: bool) -> Result<(), StoreFault> {
        self.append_as(now_ms, entries, is_synced)
    }

    /// Writes lines of another form than an entry's: of one moment, and on disk with `is_synced`.
    pub(crate) fn append_as(
        &mut self,
        now_ms: u64,
        lines: impl IntoIterator<Item: Serialize>,
        is_synced: bool,
    ) -> Result<(), StoreFault> {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        let written = self.encode(lines, &mut bytes).and_then(|()| self.write(now_ms, &bytes, is_synced));
        bytes.shrink_to(BUFFER_KEPT);
        self.buffer = bytes;
        written
    }

    fn encode(&self, lines: impl IntoIterator<Item: Serialize>, bytes: &mut Vec<u8>) -> Result<(), StoreFault> {
        for line in lines {
            if let Err(error) = serde_json::to_writer(&mut *bytes, &line) {
                return Err(StoreFault::io("write to", &self.folder)(io::Error::other(error)));
            }
            bytes.push(b'\n');
        }
        Ok(())
    }

    fn write(&mut self, now_ms: u64, bytes: &[u8], is_synced: bool) -> Result<(), StoreFault> {
        if bytes.is_empty() {
            return Ok(());
        }
        let file = self.file(Day::of_ms(now_ms))?;
        let written = file.write_all(bytes).and_then(|()| if is_synced { file.sync_data() } else { Ok(()) });
        if written.is_err() {
            // Opened again, its last line is looked at: a part of one must not spoil the next.
            self.open = None;
        }
        written.map_err(StoreFault::io("write to", &self.folder))
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
        self.read_lines(since_ms, |line| {
            if let Ok(entry) = serde_json::from_slice(line) {
                each(entry);
            }
        })
    }

    /// The lines of the day of this moment and all later ones, whatever is in them.
    pub(crate) fn read_lines(&self, since_ms: u64, mut each: impl FnMut(&[u8])) -> Result<(), StoreFault> {
        let first = self.folder.join(format!("{}.jsonl", Day::of_ms(since_ms)));
        for path in self.paths()?.into_iter().filter(|path| since_ms == 0 || *path >= first) {
            let file = File::open(&path).map_err(StoreFault::io("open", &path))?;
            for line in BufReader::new(file).split(b'\n') {
                each(&line.map_err(StoreFault::io("read", &path))?);
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
