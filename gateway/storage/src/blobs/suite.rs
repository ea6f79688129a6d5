//! The cases that every artifact store passes. Each takes an empty one.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use std::ops::Range;
use tidegate_core::digest::Digest;
use tidegate_core::port::blobs::{BlobEntry, BlobInfo, BlobPath, Blobs};
use tidegate_core::port::mount::Frames;
use tidegate_core::{Fault, FaultKind};

pub(super) fn path(text: &str) -> BlobPath {
    BlobPath::new(text).unwrap()
}

pub(super) fn content(parts: &[&'static str]) -> Frames {
    let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
    Box::pin(futures_util::stream::iter(parts))
}

/// Bytes without a pattern, in frames of an odd length.
fn long(length: usize) -> (Vec<u8>, Frames) {
    let bytes: Vec<u8> = (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 11).to_le_bytes()[0]).collect();
    let frames: Vec<_> = bytes.chunks(65_537).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    (bytes, Box::pin(futures_util::stream::iter(frames)))
}

pub(super) async fn bytes(blobs: &dyn Blobs, at: &str, range: Option<Range<u64>>) -> Result<Vec<u8>, Fault> {
    let parts: Vec<Bytes> = blobs.get(&path(at), range).await?.frames.try_collect().await?;
    Ok(parts.concat())
}

pub(super) async fn read(blobs: &dyn Blobs, at: &str, range: Option<Range<u64>>) -> Result<String, Fault> {
    Ok(String::from_utf8(bytes(blobs, at, range).await?).unwrap())
}

fn names(entries: Vec<BlobEntry>) -> Vec<(String, Option<u64>)> {
    entries.into_iter().map(|entry| (entry.name, entry.length)).collect()
}

/// A file comes back whole or in part, and a new one takes the place of an old one.
pub(super) async fn files_come_back(blobs: &dyn Blobs) {
    let info = blobs.put(&path("m/1/model.bin"), content(&["hello ", "world"]), 100).await.unwrap();
    assert_eq!(info, BlobInfo { length: 11, digest: Digest::of(b"hello world") });
    let blob = blobs.get(&path("m/1/model.bin"), None).await.unwrap();
    assert_eq!((blob.length, blob.digest), (11, info.digest));
    assert_eq!(read(blobs, "m/1/model.bin", None).await.unwrap(), "hello world");
    assert_eq!(read(blobs, "m/1/model.bin", Some(6..9)).await.unwrap(), "wor");
    blobs.put(&path("m/2/model.bin"), content(&["hello world"]), 100).await.unwrap();
    blobs.put(&path("m/2/model.bin"), content(&["other"]), 100).await.unwrap();
    assert_eq!(read(blobs, "m/2/model.bin", None).await.unwrap(), "other");
    assert_eq!(read(blobs, "m/1/model.bin", None).await.unwrap(), "hello world");
    blobs.put(&path("empty"), content(&[]), 100).await.unwrap();
    assert_eq!(read(blobs, "empty", None).await.unwrap(), "");
    blobs.put(&path("ünïcode/x y~%2e[1]"), content(&["odd"]), 100).await.unwrap();
    assert_eq!(read(blobs, "ünïcode/x y~%2e[1]", None).await.unwrap(), "odd");
    assert_eq!(names(blobs.list(Some(&path("ünïcode"))).await.unwrap()), [("x y~%2e[1]".to_owned(), Some(3))]);
}

/// A file longer than what is sent at once comes back, and whoever reads the old one while it is replaced has it whole.
pub(super) async fn long_files_come_back(blobs: &dyn Blobs) {
    let (first, frames) = long(20 << 20);
    let info = blobs.put(&path("long"), frames, 100 << 20).await.unwrap();
    assert_eq!(info, BlobInfo { length: 20 << 20, digest: Digest::of(&first) });
    assert!(bytes(blobs, "long", None).await.unwrap() == first);
    let middle = (8 << 20) - 5..(16 << 20) + 5;
    let part = bytes(blobs, "long", Some(middle.clone())).await.unwrap();
    assert!(part == first[usize::try_from(middle.start).unwrap()..usize::try_from(middle.end).unwrap()]);
    let old = blobs.get(&path("long"), None).await.unwrap();
    blobs.put(&path("long"), content(&["new"]), 100).await.unwrap();
    let parts: Vec<Bytes> = old.frames.try_collect().await.unwrap();
    assert!(parts.concat() == first);
    assert_eq!(read(blobs, "long", None).await.unwrap(), "new");
}

