//! The git repository that prompts lie in, read with nothing of it trusted: no hooks, no includes, no filters, no
//! replacement refs, no submodules, no links followed. Owns the reading of commits, trees and blobs.

use crate::fault::PromptFault;
use crate::folder::{DEPTH, Folder, Skipped};
use crate::once::without_trailer;
use gix::ObjectId;
use gix::objs::tree::EntryKind;
use gix::objs::{CommitRefIter, Kind, TreeRefIter};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tidegate_core::{CommitSha, PromptName};

/// The most bytes of a commit or a tree.
const OBJECT_BYTES: u64 = 8 << 20;
const HASH: gix::hash::Kind = gix::hash::Kind::Sha1;

/// A repository on this machine.
pub(crate) struct Repository {
    inner: gix::ThreadSafeRepository,
    /// The folder of objects and refs.
    common: PathBuf,
    /// The folder of `HEAD`.
    git: PathBuf,
    work_tree: Option<PathBuf>,
    path: Vec<String>,
    branch: Option<String>,
}

/// A thread's own view of it.
pub(crate) struct View<'a> {
    pub(crate) git: gix::Repository,
    owner: &'a Repository,
}

/// Who made a commit, when and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CommitNote {
    /// The author's name.
    pub author: String,
    /// His address.
    pub email: String,
    /// Seconds since 1970 of the commit.
    pub unix_s: i64,
    /// The message.
    pub message: String,
}

/// A commit's first parent and its tree.
pub(crate) struct Step {
    pub(crate) parent: Option<ObjectId>,
    pub(crate) tree: ObjectId,
}

pub(crate) fn sha_of(id: &gix::oid) -> CommitSha {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&id.as_bytes()[..20]);
    CommitSha::from_bytes(bytes)
}

pub(crate) fn id_of(sha: CommitSha) -> ObjectId {
    ObjectId::Sha1(*sha.as_bytes())
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("git", &self.git).field("path", &self.path).finish_non_exhaustive()
    }
}

impl Repository {
    /// Opens the bare or work-tree repository in `folder`; prompts lie in its folder `path`, on `branch` or else on what
    /// `HEAD` names.
    pub(crate) fn open(folder: &Path, path: &str, branch: Option<&str>) -> Result<Self, PromptFault> {
        let path: Vec<String> =
            path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect();
        if path.iter().any(|part| part == ".." || part == ".git") {
            return Err(PromptFault::invalid("path", "is a folder of the repository, without `..`"));
        }
        let dot_git = folder.join(".git");
        let work_tree = dot_git.exists().then(|| folder.to_owned());
        let at = if work_tree.is_some() { dot_git } else { folder.to_owned() };
        let options = gix::open::Options::isolated()
            .open_path_as_is(true)
            .with(gix::sec::Trust::Full)
            .config_overrides(["core.useReplaceRefs=false"]);
        let inner =
            gix::ThreadSafeRepository::open_opts(at, options).map_err(PromptFault::git("open the repository"))?;
        let local = inner.to_thread_local();
        if local.object_hash() != HASH {
            return Err(PromptFault::invalid("repository", "is of SHA-256 objects; only SHA-1 ones can be read"));
        }
        let (common, git) = (local.common_dir().to_owned(), local.git_dir().to_owned());
        drop(local);
        Ok(Self { inner, common, git, work_tree, path, branch: branch.map(str::to_owned) })
    }

    pub(crate) fn view(&self) -> View<'_> {
        View { git: self.inner.to_thread_local(), owner: self }
    }

    pub(crate) fn common(&self) -> &Path {
        &self.common
    }

    pub(crate) fn git(&self) -> &Path {
        &self.git
    }

    /// The folder of prompts in it, part by part.
    pub(crate) fn path(&self) -> &[String] {
        &self.path
    }

    /// The folder of prompts in the work tree, where there is one.
    pub(crate) fn work_folder(&self) -> Option<PathBuf> {
        let mut folder = self.work_tree.clone()?;
        folder.extend(&self.path);
        Some(folder)
    }
}

