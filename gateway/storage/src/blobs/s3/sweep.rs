//! Objects that no path leads to are removed: those of files that were replaced or deleted, or whose write was cut.

use super::{ABREAST, S3Blobs, failed};
use futures_util::TryStreamExt as _;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore as _};
use std::collections::HashSet;
use std::time::Duration;
use tidegate_core::Fault;

/// Younger objects stay: their path may be about to come.
const YOUNG: Duration = Duration::from_secs(24 * 3600);

/// Removes objects without a path that are a day old, and copies of this machine that nothing leads to; tells how many
/// objects.
pub(super) async fn sweep(blobs: &S3Blobs) -> Result<usize, Fault> {
    sweep_older(blobs, YOUNG).await
}

/// Objects first and paths after: an object whose path is read is one that has been there before.
pub(super) async fn sweep_older(blobs: &S3Blobs, young: Duration) -> Result<usize, Fault> {
    let now = blobs.clock.wall();
    let is_old = |object: &ObjectMeta| now.duration_since(object.last_modified.into()).is_ok_and(|age| age >= young);
    let old: Vec<Key> = blobs
        .store
        .list(Some(&blobs.objects()))
        .try_filter(|object| std::future::ready(is_old(object)))
        .map_ok(|object| object.location)
        .try_collect()
        .await
        .map_err(failed)?;
    let places = blobs.store.list(Some(&blobs.paths())).map_err(failed);
    let pointers = places.map_ok(|place| async move { blobs.pointer(&place.location).await });
    let (mut objects, mut digests) = (HashSet::new(), HashSet::new());
    let mut pointers = pointers.try_buffer_unordered(ABREAST);
    while let Some(pointer) = pointers.try_next().await? {
        if let Some((pointer, object, _)) = pointer {
            objects.insert(object);
            digests.insert(pointer.digest);
        }
    }
    drop(pointers);
    let gone: Vec<Key> = old.into_iter().filter(|object| !objects.contains(object)).collect();
    let count = gone.len();
    blobs.delete_all(gone).await?;
    blobs.cache.sweep(digests).await?;
    Ok(count)
}
