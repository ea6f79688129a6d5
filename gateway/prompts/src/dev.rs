//! The work tree as the version `dev`: read anew at each use, no link in it followed. Owns that reading.

use crate::fault::PromptFault;
use crate::folder::{DEPTH, Folder, PROMPT_FILE};
use crate::store::PromptStore;
use std::fs;
use std::path::Path;
use tidegate_core::PromptName;

impl PromptStore {
    /// The files of a prompt in the work tree.
    pub(crate) fn dev_files(&self, name: &PromptName) -> Result<Folder, PromptFault> {
        let work = self.repository.work_folder().filter(|_| self.options.has_dev);
        let Some(work) = work else {
            let why = "`@dev` needs a repository of this machine that has a work tree";
            return Err(PromptFault::Forbidden(why.into()));
        };
        read(&work.join(name.as_str()))?.ok_or_else(|| {
            PromptFault::NotFound(format!("the work tree has no prompt `{name}`: there is no {PROMPT_FILE} of it"))
        })
    }
}

/// The files of a folder on the disk; `None` where it is none.
pub(crate) fn read(path: &Path) -> Result<Option<Folder>, PromptFault> {
    let mut folder = Folder::default();
    if !fs::symlink_metadata(path).is_ok_and(|m| m.is_dir()) {
        return Ok(None);
    }
    gather(path, "", 0, &mut folder)?;
    Ok(Some(folder))
}

fn gather(path: &Path, under: &str, depth: usize, folder: &mut Folder) -> Result<(), PromptFault> {
    let mut entries: Vec<_> =
        fs::read_dir(path).map_err(PromptFault::io("read", path))?.take(1000).filter_map(Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let inner = if under.is_empty() { name.clone() } else { format!("{under}/{name}") };
        let Ok(found) = fs::symlink_metadata(entry.path()) else { continue };
        if tidegate_core::name::check(&name).is_err() {
            folder.skip(inner.escape_debug().to_string(), "has a name that no file of a prompt may have");
        } else if found.is_dir() && depth + 1 < DEPTH {
            gather(&entry.path(), &inner, depth + 1, folder)?;
        } else if !found.is_file() {
            folder.skip(inner, "is a link, too deep or no file");
        } else if let Err(why) = folder.room(found.len()) {
            folder.skip(inner, why);
        } else {
            let bytes = fs::read(entry.path()).map_err(PromptFault::io("read", &entry.path()))?;
            folder.put(inner, bytes);
        }
    }
    Ok(())
}
