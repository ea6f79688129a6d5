//! All prompts, their versions and labels at one moment: immutable once published, so that a look-up needs neither the
//! disk nor a lock. Owns what the journal's records mean and how a reference is resolved.

use crate::fault::PromptFault;
use crate::folder::Skipped;
use crate::history::{Change, Walked};
use crate::journal::Record;
use crate::once;
use crate::repository::sha_of;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tidegate_core::once::Once;
use tidegate_core::{CommitSha, PromptLabel, PromptName, PromptPick, PromptRef};

/// How many requests are known again that left no other trace.
const KNOWN: usize = 4096;

/// All prompts at one moment.
#[derive(Debug, Clone, Default)]
pub struct Book {
    pub(crate) entries: BTreeMap<PromptName, Arc<Entry>>,
    pub(crate) head: Option<CommitSha>,
    pub(crate) skipped: Arc<[Skipped]>,
    /// The newest requests that were done and left no other trace, the oldest first: `KEY CONTENT`.
    pub(crate) done: Arc<VecDeque<String>>,
}

/// One prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: PromptName,
    /// Its versions, the first first; deleted ones are still in it.
    pub versions: Vec<Version>,
    /// The number of the newest version; 0 where the folder is gone or was never there.
    pub newest: u32,
    /// When it was made without a version; `None` where it was not.
    pub created_unix_ms: Option<u64>,
    /// What it is for, where that was set beside the folder.
    pub description: Option<String>,
    /// Tags of the prompt.
    pub tags: BTreeMap<String, String>,
    /// Labels and the numbers of their versions.
    pub labels: BTreeMap<PromptLabel, u32>,
}

/// One version of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1.
    pub n: u32,
    /// Its commit.
    pub sha: CommitSha,
    /// Its folder's tree.
    pub(crate) tree: CommitSha,
    /// When it was committed, where that was here: its commit has seconds only.
    pub created_unix_ms: Option<u64>,
    /// Whether it was deleted; its number stays taken.
    pub is_deleted: bool,
    /// Its description, where that was set after the commit.
    pub description: Option<String>,
    /// Tags set or taken away (`None`) after the commit.
    pub tags: BTreeMap<String, Option<String>>,
}

impl Entry {
    fn new(name: PromptName) -> Self {
        Self {
            name,
            versions: Vec::new(),
            newest: 0,
            created_unix_ms: None,
            description: None,
            tags: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }

    /// Whether it is there: it has a newest version, or was made without one.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.created_unix_ms.is_some() || self.version(self.newest).is_some()
    }

    /// The version with this number, where it is not deleted.
    #[must_use]
    pub fn version(&self, n: u32) -> Option<&Version> {
        let at = usize::try_from(n).ok()?.checked_sub(1)?;
        self.versions.get(at).filter(|version| !version.is_deleted)
    }

    fn of_sha(&self, sha: CommitSha) -> Option<u32> {
        // The same commit is one version; the newest are asked for most.
        self.versions.iter().rev().find(|version| version.sha == sha).map(|version| version.n)
    }

    /// `n`, or where that was deleted the one before it that was not.
    fn standing(&self, n: u32) -> u32 {
        let is_deleted = |n: u32| n > 0 && n < self.next() && self.version(n).is_none();
        (1..=n).rev().find(|n| !is_deleted(*n)).unwrap_or(0)
    }

