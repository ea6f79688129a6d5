//! Files of models and the like in a folder of this machine, addressed by their content: the same bytes are kept once;
//! in a bucket, [`S3Blobs`]. Owns the layout and the order of writes, by which a file is there whole and durable, or not at all.
//!
//! `objects/ab/cdef…` holds bytes, named by their SHA-256; `paths/…` mirrors the paths, each a small file that names its
//! object; `tmp/` holds what is being written. An object is written, synced and named before the path that leads to it,
//! so a crash leaves at most an object without a path, which [`FolderBlobs::sweep`] removes.

mod pointer;
mod s3;
#[cfg(test)]
mod suite;
mod sweep;
#[cfg(test)]
mod tests;

pub use s3::{S3Blobs, S3Fault};

use crate::folder::sync_folder;
use bytes::Bytes;
use futures_util::StreamExt as _;
use pointer::Pointer;
use sha2::{Digest as _, Sha256};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_core::digest::Digest;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::blobs::{Blob, BlobEntry, BlobInfo, BlobPath, Blobs};
use tidegate_core::port::mount::Frames;
use tidegate_core::{Fault, FaultKind};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;

/// A folder of files.
#[derive(Debug)]
pub struct FolderBlobs {
    root: PathBuf,
    /// Tells the files apart that are being written at once.
    next: AtomicU64,
}

impl FolderBlobs {
    /// Opens the folder, made where it is not there; what a crash left half-written is removed.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(root: &Path) -> std::io::Result<Self> {
        for folder in ["objects", "paths", "tmp"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        sync_folder(root)?;
        for left in std::fs::read_dir(root.join("tmp"))? {
            let left = left?;
            // Another process may be writing beside us: what is a day old is nobody's.
            if sweep::is_old(&left.metadata()?) {
                std::fs::remove_file(left.path())?;
            }
        }
        Ok(Self { root: root.to_owned(), next: AtomicU64::new(0) })
    }

    fn object(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join("objects").join(&name[..2]).join(&name[2..])
    }

    fn path(&self, path: &BlobPath) -> PathBuf {
        self.root.join("paths").join(path.as_str())
    }

    fn temporary(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.root.join("tmp").join(format!("{}-{number}", std::process::id()))
    }

    async fn write(&self, path: &BlobPath, content: Frames, most: u64) -> Result<BlobInfo, Fault> {
        let temporary = self.temporary();
        let written = receive(&temporary, content, most).await;
        let info = match written {
            Ok(info) => info,
            Err(fault) => {
                drop(tokio::fs::remove_file(&temporary).await);
                return Err(fault);
            }
        };
        let (object, place) = (self.object(info.digest), self.path(path));
        let pointer = Pointer { digest: info.digest, length: info.length };
        let second = self.temporary();
        let root = self.root.clone();
        let path = path.clone();
        blocking(move || {
            // Whoever names objects shares the lock; a sweep, of whatever process, takes it alone.
            let lock = lock(&root).map_err(failed)?;
            lock.lock_shared().map_err(failed)?;
            name_object(&temporary, &object).map_err(failed)?;
            pointer.write(&root.join("paths"), &place, &second).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotADirectory
                | std::io::ErrorKind::IsADirectory
                | std::io::ErrorKind::DirectoryNotEmpty
                | std::io::ErrorKind::AlreadyExists => Fault::new(
                    FaultKind::InvalidRequest,
                    format!("{path} cannot be a file: it is a folder, or lies below a file"),
                ),
                _ => failed(e),
            })
        })
        .await?;
        Ok(info)
    }
}

impl Blobs for FolderBlobs {
    fn put<'a>(&'a self, path: &'a BlobPath, content: Frames, most: u64) -> BoxFuture<'a, Result<BlobInfo, Fault>> {
        Box::pin(self.write(path, content, most))
    }

