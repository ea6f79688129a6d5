//! The work tree after a write: a checked-out branch that moves by a commit of ours must not look as if somebody had
//! taken that commit back. Owns the files and the index entries of one prompt's folder; where the folder has changes
//! of its own it is left, and the log says so.

use crate::disk::inside;
use crate::fault::PromptFault;
use crate::folder::Folder;
use crate::refs::replace;
use crate::repository::View;
use crate::store::PromptStore;
use gix::ObjectId;
use gix::index::{File, decode, entry, write};
use gix::objs::Kind;
use std::fs;
use std::path::Path;
use tidegate_core::PromptName;

const HASH: gix::hash::Kind = gix::hash::Kind::Sha1;

impl PromptStore {
    /// Brings the work tree's folder of `name` from the tree `old` to `new`.
    pub(crate) fn check_out(
        &self,
        view: &View<'_>,
        name: &PromptName,
        (old, new): (Option<ObjectId>, Option<ObjectId>),
    ) {
        let Some(work) = self.repository.work_folder() else { return };
        let done = write_out(view, &work.join(name.as_str()), old, new).and_then(|after| {
            let under = [self.repository.path(), &[name.as_str().to_owned()]].concat().join("/");
            index(self.repository.git(), &under, &after)
        });
        if let Err(fault) = done {
            tracing::warn!(prompt = %name, %fault, "the version is committed, but the work tree or its index was left as it is");
        }
    }
}

fn write_out(
    view: &View<'_>,
    path: &Path,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
) -> Result<Folder, PromptFault> {
    let folder = |tree: Option<ObjectId>| tree.map(|tree| view.folder(tree)).transpose();
    let (before, after) = (folder(old)?.unwrap_or_default(), folder(new)?.unwrap_or_default());
    let there = crate::dev::read(path)?.unwrap_or_default();
    if there != before {
        return Err(PromptFault::Conflict(format!("{} has changes of its own", path.display())));
    }
    for (file, _) in before.files().filter(|(file, _)| after.read(file).is_err()) {
        let file = path.join(file);
        fs::remove_file(&file).map_err(PromptFault::io("remove", &file))?;
    }
    if new.is_none() {
        drop(fs::remove_dir(path));
        return Ok(after);
    }
    fs::create_dir_all(path).map_err(PromptFault::io("make", path))?;
    for (file, text) in after.files().filter(|(file, text)| before.read(file) != Ok(*text)) {
        let file = path.join(file);
        fs::write(&file, text).map_err(PromptFault::io("write", &file))?;
    }
    Ok(after)
}

/// Makes the index say of the folder `under` what its files are.
fn index(git: &Path, under: &str, folder: &Folder) -> Result<(), PromptFault> {
    let path = inside(git, "index")?;
    let options = decode::Options { alloc_limit_bytes: Some(256 << 20), ..decode::Options::default() };
    let mut file = if path.exists() {
        File::at(&path, HASH, false, options).map_err(PromptFault::git("read the index"))?
    } else {
        File::from_state(gix::index::State::new(HASH), &path)
    };
    let before = fs::read(&path).ok();
    let prefix = format!("{under}/");
    file.remove_entries(|_, path, _| path.starts_with(prefix.as_bytes()));
    for (name, text) in folder.files() {
        let id = gix::objs::compute_hash(HASH, Kind::Blob, text.as_bytes()).map_err(PromptFault::git("name a file"))?;
        let path = format!("{prefix}{name}");
        // Without times and sizes git looks at the file itself the next time, and fills them in.
        let (stat, flags, mode) = (entry::Stat::default(), entry::Flags::empty(), entry::Mode::FILE);
        file.dangerously_push_entry(stat, id, flags, mode, path.as_str().into());
    }
    file.sort_entries();
    drop(file.remove_tree());
    let mut bytes = Vec::new();
    file.write_to(&mut bytes, write::Options::default()).map_err(PromptFault::git("write the index"))?;
    if replace(git, "index", before.as_deref(), &bytes)? {
        return Ok(());
    }
    Err(PromptFault::Conflict("another program holds or changed the index".into()))
}
