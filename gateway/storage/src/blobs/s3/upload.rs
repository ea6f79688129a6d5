//! One object going up: as it comes, in parts, so that no file sits in memory; whole or not at all.

use super::failed;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};
use tidegate_core::digest::Digest;
use tidegate_core::port::blobs::BlobInfo;
use tidegate_core::port::mount::Frames;
use tidegate_core::{Fault, FaultKind};

/// The length of a part; S3 wants 5 MiB at least.
const PART: u64 = 8 << 20;
/// How many parts an object may have.
const PARTS: u64 = 10_000;

/// Writes what comes into the object `key`.
///
/// # Errors
/// There is more than `most`, what comes breaks off, or the bucket cannot take it: then there is no such object.
pub(super) async fn upload(store: &AmazonS3, key: &Key, content: Frames, most: u64) -> Result<BlobInfo, Fault> {
    let part = usize::try_from(PART.max(most.div_ceil(PARTS))).unwrap_or(usize::MAX);
    let mut source = Source { content, hash: Sha256::new(), length: 0, most, rest: BytesMut::new() };
    let first = source.next(part).await?;
    if first.len() < part {
        store.put(key, first.into()).await.map_err(failed)?;
        return Ok(source.done());
    }
    let mut upload = Started(Some(store.put_multipart(key).await.map_err(failed)?));
    match upload.send(first, &mut source, part).await {
        Ok(()) => Ok(source.done()),
        Err(fault) => {
            upload.abort().await;
            Err(fault)
        }
    }
}

/// What comes, cut into parts of one length, which some stores insist on.
struct Source {
    content: Frames,
    hash: Sha256,
    length: u64,
    most: u64,
    rest: BytesMut,
}

impl Source {
    /// The next `length` bytes; fewer at the end alone.
    async fn next(&mut self, length: usize) -> Result<Bytes, Fault> {
        while self.rest.len() < length {
            let Some(frame) = self.content.next().await else { break };
            let frame = frame?;
            self.length += frame.len() as u64;
            if self.length > self.most {
                let most = self.most;
                return Err(Fault::new(FaultKind::TooLarge, format!("a file here has at most {most} bytes")));
            }
            self.hash.update(&frame);
            self.rest.extend_from_slice(&frame);
        }
        let length = length.min(self.rest.len());
        Ok(self.rest.split_to(length).freeze())
    }

    fn done(self) -> BlobInfo {
        let digest = Digest::from_bytes(self.hash.finalize().into());
        BlobInfo { length: self.length, digest }
    }
}

/// An upload in parts that has begun; dropped unfinished, as when the caller goes away, it is taken back.
#[derive(Debug)]
struct Started(Option<Box<dyn MultipartUpload>>);

impl Started {
    /// Sends all parts, each while the next comes in.
    async fn send(&mut self, first: Bytes, source: &mut Source, length: usize) -> Result<(), Fault> {
        let upload = self.0.as_mut().ok_or_else(|| Fault::internal("an upload that ended goes on"))?;
        let mut part = first;
        while !part.is_empty() {
            let sent = upload.put_part(PutPayload::from(part));
            let (sent, next) = futures_util::future::join(sent, source.next(length)).await;
            sent.map_err(failed)?;
            part = next?;
        }
        upload.complete().await.map_err(failed)?;
        self.0 = None;
        Ok(())
    }

    async fn abort(mut self) {
        if let Some(mut upload) = self.0.take() {
            take_back(&mut *upload).await;
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let (Some(mut upload), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            drop(runtime.spawn(async move { take_back(&mut *upload).await }));
        }
    }
}

async fn take_back(upload: &mut dyn MultipartUpload) {
    if let Err(fault) = upload.abort().await {
        tracing::warn!(%fault, "an unfinished upload stays in the bucket until its lifecycle rule removes it");
    }
}
