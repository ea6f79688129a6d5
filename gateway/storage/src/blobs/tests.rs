//! The folder passes the cases of every artifact store, keeps the same bytes once, and leaves nothing half-written.

use super::suite::{self, content, path, read};
use super::*;

fn objects(root: &Path) -> usize {
    std::fs::read_dir(root.join("objects"))
        .unwrap()
        .map(|group| std::fs::read_dir(group.unwrap().path()).unwrap().count())
        .sum()
}

/// A folder on which `case` is tried; nothing half-written is left behind.
async fn on_a_folder(case: impl AsyncFnOnce(&dyn Blobs)) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FolderBlobs::open(folder.path()).unwrap();
    case(&blobs).await;
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_folder_is_an_artifact_store() {
    on_a_folder(suite::files_come_back).await;
    on_a_folder(suite::long_files_come_back).await;
    on_a_folder(suite::folders_are_listed_and_removed).await;
    on_a_folder(suite::what_cannot_be_a_file_leaves_nothing).await;
    on_a_folder(suite::a_file_is_had_on_this_machine).await;
}

#[tokio::test]
async fn the_same_bytes_are_kept_once_and_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FolderBlobs::open(folder.path()).unwrap();
    for at in ["m/1/model.bin", "m/2/model.bin"] {
        blobs.put(&path(at), content(&["hello ", "world"]), 100).await.unwrap();
    }
    assert_eq!(objects(folder.path()), 1);
    let again = FolderBlobs::open(folder.path()).unwrap();
    assert_eq!(read(&again, "m/2/model.bin", None).await.unwrap(), "hello world");
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