    fn next(&self) -> u32 {
        u32::try_from(self.versions.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The number that a label points to.
    ///
    /// # Errors
    /// When there is no such label; says which there are.
    pub fn pick_label(&self, label: &PromptLabel) -> Result<u32, PromptFault> {
        self.labels.get(label).copied().ok_or_else(|| {
            let known = self.labels.keys().map(PromptLabel::as_str).collect::<Vec<_>>().join(", ");
            let name = &self.name;
            PromptFault::NotFound(format!("the prompt `{name}` has no label `{label}`; it has {}", or_none(&known)))
        })
    }

    /// The version that is picked.
    ///
    /// # Errors
    /// When there is none; says what there is.
    pub fn pick(&self, pick: &PromptPick) -> Result<&Version, PromptFault> {
        let name = &self.name;
        let none = |why: String| PromptFault::NotFound(why);
        match pick {
            PromptPick::Newest => {
                self.version(self.newest).ok_or_else(|| none(format!("the prompt `{name}` has no version now")))
            }
            PromptPick::Number(n) => {
                self.version(*n).ok_or_else(|| none(format!("the prompt `{name}` has no version {n}")))
            }
            PromptPick::Label(label) => {
                let n = self.pick_label(label)?;
                self.version(n).ok_or_else(|| none(format!("the label `{label}` of `{name}` is at a deleted version")))
            }
            PromptPick::Commit(digits) => {
                let mut found =
                    self.versions.iter().filter(|v| !v.is_deleted && v.sha.to_string().starts_with(&**digits));
                match (found.next(), found.next()) {
                    (Some(version), None) => Ok(version),
                    (None, _) => Err(none(format!("no version of `{name}` is the commit {digits}"))),
                    _ => Err(PromptFault::invalid(
                        "id",
                        format!("more than one version of `{name}` begins with {digits}: write more digits"),
                    )),
                }
            }
            PromptPick::Dev => Err(none(format!("`{name}@dev` is no version"))),
        }
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

impl Book {
    /// The commit that it was read at.
    #[must_use]
    pub fn head(&self) -> Option<CommitSha> {
        self.head
    }

    /// What in the repository was not read, and why.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The prompts that are there, by name.
    pub fn prompts(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values().filter(|entry| entry.is_live())
    }

    /// A prompt, which may be gone from the branch while its versions are still there.
    ///
    /// # Errors
    /// When there never was one.
    pub fn entry(&self, name: &PromptName) -> Result<&Arc<Entry>, PromptFault> {
        let known = |entry: &&Arc<Entry>| entry.is_live() || entry.versions.iter().any(|version| !version.is_deleted);
        let found = self.entries.get(name).filter(known);
        found.ok_or_else(|| PromptFault::NotFound(format!("there is no prompt `{name}`")))
    }

    /// The version that a reference means.
    ///
    /// # Errors
    /// When there is none; says what there is.
    pub fn find(&self, reference: &PromptRef) -> Result<&Version, PromptFault> {
        self.entry(&reference.name)?.pick(&reference.pick)
    }

    fn at(&mut self, name: &PromptName) -> &mut Entry {
        let entry = self.entries.entry(name.clone()).or_insert_with(|| Arc::new(Entry::new(name.clone())));
        Arc::make_mut(entry)
    }

    fn version_at(&mut self, name: &PromptName, n: u32) -> Option<&mut Version> {
        let at = usize::try_from(n).ok()?.checked_sub(1)?;
        self.at(name).versions.get_mut(at)
    }

    /// Applies what the journal says.
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Version { name, n, sha, tree, aside, unix_ms } => {
                let entry = self.at(name);
                if entry.next() != *n {
                    // Two journals were put together by hand: what came first stands.
                    tracing::error!(%name, n, "the journal of prompts names a version out of turn; it is left out");
                    return;
                }
                let version = Version {
                    n: *n,
                    sha: *sha,
                    tree: *tree,
                    created_unix_ms: *unix_ms,
                    is_deleted: false,
                    description: None,
                    tags: BTreeMap::new(),
                };
                entry.versions.push(version);
                if !aside {
                    entry.newest = *n;
                }
            }
            Record::Current { name, n } => self.at(name).newest = *n,
            Record::Head(sha) => self.head = Some(*sha),
            Record::Created { name, unix_ms } => self.at(name).created_unix_ms = Some(*unix_ms),
            Record::Described { name, n: None, text } => self.at(name).description.clone_from(text),
            Record::Described { name, n: Some(n), text } => {
                if let Some(version) = self.version_at(name, *n) {
                    version.description.clone_from(text);
                }
            }
            Record::Tagged { name, n: None, tags } => {
                let entry = self.at(name);
                for (key, value) in tags {
                    match value {
                        Some(value) => drop(entry.tags.insert(key.clone(), value.clone())),
                        None => drop(entry.tags.remove(key)),
                    }
                }
            }
            Record::Tagged { name, n: Some(n), tags } => {
                if let Some(version) = self.version_at(name, *n) {
                    version.tags.extend(tags.clone());
                }
            }
            Record::DeletedVersion { name, n } => {
                if let Some(version) = self.version_at(name, *n) {
                    version.is_deleted = true;
                }
                let entry = self.at(name);
                if entry.newest == *n {
                    // The one before is the newest then, as a list of versions would show it.
                    entry.newest = entry.standing(*n);
                    entry.created_unix_ms = entry.created_unix_ms.or(Some(0));
                }
            }
            Record::DeletedPrompt { name } => {
                let entry = self.at(name);
                entry.versions.iter_mut().for_each(|version| version.is_deleted = true);
                (entry.newest, entry.created_unix_ms, entry.description) = (0, None, None);
                entry.tags.clear();
            }
            Record::Done { key, content } => {
                let done = Arc::make_mut(&mut self.done);
                done.push_back(format!("{key} {content}"));
                if done.len() > KNOWN {
                    done.pop_front();
                }
            }
            Record::Together(records) => records.iter().for_each(|record| self.apply(record)),
        }
    }

    /// Whether a request that leaves its trace in the journal was done before.
    ///
    /// # Errors
    /// Its key was sent with another content.
    pub(crate) fn was_done(&self, once: &Once) -> Result<bool, PromptFault> {
        self.done
            .iter()
            .rev()
            .map(|said| once::is_it(once, said))
            .find(|is| !matches!(is, Ok(false)))
            .unwrap_or(Ok(false))
    }

    /// The records that bring the book to what a walk found; the last says to where. `own` is the commit that was made
    /// here just now, and when.
    pub(crate) fn follow(&self, walked: &Walked, head: CommitSha, own: Option<(CommitSha, u64)>) -> Vec<Record> {
        let mut records = Vec::new();
        // The newest version of each prompt as the walk goes, and as the records so far would have it.
        let mut walk: BTreeMap<&PromptName, u32> = BTreeMap::new();
        let mut said: BTreeMap<&PromptName, u32> = BTreeMap::new();
        let mut next: BTreeMap<&PromptName, u32> = BTreeMap::new();
        let mut new: BTreeMap<(&PromptName, CommitSha), u32> = BTreeMap::new();
        for (name, entry) in &self.entries {
            said.insert(name, entry.newest);
            next.insert(name, entry.next());
            walk.insert(name, if walked.follows { entry.newest } else { 0 });
        }
        for Change { name, commit, tree } in &walked.changes {
            let sha = sha_of(commit);
            let Some(tree) = tree else {
                walk.insert(name, 0);
                continue;
            };
            let known = self.entries.get(name).and_then(|entry| entry.of_sha(sha));
            if let Some(n) = known.or_else(|| new.get(&(name, sha)).copied()) {
                // Found before, on another way or by a label.
                walk.insert(name, n);
                continue;
            }
            let n = next.entry(name).or_insert(1);
            let unix_ms = own.filter(|(own, _)| *own == sha).map(|(_, unix_ms)| unix_ms);
            let tree = sha_of(tree);
            records.push(Record::Version { name: name.clone(), n: *n, sha, tree, aside: false, unix_ms });
            new.insert((name, sha), *n);
            walk.insert(name, *n);
            said.insert(name, *n);
            *n += 1;
        }
        for (name, n) in walk {
            let n = self.entries.get(name).map_or(n, |entry| entry.standing(n));
            if said.get(name).copied().unwrap_or(0) != n {
                records.push(Record::Current { name: name.clone(), n });
            }
        }
        records.push(Record::Head(head));
        records
    }

    /// The record of a version that a label means, where it is not known yet; and its number.
    pub(crate) fn aside(&self, name: &PromptName, sha: CommitSha, tree: CommitSha) -> (u32, Option<Record>) {
        let entry = self.entries.get(name);
        if let Some(n) = entry.and_then(|entry| entry.of_sha(sha)) {
            return (n, None);
        }
        let n = entry.map_or(1, |entry| entry.next());
        (n, Some(Record::Version { name: name.clone(), n, sha, tree, aside: true, unix_ms: None }))
    }

    pub(crate) fn set_labels(&mut self, labels: BTreeMap<PromptName, BTreeMap<PromptLabel, u32>>) {
        let mut labels = labels;
        let names: Vec<PromptName> = self.entries.keys().cloned().collect();
        for name in names {
            let new = labels.remove(&name).unwrap_or_default();
            if self.entries.get(&name).is_some_and(|entry| entry.labels != new) {
                self.at(&name).labels = new;
            }
        }
    }
}
