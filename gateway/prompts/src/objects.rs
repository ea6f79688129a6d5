//! New git objects, durable before anything names them: written and synced in a folder of ours, then renamed to where
//! git looks. Owns that order and the building of trees.

use crate::disk::{inside, sync_folder};
use crate::fault::PromptFault;
use crate::refs::OURS;
use crate::repository::View;
use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Kind, Tree, TreeRef, Write, WriteTo};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const HASH: gix::hash::Kind = gix::hash::Kind::Sha1;

/// Objects on their way into a repository.
pub(crate) struct Staging<'a> {
    view: &'a View<'a>,
    common: &'a Path,
    store: gix::odb::loose::Store,
    folder: PathBuf,
    staged: Vec<ObjectId>,
}

/// Where a loose object lies.
fn place(id: ObjectId) -> (String, String) {
    let hex = id.to_string();
    let (folder, file) = hex.split_at(2);
    (folder.to_owned(), file.to_owned())
}

impl<'a> Staging<'a> {
    pub(crate) fn new(view: &'a View<'a>, common: &'a Path) -> Result<Self, PromptFault> {
        let folder = inside(common, &format!("{OURS}/objects"))?;
        // What a killed process left is nothing that anybody was told of.
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).map_err(PromptFault::io("make", &folder))?;
        Ok(Self { view, common, store: gix::odb::loose::Store::at(&folder, HASH), folder, staged: Vec::new() })
    }

    /// Takes an object in.
    pub(crate) fn put(&mut self, kind: Kind, bytes: &[u8]) -> Result<ObjectId, PromptFault> {
        let id = self.store.write_buf(kind, bytes).map_err(PromptFault::git("write an object"))?;
        self.staged.push(id);
        Ok(id)
    }

    fn put_tree(&mut self, mut tree: Tree) -> Result<ObjectId, PromptFault> {
        tree.entries.sort();
        let mut bytes = Vec::new();
        tree.write_to(&mut bytes).map_err(PromptFault::git("write a tree"))?;
        self.put(Kind::Tree, &bytes)
    }

    /// The tree of a prompt's files; their paths have no folders.
    pub(crate) fn folder(&mut self, files: &BTreeMap<String, String>) -> Result<ObjectId, PromptFault> {
        let mut tree = Tree::empty();
        for (name, text) in files {
            let oid = self.put(Kind::Blob, text.as_bytes())?;
            tree.entries.push(Entry { mode: EntryKind::Blob.into(), filename: name.as_str().into(), oid });
        }
        self.put_tree(tree)
    }

    /// The tree `root` with `new` as the folder at `path`, or without it.
    pub(crate) fn with(
        &mut self,
        root: Option<ObjectId>,
        path: &[&str],
        new: Option<ObjectId>,
    ) -> Result<ObjectId, PromptFault> {
        let mut tree = match root {
            None => Tree::empty(),
            Some(id) => {
                let object = self.view.git.find_object(id).map_err(PromptFault::git("read a tree"))?;
                let tree = TreeRef::from_bytes(&object.data, HASH).map_err(PromptFault::git("read a tree"))?;
                tree.to_owned()
            }
        };
        let Some((first, rest)) = path.split_first() else { return self.put_tree(tree) };
        let at = tree.entries.iter().position(|entry| entry.filename == first.as_bytes());
        let old = at.map(|at| tree.entries.remove(at));
        let below = if rest.is_empty() {
            new
        } else {
            let old = old.filter(|entry| entry.mode.kind() == EntryKind::Tree).map(|entry| entry.oid);
            Some(self.with(old, rest, new)?)
        };
        if let Some(oid) = below.filter(|oid| *oid != ObjectId::empty_tree(HASH)) {
            tree.entries.push(Entry { mode: EntryKind::Tree.into(), filename: (*first).into(), oid });
        }
        self.put_tree(tree)
    }

    /// Makes all of them durable where git looks for them.
    pub(crate) fn publish(self) -> Result<(), PromptFault> {
        let mut staged = self.staged;
        staged.sort();
        staged.dedup();
        let mut folders = Vec::new();
        for id in staged {
            let (folder, file) = place(id);
            let from = self.folder.join(&folder).join(&file);
            let to = inside(self.common, &format!("objects/{folder}/{file}"))?;
            File::open(&from).and_then(|f| f.sync_all()).map_err(PromptFault::io("sync", &from))?;
            fs::rename(&from, &to).map_err(PromptFault::io("put an object at", &to))?;
            folders.extend(to.parent().map(Path::to_owned));
        }
        folders.sort();
        folders.dedup();
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }
}
