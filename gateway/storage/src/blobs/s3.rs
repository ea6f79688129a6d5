//! Files of models and the like in a bucket of S3, or of what speaks like it. Owns the layout and the order of writes, by
//! which a file is there whole or not at all.
//!
//! `objects/…` holds bytes, each object named by chance and never written again; `paths/…` mirrors the paths, each a small
//! object that names its bytes, their length and their SHA-256. The bytes are there before the path that leads to them,
//! so whatever ends a write leaves at most an object without a path, which a sweep removes a day later. They are named by
//! chance and not by their content, so that nothing has to be locked: what a sweep finds forgotten, nobody takes up
//! again. Of S3 nothing is asked but that a read sees the write before it.

mod cache;
mod sweep;
#[cfg(test)]
mod tests;
mod upload;
mod wire;

use super::pointer::Pointer;
use bytes::Bytes;
use cache::Cache;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, RetryConfig};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tidegate_core::port::BoxFuture;
use tidegate_core::port::blobs::{Blob, BlobEntry, BlobInfo, BlobPath, Blobs};
use tidegate_core::port::mount::Frames;
use tidegate_core::port::outbound::Outbound;
use tidegate_core::spec::S3Spec;
use tidegate_core::{Clock, Dice, Fault, FaultKind, percent};

/// How many bytes are asked for at once, so that no file sits in memory.
const PIECE: u64 = 8 << 20;
/// How many small requests are under way at once.
const ABREAST: usize = 16;

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Blobs {
    store: Arc<AmazonS3>,
    /// Below which all keys lie.
    prefix: Key,
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

impl S3Blobs {
    /// A bucket that is asked over `outbound`; nothing is asked of it yet.
    ///
    /// # Errors
    /// The spec and the environment do not say how to reach it, or the folder for files of this machine cannot be made.
    pub fn open(
        spec: &S3Spec,
        outbound: Arc<dyn Outbound>,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
    ) -> Result<Self, S3Fault> {
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(&spec.bucket);
        if let Some(endpoint) = &spec.endpoint {
            // The one of the environment that is for S3 alone would go before it.
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint.to_string().trim_end_matches('/'));
        }
        if let Some(region) = &spec.region {
            builder = builder.with_region(region);
        }
        if let Some(key) = &spec.key {
            builder = builder.with_access_key_id(key.id.expose()).with_secret_access_key(key.secret.expose());
        }
        let is_named = [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint]
            .iter()
            .any(|key| builder.get_config_value(key).is_some());
        let retry = RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() };
        let builder = builder.with_allow_http(is_named).with_retry(retry);
        let store = builder.with_http_connector(wire::Connector::new(outbound)).build()?;
        let prefix = spec.prefix.split('/').filter(|part| !part.is_empty()).collect();
        let cache = Cache::open(&spec.cache).map_err(|why| S3Fault::Cache { folder: spec.cache.clone(), why })?;
        Ok(Self { store: Arc::new(store), prefix, cache: Arc::new(cache), clock, dice })
    }

    /// Asks for something, so that a bucket that is not there is known at the start.
    ///
    /// # Errors
    /// It cannot be reached, is not there, or refuses us.
    pub async fn probe(&self) -> Result<(), S3Fault> {
        // Only a listing tells a missing bucket from a missing object.
        self.store.list_with_delimiter(Some(&self.prefix.clone().join("probe"))).await?;
        Ok(())
    }

    fn paths(&self) -> Key {
        self.prefix.clone().join("paths")
    }

    fn place(&self, path: &BlobPath) -> Result<Key, Fault> {
        let place = path.as_str().split('/').fold(self.paths(), Key::join);
        if place.as_ref().len() > 1000 {
            return Err(Fault::new(FaultKind::InvalidRequest, "the path is too long for the artifact store"));
        }
        Ok(place)
    }

    fn objects(&self) -> Key {
        self.prefix.clone().join("objects")
    }

    /// The key of an object, as a path's pointer names it.
    fn object(&self, name: &str) -> Key {
        self.objects().join(name)
    }

    /// What a path leads to, and since when.
    async fn follow(&self, path: &BlobPath) -> Result<(Pointer, Key, SystemTime), Fault> {
        let place = self.place(path)?;
        match self.pointer(&place).await? {
            Some(found) => Ok(found),
            None if self.has_below(&place).await? => Err(Fault::new(FaultKind::Conflict, "this is a folder")),
            None => Err(Fault::new(FaultKind::NotFound, "there is no such file")),
        }
    }

    async fn pointer(&self, place: &Key) -> Result<Option<(Pointer, Key, SystemTime)>, Fault> {
        let found = match self.store.get(place).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(fault) => return Err(failed(fault)),
        };
        let since = found.meta.last_modified.into();
        let bytes = found.bytes().await.map_err(failed)?;
        let damaged = || Fault::internal(format!("the pointer {place} is damaged"));
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
        let (object, rest) = text.split_once(' ').ok_or_else(damaged)?;
        let pointer = Pointer::parse(rest).ok_or_else(damaged)?;
        Ok(Some((pointer, self.object(object), since)))
    }

    async fn has_below(&self, place: &Key) -> Result<bool, Fault> {
        Ok(self.store.list(Some(place)).next().await.transpose().map_err(failed)?.is_some())
    }

    /// Refuses a path that is a folder or lies below a file. Two writes at once can pass each other here, and then both
    /// files are there; neither is damaged.
    async fn check_place(&self, path: &BlobPath, place: &Key) -> Result<(), Fault> {
        let refused = || {
            Fault::new(
                FaultKind::InvalidRequest,
                format!("{path} cannot be a file: it is a folder, or lies below a file"),
            )
        };
        if self.has_below(place).await? {
            return Err(refused());
        }
        let (text, root) = (path.as_str(), self.paths());
        let key = |end: usize| text[..end].split('/').fold(root.clone(), Key::join);
        let above: Vec<Key> = text.match_indices('/').map(|(end, _)| key(end)).collect();
        let mut found = futures_util::stream::iter(above).map(|place| self.is_file(place)).buffer_unordered(ABREAST);
        while let Some(is_file) = found.try_next().await? {
            if is_file {
                return Err(refused());
            }
        }
        Ok(())
    }

    async fn is_file(&self, place: Key) -> Result<bool, Fault> {
        match self.store.head(&place).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(fault) => Err(failed(fault)),
        }
    }

    async fn write(&self, path: &BlobPath, content: Frames, most: u64) -> Result<BlobInfo, Fault> {
        let place = self.place(path)?;
        self.check_place(path, &place).await?;
        let name = format!("{:016x}{:016x}", self.dice.next_u64(), self.dice.next_u64());
        let info = upload::upload(&self.store, &self.object(&name), content, most).await?;
        let pointer = Pointer { digest: info.digest, length: info.length };
        self.store.put(&place, format!("{name} {pointer}").into()).await.map_err(failed)?;
        Ok(info)
    }

    async fn read(&self, path: &BlobPath, range: Option<Range<u64>>) -> Result<Blob, Fault> {
        let (pointer, object, written) = self.follow(path).await?;
        let frames = self.pieces(object, range.unwrap_or(0..pointer.length));
        Ok(Blob { length: pointer.length, digest: pointer.digest, written, frames })
    }

    /// A part of an object, asked for piece by piece.
    fn pieces(&self, object: Key, range: Range<u64>) -> Frames {
        let store = Arc::clone(&self.store);
        Box::pin(futures_util::stream::try_unfold((store, object, range), |(store, object, left)| async move {
            if left.is_empty() {
                return Ok(None);
            }
            let end = left.end.min(left.start.saturating_add(PIECE));
            let piece: Bytes = store.get_range(&object, left.start..end).await.map_err(failed)?;
            if piece.len() as u64 != end - left.start {
                return Err(Fault::internal("an object is shorter than its path says"));
            }
            Ok(Some((piece, (store, object, end..left.end))))
        }))
    }

    async fn entries(&self, folder: Option<&BlobPath>) -> Result<Vec<BlobEntry>, Fault> {
        let place = folder.map_or_else(|| Ok(self.paths()), |folder| self.place(folder))?;
        let found = self.store.list_with_delimiter(Some(&place)).await.map_err(failed)?;
        let name = |key: &Key| key.filename().map(percent::decoded).unwrap_or_default();
        let folders = found.common_prefixes.iter().map(|key| BlobEntry { name: name(key), length: None });
        let mut entries: Vec<BlobEntry> = folders.collect();
        let files = found.objects.into_iter().map(|file| async move {
            let pointer = self.pointer(&file.location).await?;
            // One that is gone meanwhile is not there.
            Ok::<_, Fault>(pointer.map(|(pointer, ..)| (file.location, pointer.length)))
        });
        let mut files = futures_util::stream::iter(files).buffer_unordered(ABREAST);
        while let Some(file) = files.try_next().await? {
            entries.extend(file.map(|(key, length)| BlobEntry { name: name(&key), length: Some(length) }));
        }
        drop(files);
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    async fn remove(&self, path: &BlobPath) -> Result<bool, Fault> {
        let place = self.place(path)?;
        let mut gone: Vec<Key> = Vec::new();
        if self.is_file(place.clone()).await? {
            gone.push(place.clone());
        }
        let below: Vec<Key> =
            self.store.list(Some(&place)).map_ok(|file| file.location).try_collect().await.map_err(failed)?;
        gone.extend(below);
        let was_there = !gone.is_empty();
        self.delete_all(gone).await?;
        Ok(was_there)
    }

    async fn delete_all(&self, keys: Vec<Key>) -> Result<(), Fault> {
        let mut deleted = self.store.delete_stream(futures_util::stream::iter(keys).map(Ok).boxed());
        while let Some(one) = deleted.next().await {
            match one {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(fault) => return Err(failed(fault)),
            }
        }
        Ok(())
    }

    async fn fetch(&self, path: &BlobPath) -> Result<PathBuf, Fault> {
        let (pointer, object, _) = self.follow(path).await?;
        if let Some(there) = self.cache.find(pointer.digest) {
            return Ok(there);
        }
        let content = self.pieces(object, 0..pointer.length);
        self.cache.keep(pointer.digest, content, pointer.length).await
    }
}

