//! What is asked of the file system beside git's own reading: folders that are no links, fsync, the lock of this
//! gateway against others. Owns nothing of what the files say.

use crate::fault::PromptFault;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Makes what a folder says durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), PromptFault> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(PromptFault::io("sync", path))
}

/// The path of `relative` under `root`, its folders made durably; refused where a part of it is a link, so that a
/// repository from elsewhere cannot lead a write out of itself.
pub(crate) fn inside(root: &Path, relative: &str) -> Result<PathBuf, PromptFault> {
    let mut at = root.to_owned();
    let mut parts = relative.split('/').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() || part == "." || part == ".." {
            return Err(PromptFault::Forbidden(format!("{relative:?} leads out of the repository")));
        }
        let parent = at.clone();
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.file_type().is_symlink() => {
                return Err(PromptFault::Forbidden(format!("{} is a link, and links are not followed", at.display())));
            }
            Ok(_) => {}
            Err(_) if parts.peek().is_some() => {
                match fs::create_dir(&at) {
                    Err(fault) if fault.kind() != std::io::ErrorKind::AlreadyExists => {
                        return Err(PromptFault::io("make", &at)(fault));
                    }
                    _ => {}
                }
                sync_folder(&parent)?;
            }
            Err(_) => {}
        }
    }
    Ok(at)
}

/// The lock that one writer of a repository's prompts holds, of whatever process; freed when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _file: File,
}

/// Waits for the lock.
pub(crate) fn lock(path: &Path) -> Result<Held, PromptFault> {
    let file =
        File::options().create(true).truncate(false).write(true).open(path).map_err(PromptFault::io("open", path))?;
    file.lock().map_err(PromptFault::io("lock", path))?;
    Ok(Held { _file: file })
}
