//! Repositories for tests, made with git's own forms and not with what is tested.

use crate::{Author, Body, Draft, Options, PromptStore};
use gix::ObjectId;
use gix::objs::tree::EntryKind;
use gix::refs::transaction::PreviousValue;
use std::path::Path;
use std::sync::Arc;
use tidegate_core::clock::ManualClock;

/// A bare repository in a folder of its own.
pub(crate) struct Bare {
    folder: tempfile::TempDir,
    repository: gix::Repository,
}

pub(crate) fn by() -> Author {
    Author::new("Ann", "ann@example.com")
}

pub(crate) fn text(template: &str) -> Draft {
    Draft::of(Body::Text(template.to_owned()))
}

/// `prompt.yaml` of one text.
pub(crate) fn yaml(template: &str) -> String {
    format!("text: {{content: {}}}\n", serde_json::Value::from(template))
}

impl Bare {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        drop(gix::init_bare(folder.path()).unwrap());
        let repository = gix::open_opts(folder.path(), gix::open::Options::isolated()).unwrap();
        Self { folder, repository }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn blob(&self, text: &str) -> ObjectId {
        self.repository.write_blob(text).unwrap().detach()
    }

    pub(crate) fn head(&self) -> Option<ObjectId> {
        let reference = self.repository.try_find_reference(&*self.branch()).unwrap();
        reference.and_then(|r| r.try_id().map(gix::Id::detach))
    }

    pub(crate) fn branch(&self) -> String {
        self.repository.head_name().unwrap().unwrap().as_bstr().to_string()
    }

    /// A commit on `parent` that puts files, or takes them away, and objects of whatever mode.
    pub(crate) fn commit_on(
        &self,
        parent: Option<ObjectId>,
        files: &[(&str, Option<&str>)],
        odd: &[(&str, EntryKind, ObjectId)],
    ) -> ObjectId {
        let root = parent.map_or_else(
            || self.repository.empty_tree().id,
            |parent| self.repository.find_commit(parent).unwrap().tree_id().unwrap().detach(),
        );
        let mut editor = self.repository.edit_tree(root).unwrap();
        for (path, text) in files {
            match text {
                Some(text) => drop(editor.upsert(*path, EntryKind::Blob, self.blob(text)).unwrap()),
                None => drop(editor.remove(*path).unwrap()),
            }
        }
        for (path, kind, id) in odd {
            editor.upsert(*path, *kind, *id).unwrap();
        }
        let tree = editor.write().unwrap().detach();
        self.commit_of(parent, tree)
    }

    pub(crate) fn commit_of(&self, parent: Option<ObjectId>, tree: ObjectId) -> ObjectId {
        let parent = parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
        let who = "Bo <bo@example.com> 1700000000 +0000";
        let text = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\na change\n");
        let commit = gix::objs::CommitRef::from_bytes(text.as_bytes(), gix::hash::Kind::Sha1).unwrap();
        self.repository.write_object(gix::objs::Commit::try_from(commit).unwrap()).unwrap().detach()
    }

    /// A tree of entries as they are, good or not.
    pub(crate) fn raw_tree(&self, entries: &[(&str, &str, ObjectId)]) -> ObjectId {
        use gix::objs::Write;
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            bytes.extend_from_slice(id.as_bytes());
        }
        self.repository.objects.write_buf(gix::objs::Kind::Tree, &bytes).unwrap()
    }

    pub(crate) fn point(&self, name: &str, to: ObjectId) {
        self.repository.reference(name, to, PreviousValue::Any, "test").unwrap();
    }

    /// Commits files on the branch.
    pub(crate) fn commit(&self, files: &[(&str, Option<&str>)]) -> ObjectId {
        let commit = self.commit_on(self.head(), files, &[]);
        self.point(&self.branch(), commit);
        commit
    }

    /// Commits a new text of a prompt.
    pub(crate) fn push(&self, name: &str, template: &str) -> ObjectId {
        self.commit(&[(&format!("prompts/{name}/prompt.yaml"), Some(&yaml(template)))])
    }

    pub(crate) fn open(&self) -> PromptStore {
        PromptStore::open(self.path(), options()).unwrap()
    }
}

pub(crate) fn options() -> Options {
    // Long after any file was touched, so that nothing counts as fresh.
    let clock = ManualClock::at(std::time::UNIX_EPOCH + std::time::Duration::from_secs(4_000_000_000));
    Options { clock: Arc::new(clock), ..Options::default() }
}

impl Bare {
    /// A commit of more parents, with the tree of one of them.
    pub(crate) fn merge(&self, parents: &[ObjectId], like: ObjectId) -> ObjectId {
        let tree = self.repository.find_commit(like).unwrap().tree_id().unwrap().detach();
        let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        let who = "Bo <bo@example.com> 1700000000 +0000";
        let text = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\na merge\n");
        let commit = gix::objs::CommitRef::from_bytes(text.as_bytes(), gix::hash::Kind::Sha1).unwrap();
        self.repository.write_object(gix::objs::Commit::try_from(commit).unwrap()).unwrap().detach()
    }

    /// The tree of a folder at a commit.
    pub(crate) fn tree_at(&self, commit: ObjectId, path: &str) -> ObjectId {
        let tree = self.repository.find_commit(commit).unwrap().tree().unwrap();
        tree.lookup_entry_by_path(path).unwrap().unwrap().object_id()
    }
}
