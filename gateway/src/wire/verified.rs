//! Whether files of versions are what was stored. Owns which ones were looked at: each is read through once, before the
//! first model is made of it.

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tidegate_core::digest::Digest;

/// The files that were found to be what was stored.
#[derive(Debug, Default)]
pub(crate) struct Verified(Mutex<BTreeSet<(PathBuf, Digest)>>);

impl Verified {
    /// Makes sure that the file at `path` has this digest.
    ///
    /// # Errors
    /// It has another, or cannot be read.
    pub(crate) async fn check(&self, path: &Path, digest: Digest) -> anyhow::Result<()> {
        let key = (path.to_owned(), digest);
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
            return Ok(());
        }
        let file = path.to_owned();
        let read = tokio::task::spawn_blocking(move || digest_of(&file)).await.context("reading was cut short")?;
        let found = read.context("its file cannot be read to its end")?;
        ensure!(
            found == digest,
            "its file was damaged since it was stored: its SHA-256 is {found}, and {digest} was stored: upload it again"
        );
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        Ok(())
    }
}

fn digest_of(path: &Path) -> std::io::Result<Digest> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Digest::from_bytes(hash.finalize().into())),
            read => hash.update(chunk.get(..read).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_another_is_refused_and_a_good_one_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        std::fs::write(&path, "good").unwrap();
        let (verified, digest) = (Verified::default(), Digest::of(b"good"));
        verified.check(&path, digest).await.unwrap();
        let fault = verified.check(&path, Digest::of(b"other")).await.unwrap_err().to_string();
        assert!(fault.contains("was damaged since it was stored"), "{fault}");
        std::fs::remove_file(&path).unwrap();
        verified.check(&path, digest).await.unwrap();
        assert!(Verified::default().check(&path, digest).await.is_err());
    }
}
