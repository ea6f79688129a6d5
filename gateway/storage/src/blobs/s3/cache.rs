//! Copies on this machine of what lies in the bucket, for whoever needs a file. Owns that a copy is whole: it has its
//! name, the SHA-256 of its content, only after the content was found to have it.

use super::super::{blocking, failed, receive, sweep};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_core::Fault;
use tidegate_core::digest::Digest;
use tidegate_core::port::mount::Frames;

/// A folder of copies.
#[derive(Debug)]
pub(super) struct Cache {
    root: PathBuf,
    /// Tells the files apart that are being written at once.
    next: AtomicU64,
}

impl Cache {
    /// Opens the folder, made where it is not there; what a crash left half-written is removed once it is old.
    pub(super) fn open(root: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(root.join("tmp"))?;
        for left in std::fs::read_dir(root.join("tmp"))? {
            let left = left?;
            if sweep::is_old(&left.metadata()?) {
                std::fs::remove_file(left.path())?;
            }
        }
        Ok(Self { root: root.to_owned(), next: AtomicU64::new(0) })
    }

    fn place(&self, digest: Digest) -> PathBuf {
        self.root.join(digest.to_string())
    }

    /// The copy, where it is there.
    pub(super) fn find(&self, digest: Digest) -> Option<PathBuf> {
        Some(self.place(digest)).filter(|place| place.is_file())
    }

    /// Makes the copy.
    ///
    /// # Errors
    /// The content does not come, has another digest, or the disk cannot take it.
    pub(super) async fn keep(&self, digest: Digest, content: Frames, length: u64) -> Result<PathBuf, Fault> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let temporary = self.root.join("tmp").join(format!("{}-{number}", std::process::id()));
        let kept = receive(&temporary, content, length).await.and_then(|info| {
            if info.digest == digest {
                return Ok(());
            }
            Err(Fault::internal(format!(
                "an object of the artifact store has the digest {} and not {digest}",
                info.digest
            )))
        });
        let place = self.place(digest);
        let named = match kept {
            Ok(()) => tokio::fs::rename(&temporary, &place).await.map_err(failed),
            Err(fault) => Err(fault),
        };
        if named.is_err() {
            drop(tokio::fs::remove_file(&temporary).await);
        }
        named.map(|()| place)
    }

    /// Removes copies of what is not in use and a day old.
    pub(super) async fn sweep(&self, used: HashSet<Digest>) -> Result<(), Fault> {
        let root = self.root.clone();
        blocking(move || remove_unused(&root, &used).map_err(failed)).await
    }
}

fn remove_unused(root: &Path, used: &HashSet<Digest>) -> std::io::Result<()> {
    for copy in std::fs::read_dir(root)? {
        let copy = copy?;
        let digest: Option<Digest> = copy.file_name().to_str().and_then(|name| name.parse().ok());
        // What has no digest for a name is not ours.
        if digest.is_some_and(|digest| !used.contains(&digest)) && sweep::is_old(&copy.metadata()?) {
            std::fs::remove_file(copy.path())?;
        }
    }
    Ok(())
}
