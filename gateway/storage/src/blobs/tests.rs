//! Files come back as they went in, once and whole, and what cannot be one leaves nothing.

use super::*;
use futures_util::TryStreamExt as _;

fn path(text: &str) -> BlobPath {
    BlobPath::new(text).unwrap()
}

fn content(parts: &[&'static str]) -> Frames {
    let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
    Box::pin(futures_util::stream::iter(parts))
}

async fn read(blobs: &FolderBlobs, at: &str, range: Option<Range<u64>>) -> Result<String, Fault> {
    let blob = blobs.get(&path(at), range).await?;
    let parts: Vec<Bytes> = blob.frames.try_collect().await?;
    Ok(String::from_utf8(parts.concat()).unwrap())
}

fn objects(root: &Path) -> usize {
    std::fs::read_dir(root.join("objects"))
        .unwrap()
        .map(|group| std::fs::read_dir(group.unwrap().path()).unwrap().count())
        .sum()
}

#[tokio::test]
async fn a_file_comes_back_whole_or_in_part_and_the_same_bytes_are_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FolderBlobs::open(folder.path()).unwrap();
    let info = blobs.put(&path("m/1/model.bin"), content(&["hello ", "world"]), 100).await.unwrap();
    assert_eq!(info, BlobInfo { length: 11, digest: Digest::of(b"hello world") });
    assert_eq!(read(&blobs, "m/1/model.bin", None).await.unwrap(), "hello world");
    assert_eq!(read(&blobs, "m/1/model.bin", Some(6..9)).await.unwrap(), "wor");
    blobs.put(&path("m/2/model.bin"), content(&["hello world"]), 100).await.unwrap();
    assert_eq!(objects(folder.path()), 1);
    blobs.put(&path("m/2/model.bin"), content(&["other"]), 100).await.unwrap();
    assert_eq!(read(&blobs, "m/2/model.bin", None).await.unwrap(), "other");
    assert_eq!(read(&blobs, "m/1/model.bin", None).await.unwrap(), "hello world");
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    // Another process, or the next start, sees the same.
    let again = FolderBlobs::open(folder.path()).unwrap();
    assert_eq!(read(&again, "m/2/model.bin", None).await.unwrap(), "other");
}

#[tokio::test]
async fn folders_are_listed_and_removed_with_all_below_them() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FolderBlobs::open(folder.path()).unwrap();
    for at in ["m/b", "m/a/x", "n"] {
        blobs.put(&path(at), content(&["abc"]), 100).await.unwrap();
    }
    let names = |entries: Vec<BlobEntry>| entries.into_iter().map(|e| (e.name, e.length)).collect::<Vec<_>>();
    assert_eq!(names(blobs.list(Some(&path("m"))).await.unwrap()), [("a".to_owned(), None), ("b".to_owned(), Some(3))]);
    assert_eq!(names(blobs.list(None).await.unwrap()), [("m".to_owned(), None), ("n".to_owned(), Some(3))]);
    assert_eq!(blobs.list(Some(&path("absent"))).await.unwrap(), []);
    assert_eq!(blobs.list(Some(&path("n"))).await.unwrap(), []);
    assert!(blobs.delete(&path("m")).await.unwrap());
    assert!(!blobs.delete(&path("m")).await.unwrap());
    assert_eq!(read(&blobs, "m/b", None).await.unwrap_err().kind, FaultKind::NotFound);
}

#[tokio::test]
async fn what_cannot_be_a_file_says_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FolderBlobs::open(folder.path()).unwrap();
    blobs.put(&path("m/b"), content(&["abc"]), 100).await.unwrap();
    for at in ["m", "m/b/c"] {
        let fault = blobs.put(&path(at), content(&["x"]), 100).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::InvalidRequest, "{at}: {fault}");
    }
    assert_eq!(blobs.put(&path("big"), content(&["abc", "def"]), 5).await.unwrap_err().kind, FaultKind::TooLarge);
    assert_eq!(read(&blobs, "m", None).await.unwrap_err().kind, FaultKind::Conflict);
    let cut: Frames = Box::pin(futures_util::stream::iter([
        Ok(Bytes::from_static(b"abc")),
        Err(Fault::new(FaultKind::InvalidRequest, "cut")),
    ]));
    assert_eq!(blobs.put(&path("cut"), cut, 100).await.unwrap_err().says, "cut");
    assert_eq!(read(&blobs, "cut", None).await.unwrap_err().kind, FaultKind::NotFound);
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_sweep_takes_old_objects_without_a_path_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FolderBlobs::open(folder.path()).unwrap();
    for (at, text) in [("keep", "keep"), ("old", "old"), ("young", "young")] {
        blobs.put(&path(at), content(&[text]), 100).await.unwrap();
    }
    let age = |text: &str| {
        let object = blobs.object(Digest::of(text.as_bytes()));
        let file = std::fs::File::options().append(true).open(object).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    };
    age("keep");
    age("old");
    blobs.delete(&path("old")).await.unwrap();
    blobs.delete(&path("young")).await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 1);
    assert_eq!(objects(folder.path()), 2);
    assert_eq!(read(&blobs, "keep", None).await.unwrap(), "keep");
    // The same bytes come again: the object is fresh again.
    age("young");
    blobs.put(&path("young"), content(&["young"]), 100).await.unwrap();
    blobs.delete(&path("young")).await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 0);
}