    fn get<'a>(&'a self, path: &'a BlobPath, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Blob, Fault>> {
        Box::pin(async move {
            let place = self.path(path);
            let pointer = blocking(move || Pointer::read(&place)).await?;
            let mut file = tokio::fs::File::open(self.object(pointer.digest)).await.map_err(failed)?;
            let written = file.metadata().await.and_then(|about| about.modified()).map_err(failed)?;
            let range = range.unwrap_or(0..pointer.length);
            file.seek(std::io::SeekFrom::Start(range.start)).await.map_err(failed)?;
            let frames = frames(file, range.end.saturating_sub(range.start));
            Ok(Blob { length: pointer.length, digest: pointer.digest, written, frames })
        })
    }

    fn list<'a>(&'a self, folder: Option<&'a BlobPath>) -> BoxFuture<'a, Result<Vec<BlobEntry>, Fault>> {
        let place = folder.map_or_else(|| self.root.join("paths"), |folder| self.path(folder));
        Box::pin(blocking(move || entries(&place)))
    }

    fn delete<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<bool, Fault>> {
        let place = self.path(path);
        Box::pin(blocking(move || {
            let gone = match std::fs::symlink_metadata(&place) {
                Err(e) if is_absent(&e) => return Ok(false),
                Err(e) => Err(e),
                Ok(about) if about.is_dir() => std::fs::remove_dir_all(&place),
                Ok(_) => std::fs::remove_file(&place),
            };
            gone.and_then(|()| place.parent().map_or(Ok(()), sync_folder)).map_err(failed)?;
            Ok(true)
        }))
    }

    fn local<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<PathBuf, Fault>> {
        Box::pin(async move {
            let place = self.path(path);
            let pointer = blocking(move || Pointer::read(&place)).await?;
            Ok(self.object(pointer.digest))
        })
    }

    fn sweep(&self) -> BoxFuture<'_, Result<usize, Fault>> {
        Box::pin(sweep::sweep(self))
    }
}

/// Writes what comes into a new file and makes it durable.
async fn receive(place: &Path, mut content: Frames, most: u64) -> Result<BlobInfo, Fault> {
    let mut file = tokio::fs::File::options().create_new(true).write(true).open(place).await.map_err(failed)?;
    let (mut hash, mut length) = (Sha256::new(), 0u64);
    while let Some(frame) = content.next().await {
        let frame = frame?;
        length += frame.len() as u64;
        if length > most {
            return Err(Fault::new(FaultKind::TooLarge, format!("a file here has at most {most} bytes")));
        }
        hash.update(&frame);
        file.write_all(&frame).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    file.sync_all().await.map_err(failed)?;
    Ok(BlobInfo { length, digest: Digest::from_bytes(hash.finalize().into()) })
}

/// The file by which naming and sweeping exclude each other; unlocked when dropped.
fn lock(root: &Path) -> std::io::Result<std::fs::File> {
    std::fs::File::options().create(true).truncate(false).write(true).open(root.join("lock"))
}

/// Gives a written file its object's name, unless the same bytes are there already.
fn name_object(temporary: &Path, object: &Path) -> std::io::Result<()> {
    let folder = object.parent().unwrap_or(object);
    if object.exists() {
        // Fresh again, so that no sweep takes it for forgotten.
        std::fs::File::options().append(true).open(object)?.set_modified(std::fs::metadata(temporary)?.modified()?)?;
        return std::fs::remove_file(temporary);
    }
    if !folder.exists() {
        std::fs::create_dir_all(folder)?;
        folder.parent().map_or(Ok(()), sync_folder)?;
    }
    std::fs::rename(temporary, object)?;
    sync_folder(folder)
}

/// The next `length` bytes of a file, in parts.
fn frames(file: tokio::fs::File, length: u64) -> Frames {
    Box::pin(futures_util::stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; usize::try_from(left.min(CHUNK as u64)).unwrap_or(CHUNK)];
        let read = file.read(&mut chunk).await.map_err(failed)?;
        if read == 0 {
            return Err(Fault::internal("an object is shorter than its path says"));
        }
        chunk.truncate(read);
        Ok(Some((Bytes::from(chunk), (file, left - read as u64))))
    }))
}

fn entries(place: &Path) -> Result<Vec<BlobEntry>, Fault> {
    let entries = match std::fs::read_dir(place) {
        Ok(entries) => entries,
        Err(e) if is_absent(&e) => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let length =
            if entry.file_type().map_err(failed)?.is_dir() { None } else { Some(Pointer::read(&entry.path())?.length) };
        found.push(BlobEntry { name, length });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn is_absent(e: &std::io::Error) -> bool {
    matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// A fault of the disk; one that is full or broken may be mended, so the caller may come again.
fn failed(e: std::io::Error) -> Fault {
    Fault::new(FaultKind::Unavailable, "the artifact store cannot do this now: come again in a moment").because(e)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?
}