impl View<'_> {
    /// The full name of the branch that is followed, and its commit; `None` where it has none yet.
    pub(crate) fn head(&self) -> Result<(String, Option<ObjectId>), PromptFault> {
        let name = match &self.owner.branch {
            Some(branch) => format!("refs/heads/{branch}"),
            None => {
                let head = self.git.head().map_err(PromptFault::git("read HEAD"))?;
                match head.referent_name() {
                    Some(name) => name.as_bstr().to_string(),
                    None => return Ok(("HEAD".to_owned(), head.id().map(gix::Id::detach))),
                }
            }
        };
        Ok((name.clone(), self.target(&name)?))
    }

    /// Whether `branch` is the one that `HEAD` names.
    pub(crate) fn is_checked_out(&self, branch: &str) -> bool {
        let head = self.git.head_name().ok().flatten();
        head.is_some_and(|head| head.as_bstr() == branch)
    }

    /// What a ref points to, unpeeled; `None` where there is no such ref.
    pub(crate) fn target(&self, name: &str) -> Result<Option<ObjectId>, PromptFault> {
        let found = self.git.try_find_reference(name).map_err(PromptFault::git("read a ref"))?;
        Ok(found.and_then(|reference| reference.try_id().map(gix::Id::detach)))
    }

    /// The object, when it is of this kind and not too large.
    fn object(&self, id: ObjectId, kind: Kind, most: u64) -> Result<Option<gix::Object<'_>>, PromptFault> {
        let Some(header) = self.git.try_find_header(id).map_err(PromptFault::git("read an object"))? else {
            return Ok(None);
        };
        if header.kind() != kind || header.size() > most {
            return Ok(None);
        }
        self.git.try_find_object(id).map_err(PromptFault::git("read an object"))
    }

    /// A commit's parent and tree; `None` where it is missing, as behind a shallow border.
    pub(crate) fn step(&self, commit: ObjectId) -> Result<Option<Step>, PromptFault> {
        let Some(object) = self.object(commit, Kind::Commit, OBJECT_BYTES)? else { return Ok(None) };
        let mut parts = CommitRefIter::from_bytes(&object.data, HASH);
        let tree = parts.tree_id().map_err(PromptFault::git("read a commit"))?;
        Ok(Some(Step { parent: parts.parent_ids().next(), tree }))
    }

    /// The commit that a ref's target means: itself, or what a tag of it names.
    pub(crate) fn peeled(&self, mut id: ObjectId) -> Result<Option<ObjectId>, PromptFault> {
        for _ in 0..8 {
            let header = self.git.try_find_header(id).map_err(PromptFault::git("read a ref's target"))?;
            match header.map(|h| h.kind()) {
                Some(Kind::Commit) => return Ok(Some(id)),
                Some(Kind::Tag) => {
                    let Some(tag) = self.object(id, Kind::Tag, OBJECT_BYTES)? else { return Ok(None) };
                    let target = gix::objs::TagRefIter::from_bytes(&tag.data, HASH).target_id();
                    id = target.map_err(PromptFault::git("read a tag"))?;
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The entry `name` of a tree, when it is a folder.
    fn folder_in(&self, tree: ObjectId, name: &str) -> Result<Option<ObjectId>, PromptFault> {
        let Some(object) = self.object(tree, Kind::Tree, OBJECT_BYTES)? else { return Ok(None) };
        for entry in TreeRefIter::from_bytes(&object.data, HASH) {
            let entry = entry.map_err(PromptFault::git("read a tree"))?;
            if entry.filename == name.as_bytes() {
                return Ok((entry.mode.kind() == EntryKind::Tree).then(|| entry.oid.to_owned()));
            }
        }
        Ok(None)
    }

    /// The folder of prompts of a commit's tree.
    pub(crate) fn prompts_tree(&self, root: ObjectId) -> Result<Option<ObjectId>, PromptFault> {
        let mut at = Some(root);
        for part in &self.owner.path {
            let Some(tree) = at else { break };
            at = self.folder_in(tree, part)?;
        }
        Ok(at)
    }

    /// The folder of one prompt of a commit's tree.
    pub(crate) fn prompt_tree(&self, root: ObjectId, name: &PromptName) -> Result<Option<ObjectId>, PromptFault> {
        let Some(prompts) = self.prompts_tree(root)? else { return Ok(None) };
        self.folder_in(prompts, name.as_str())
    }

    /// The folder of prompts as git stores it; empty where it is missing or too large.
    pub(crate) fn raw_prompts(&self, tree: Option<ObjectId>) -> Result<Vec<u8>, PromptFault> {
        let Some(tree) = tree else { return Ok(Vec::new()) };
        let object = self.object(tree, Kind::Tree, OBJECT_BYTES)?;
        Ok(object.map(|mut object| std::mem::take(&mut object.data)).unwrap_or_default())
    }

    /// The prompts of the folder of prompts, and what in it is none.
    pub(crate) fn prompts(
        &self,
        tree: Option<ObjectId>,
    ) -> Result<(BTreeMap<PromptName, ObjectId>, Vec<Skipped>), PromptFault> {
        let (mut found, mut skipped) = (BTreeMap::new(), Vec::new());
        let Some(tree) = tree else { return Ok((found, skipped)) };
        let Some(object) = self.object(tree, Kind::Tree, OBJECT_BYTES)? else {
            skipped.push(Skipped::new(self.owner.path.join("/"), "is missing, or larger than 8 MiB"));
            return Ok((found, skipped));
        };
        for entry in TreeRefIter::from_bytes(&object.data, HASH) {
            let entry = entry.map_err(PromptFault::git("read a tree"))?;
            let name = entry.filename.to_string();
            match (entry.mode.kind(), name.parse::<PromptName>()) {
                (EntryKind::Tree, Ok(name)) => drop(found.insert(name, entry.oid.to_owned())),
                (EntryKind::Tree, Err(why)) => {
                    skipped.push(Skipped::new(name.escape_debug().to_string(), why.to_string()));
                }
                (EntryKind::Link, _) => {
                    skipped
                        .push(Skipped::new(name.escape_debug().to_string(), "is a link, and links are not followed"));
                }
                (EntryKind::Commit, _) => {
                    skipped.push(Skipped::new(
                        name.escape_debug().to_string(),
                        "is a submodule, and submodules are not read",
                    ));
                }
                (EntryKind::Blob | EntryKind::BlobExecutable, _) => {}
            }
            skipped.truncate(1000);
        }
        Ok((found, skipped))
    }

    /// The files of a prompt's folder.
    pub(crate) fn folder(&self, tree: ObjectId) -> Result<Folder, PromptFault> {
        let mut folder = Folder::default();
        self.gather(tree, "", 0, &mut folder)?;
        Ok(folder)
    }

    fn gather(&self, tree: ObjectId, under: &str, depth: usize, folder: &mut Folder) -> Result<(), PromptFault> {
        let Some(object) = self.object(tree, Kind::Tree, OBJECT_BYTES)? else {
            folder.skip(under.to_owned(), "is missing, or too large");
            return Ok(());
        };
        for (seen, entry) in TreeRefIter::from_bytes(&object.data, HASH).enumerate() {
            if seen > 1000 {
                folder.skip(under.to_owned(), "has more than 1000 entries");
                break;
            }
            let entry = entry.map_err(PromptFault::git("read a tree"))?;
            let Ok(name) = std::str::from_utf8(entry.filename) else {
                folder.skip(under.to_owned(), "has a name that is not UTF-8");
                continue;
            };
            let path = if under.is_empty() { name.to_owned() } else { format!("{under}/{name}") };
            if tidegate_core::name::check(name).is_err() || name.contains('/') {
                folder.skip(path.escape_debug().to_string(), "has a name that no file of a prompt may have");
                continue;
            }
            match entry.mode.kind() {
                EntryKind::Tree if depth + 1 < DEPTH => self.gather(entry.oid.to_owned(), &path, depth + 1, folder)?,
                EntryKind::Tree => folder.skip(path, "lies too deep"),
                EntryKind::Link => folder.skip(path, "is a link, and links are not followed"),
                EntryKind::Commit => folder.skip(path, "is a submodule, and submodules are not read"),
                EntryKind::Blob | EntryKind::BlobExecutable => self.blob(entry.oid.to_owned(), path, folder)?,
            }
        }
        Ok(())
    }

    fn blob(&self, id: ObjectId, path: String, folder: &mut Folder) -> Result<(), PromptFault> {
        let header = self.git.try_find_header(id).map_err(PromptFault::git("read a file"))?;
        let Some(header) = header.filter(|h| h.kind() == Kind::Blob) else {
            folder.skip(path, "is missing");
            return Ok(());
        };
        match folder.room(header.size()) {
            Err(why) => folder.skip(path, why),
            Ok(()) => {
                let mut object = self.git.find_object(id).map_err(PromptFault::git("read a file"))?;
                folder.put(path, std::mem::take(&mut object.data));
            }
        }
        Ok(())
    }

    /// The whole message of a commit.
    pub(crate) fn message(&self, commit: CommitSha) -> Result<Option<String>, PromptFault> {
        let Some(object) = self.object(id_of(commit), Kind::Commit, OBJECT_BYTES)? else { return Ok(None) };
        let message = CommitRefIter::from_bytes(&object.data, HASH).message();
        Ok(Some(message.map_err(PromptFault::git("read a commit"))?.to_string()))
    }

    /// Who made a commit, when and why.
    pub(crate) fn note(&self, commit: CommitSha) -> Result<Option<CommitNote>, PromptFault> {
        let Some(object) = self.object(id_of(commit), Kind::Commit, OBJECT_BYTES)? else { return Ok(None) };
        let parts = || CommitRefIter::from_bytes(&object.data, HASH);
        let author = parts().author().map_err(PromptFault::git("read a commit"))?;
        let committer = parts().committer().map_err(PromptFault::git("read a commit"))?;
        let message = parts().message().map_err(PromptFault::git("read a commit"))?;
        Ok(Some(CommitNote {
            author: author.name.to_string(),
            email: author.email.to_string(),
            unix_s: committer.seconds(),
            message: without_trailer(&message.to_string()).chars().take(10_000).collect(),
        }))
    }
}
