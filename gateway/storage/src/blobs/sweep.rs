//! Objects that no path leads to are removed: those of files that were replaced or deleted, or whose write a crash cut.

use super::pointer::Pointer;
use super::{FolderBlobs, blocking, failed};
use std::collections::HashSet;
use std::fs::Metadata;
use std::path::Path;
use std::time::Duration;
use tidegate_core::Fault;
use tidegate_core::digest::Digest;

/// Younger objects stay: another process may be about to name them.
const YOUNG: Duration = Duration::from_secs(24 * 3600);

/// Removes objects without a path that are a day old; tells how many.
///
/// # Errors
/// The folder cannot be read, or a path's file is damaged: then nothing is removed.
pub(super) async fn sweep(blobs: &FolderBlobs) -> Result<usize, Fault> {
    let root = blobs.root.clone();
    blocking(move || {
        let lock = super::lock(&root).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut used = HashSet::new();
        mark(&root.join("paths"), &mut used)?;
        unused(&root.join("objects"), &used).map_err(failed)
    })
    .await
}

pub(super) fn is_old(about: &Metadata) -> bool {
    about.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > YOUNG)
}

fn mark(folder: &Path, used: &mut HashSet<Digest>) -> Result<(), Fault> {
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            mark(&entry.path(), used)?;
        } else {
            used.insert(Pointer::read(&entry.path())?.digest);
        }
    }
    Ok(())
}

fn unused(objects: &Path, used: &HashSet<Digest>) -> std::io::Result<usize> {
    let mut removed = 0;
    for group in std::fs::read_dir(objects)? {
        let group = group?;
        for object in std::fs::read_dir(group.path())? {
            let object = object?;
            let name = format!("{}{}", group.file_name().display(), object.file_name().display());
            let digest: Option<Digest> = name.parse().ok();
            if digest.is_none_or(|digest| !used.contains(&digest)) && is_old(&object.metadata()?) {
                std::fs::remove_file(object.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}
