//! Checked spec to batches, where they are served.

use crate::batches::{Batches, Shelf};
use anyhow::Context as _;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use tidegate_core::spec::BatchesSpec;
use tidegate_core::{Clock, Dice};
use tidegate_storage::blobs::FolderBlobs;

/// Opens the folder of batches, which is this process's as long as it lives.
///
/// # Errors
/// It cannot be used, or another process does.
pub(super) async fn open(
    spec: Option<&BatchesSpec>,
    clock: &Arc<dyn Clock>,
    dice: &Arc<dyn Dice>,
) -> anyhow::Result<Option<Arc<Batches>>> {
    let Some(spec) = spec else { return Ok(None) };
    let shown = spec.folder.display();
    let blobs =
        FolderBlobs::open(&spec.folder).with_context(|| format!("batches.to: the folder {shown} cannot be used"))?;
    let lock = locked(&spec.folder).with_context(|| format!("batches.to: {shown}"))?;
    let shelf = Shelf::open(spec.clone(), Arc::new(blobs), Arc::clone(clock), Arc::clone(dice)).await;
    let shelf = shelf.with_context(|| format!("batches.to: what lies in {shown} cannot be read"))?;
    Ok(Some(Arc::new(Batches::new(shelf, lock))))
}

/// Two processes would ask each line twice. The store has a lock of its own, which it takes for moments.
fn locked(folder: &Path) -> anyhow::Result<File> {
    let lock = File::create(folder.join("owner"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            anyhow::bail!("another process works off the batches there: give each gateway a folder of its own")
        }
        Err(TryLockError::Error(why)) => Err(why.into()),
    }
}