/// A folder is listed one level deep, and removed with all below it.
pub(super) async fn folders_are_listed_and_removed(blobs: &dyn Blobs) {
    for at in ["m/b", "m/a/x", "n", "mm/c"] {
        blobs.put(&path(at), content(&["abc"]), 100).await.unwrap();
    }
    let (file, folder) = (|name: &str| (name.to_owned(), Some(3)), |name: &str| (name.to_owned(), None));
    assert_eq!(names(blobs.list(Some(&path("m"))).await.unwrap()), [folder("a"), file("b")]);
    assert_eq!(names(blobs.list(None).await.unwrap()), [folder("m"), folder("mm"), file("n")]);
    assert_eq!(blobs.list(Some(&path("absent"))).await.unwrap(), []);
    assert_eq!(blobs.list(Some(&path("n"))).await.unwrap(), []);
    assert!(blobs.delete(&path("m")).await.unwrap());
    assert!(!blobs.delete(&path("m")).await.unwrap());
    assert!(blobs.delete(&path("n")).await.unwrap());
    assert_eq!(read(blobs, "m/b", None).await.unwrap_err().kind, FaultKind::NotFound);
    assert_eq!(names(blobs.list(None).await.unwrap()), [folder("mm")]);
}

/// What cannot be a file says so and leaves nothing.
pub(super) async fn what_cannot_be_a_file_leaves_nothing(blobs: &dyn Blobs) {
    blobs.put(&path("m/b"), content(&["abc"]), 100).await.unwrap();
    for at in ["m", "m/b/c"] {
        let fault = blobs.put(&path(at), content(&["x"]), 100).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::InvalidRequest, "{at}: {fault}");
    }
    assert_eq!(blobs.put(&path("big"), content(&["abc", "def"]), 5).await.unwrap_err().kind, FaultKind::TooLarge);
    let (_, frames) = long(20 << 20);
    assert_eq!(blobs.put(&path("big"), frames, 10 << 20).await.unwrap_err().kind, FaultKind::TooLarge);
    assert_eq!(read(blobs, "m", None).await.unwrap_err().kind, FaultKind::Conflict);
    let cut = || Err(Fault::new(FaultKind::InvalidRequest, "cut"));
    let short: Frames = Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(b"abc")), cut()]));
    assert_eq!(blobs.put(&path("cut"), short, 100).await.unwrap_err().says, "cut");
    let half = Ok(Bytes::from(vec![7; 9 << 20]));
    let half: Frames = Box::pin(futures_util::stream::iter([half, cut()]));
    assert_eq!(blobs.put(&path("cut"), half, 100 << 20).await.unwrap_err().says, "cut");
    for at in ["big", "cut"] {
        assert_eq!(read(blobs, at, None).await.unwrap_err().kind, FaultKind::NotFound, "{at}");
    }
}

/// What is needed as a file of this machine is one, with what lies there then.
pub(super) async fn a_file_is_had_on_this_machine(blobs: &dyn Blobs) {
    let (bytes, frames) = long(9 << 20);
    blobs.put(&path("m/model.gguf"), frames, 100 << 20).await.unwrap();
    let local = blobs.local(&path("m/model.gguf")).await.unwrap();
    assert!(std::fs::read(&local).unwrap() == bytes);
    assert_eq!(blobs.local(&path("m/model.gguf")).await.unwrap(), local);
    blobs.put(&path("m/model.gguf"), content(&["new"]), 100).await.unwrap();
    assert!(std::fs::read(&local).unwrap() == bytes, "it is never written to again");
    let newer = blobs.local(&path("m/model.gguf")).await.unwrap();
    assert_eq!(std::fs::read(newer).unwrap(), b"new");
    assert_eq!(blobs.local(&path("m/absent")).await.unwrap_err().kind, FaultKind::NotFound);
    assert_eq!(blobs.local(&path("m")).await.unwrap_err().kind, FaultKind::Conflict);
}
