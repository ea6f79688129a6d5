//! How bytes come into the cache: into `NAME.part`, digested on the way, synced, then renamed. Owns the part file, the
//! lock beside it and the digest; where bytes come from is its callers' business.

use super::Reason;
use crate::terminal::Progress;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;

/// A file on its way into the cache.
#[derive(Debug)]
pub(super) struct Landing {
    target: PathBuf,
    part: PathBuf,
    file: File,
    hasher: Sha256,
    written: u64,
    resumed: bool,
}

impl Landing {
    /// Goes on with what an earlier try left, or begins.
    pub(super) fn resume(target: &Path) -> Result<Self, Reason> {
        let mut landing = Self::open(target)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = landing.file.read(&mut buffer).map_err(|e| Reason::cache(&landing.part, &e))?;
            if n == 0 {
                break;
            }
            landing.hasher.update(&buffer[..n]);
            landing.written += n as u64;
        }
        landing.resumed = landing.written > 0;
        Ok(landing)
    }

    /// Begins, whatever an earlier try left.
    pub(super) fn fresh(target: &Path) -> Result<Self, Reason> {
        let mut landing = Self::open(target)?;
        landing.restart()?;
        Ok(landing)
    }

    fn open(target: &Path) -> Result<Self, Reason> {
        let part = beside(target, ".part");
        make_folder_of(target)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&part);
        let file = file.map_err(|e| Reason::cache(&part, &e))?;
        Ok(Self { target: target.to_owned(), part, file, hasher: Sha256::new(), written: 0, resumed: false })
    }

    /// Throws away what there is.
    pub(super) fn restart(&mut self) -> Result<(), Reason> {
        let cut = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cut.map_err(|e| Reason::cache(&self.part, &e))?;
        self.hasher = Sha256::new();
        self.written = 0;
        self.resumed = false;
        Ok(())
    }

    /// How many bytes there are.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Whether some of them are of an earlier try.
    pub(super) const fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        self.file.write_all(bytes).map_err(|e| Reason::cache(&self.part, &e))?;
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its name if its bytes are right; removes them if not.
    pub(super) async fn finish(self, wanted: Digest) -> Result<(), Reason> {
        blocking(move || self.finish_now(wanted)).await
    }

    fn finish_now(self, wanted: Digest) -> Result<(), Reason> {
        let got = Digest::from_bytes(self.hasher.finalize().into());
        if got != wanted {
            fs::remove_file(&self.part).map_err(|e| Reason::cache(&self.part, &e))?;
            return Err(Reason::WrongDigest { got });
        }
        let named = self.file.sync_all().and_then(|()| fs::rename(&self.part, &self.target));
        named.map_err(|e| Reason::cache(&self.target, &e))?;
        // The name is as durable as the bytes where folders can be synced; elsewhere the next start fetches again.
        if let Some(folder) = self.target.parent().and_then(|folder| File::open(folder).ok()) {
            folder.sync_all().unwrap_or_default();
        }
        Ok(())
    }
}

/// The right to write one file of the cache; the system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the right to write `target`.
    pub(super) async fn take(target: &Path, progress: &dyn Progress) -> Result<Self, Reason> {
        let path = beside(target, ".lock");
        make_folder_of(target)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|e| Reason::cache(&path, &e))?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                progress.note(&format!("waiting for another process that fetches {}", target.display()));
            }
            Err(TryLockError::Error(e)) => return Err(Reason::cache(&path, &e)),
        }
        blocking(move || file.lock().map(|()| Self { _file: file }).map_err(|e| Reason::cache(&path, &e))).await
    }
}

/// The digest of the file at `path`.
pub(super) async fn digest_of(path: &Path) -> Result<Digest, Reason> {
    let path = path.to_owned();
    blocking(move || {
        let mut hasher = Sha256::new();
        let copied = File::open(&path).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
        copied.map_err(|e| Reason::file(&path, &e))?;
        Ok(Digest::from_bytes(hasher.finalize().into()))
    })
    .await
}

/// Runs what reads or writes much off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Reason> + Send + 'static,
) -> Result<T, Reason> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Reason::Stopped(e.to_string())))
}

fn beside(target: &Path, end: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(end);
    target.with_file_name(name)
}

fn make_folder_of(target: &Path) -> Result<(), Reason> {
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| Reason::cache(folder, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_left_is_taken_up_and_digested_too() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a/weights");
        let mut first = Landing::resume(&target).unwrap();
        first.write(b"hello ").unwrap();
        drop(first);
        let mut second = Landing::resume(&target).unwrap();
        assert_eq!((second.written(), second.is_resumed()), (6, true));
        second.write(b"world").unwrap();
        second.finish(Digest::of(b"hello world")).await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"hello world");
        assert!(!beside(&target, ".part").exists());
    }

    #[tokio::test]
    async fn wrong_bytes_get_no_name_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("weights");
        let mut landing = Landing::fresh(&target).unwrap();
        landing.write(b"other").unwrap();
        let reason = landing.finish(Digest::of(b"wanted")).await.unwrap_err();
        assert_eq!(reason, Reason::WrongDigest { got: Digest::of(b"other") });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