impl Blobs for S3Blobs {
    fn put<'a>(&'a self, path: &'a BlobPath, content: Frames, most: u64) -> BoxFuture<'a, Result<BlobInfo, Fault>> {
        Box::pin(self.write(path, content, most))
    }

    fn get<'a>(&'a self, path: &'a BlobPath, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Blob, Fault>> {
        Box::pin(self.read(path, range))
    }

    fn list<'a>(&'a self, folder: Option<&'a BlobPath>) -> BoxFuture<'a, Result<Vec<BlobEntry>, Fault>> {
        Box::pin(self.entries(folder))
    }

    fn delete<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(self.remove(path))
    }

    fn local<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<PathBuf, Fault>> {
        Box::pin(self.fetch(path))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<usize, Fault>> {
        Box::pin(sweep::sweep(self))
    }
}

/// Why a bucket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum S3Fault {
    /// What it answers, or what is missing to ask it.
    #[error(transparent)]
    Store(#[from] Error),
    /// The folder of this machine.
    #[error("the folder {} cannot be used: {why}", .folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// Why.
        why: std::io::Error,
    },
}

/// A fault of the bucket; it may be mended, so the caller may come again.
fn failed(e: Error) -> Fault {
    Fault::new(FaultKind::Unavailable, "the artifact store cannot do this now: come again in a moment").because(e)
}
