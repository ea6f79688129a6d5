//! The prompts of one repository as the program holds them. Owns opening, catching up with what git and other
//! processes did, and the snapshot that calls read; writing is in `write` and `label`.

use crate::book::{Book, Version};
use crate::cache::{Cache, Compiled};
use crate::disk::{Held, inside, lock};
use crate::fault::PromptFault;
use crate::folder::Folder;
use crate::history::{newest, walk};
use crate::journal::Journal;
use crate::labels;
use crate::refs::{OURS, Reason, recover, shift};
use crate::repository::{CommitNote, Repository, View, id_of, sha_of};
use crate::template::Prompt;
use arc_swap::ArcSwap;
use gix::ObjectId;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_core::clock::SystemClock;
use tidegate_core::{Clock, CommitSha, PromptLabel, PromptName, PromptPick, PromptRef};

/// How often the labels are read although nothing seems to have moved.
const LOOK_ANYWAY: u32 = 20;

/// Where prompts lie in a repository and what may be done with them.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of prompts in the repository.
    pub path: String,
    /// The branch that is followed and written; `None` for the one that `HEAD` names.
    pub branch: Option<String>,
    /// Whether this gateway writes here; not to a mirror of a remote repository.
    pub is_writable: bool,
    /// Whether `@dev` reads the work tree.
    pub has_dev: bool,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self { path: "prompts".into(), branch: None, is_writable: true, has_dev: false, clock: Arc::new(SystemClock) }
    }
}

/// The prompts of a repository.
#[derive(Debug)]
pub struct PromptStore {
    pub(crate) repository: Repository,
    pub(crate) options: Options,
    book: ArcSwap<Book>,
    cache: Cache,
    state: Mutex<State>,
}

/// What one thread at a time works on.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) book: Book,
    pub(crate) journal: Journal,
    /// Versions that labels mean, by prompt and target.
    meant: HashMap<(PromptName, ObjectId), u32>,
    seen: Option<(u64, i64)>,
    looks: u32,
    /// The last commit that was made here, and when.
    pub(crate) own: Option<(CommitSha, u64)>,
}

/// The state with the lock against other processes.
pub(crate) struct Session<'a> {
    pub(crate) state: MutexGuard<'a, State>,
    _held: Held,
}

/// Makes an empty bare repository in `folder`.
///
/// # Errors
/// When the folder is not empty, or cannot be written.
pub fn init(folder: &Path) -> Result<(), PromptFault> {
    std::fs::create_dir_all(folder).map_err(PromptFault::io("make the folder", folder))?;
    gix::init_bare(folder).map(drop).map_err(PromptFault::git("make the repository"))
}

impl PromptStore {
    /// Opens the bare or work-tree repository in `folder` and reads its prompts.
    ///
    /// # Errors
    /// When there is none, or it cannot be read, or its git folder cannot be written.
    pub fn open(folder: &Path, options: Options) -> Result<Self, PromptFault> {
        let repository = Repository::open(folder, &options.path, options.branch.as_deref())?;
        let (held, journal) = {
            let held = lock(&inside(repository.common(), &format!("{OURS}/lock"))?)?;
            recover(repository.common())?;
            (held, Journal::open(&inside(repository.common(), &format!("{OURS}/prompts.journal"))?)?)
        };
        drop(held);
        let state = State { book: Book::default(), journal, meant: HashMap::new(), seen: None, looks: 0, own: None };
        let store =
            Self { repository, options, book: ArcSwap::default(), cache: Cache::default(), state: Mutex::new(state) };
        store.refresh()?;
        Ok(store)
    }

    /// All prompts as they are now: no I/O.
    #[must_use]
    pub fn book(&self) -> Arc<Book> {
        self.book.load_full()
    }

    /// Looks whether the repository changed and takes in what did; says whether anything was read. Cheap where nothing
    /// changed: call it each half second. Blocks on the disk.
    ///
    /// # Errors
    /// When the repository cannot be read; the last good book stays.
    pub fn refresh(&self) -> Result<bool, PromptFault> {
        let view = self.repository.view();
        {
            let mut state = self.state();
            let signature = labels::signature(self.repository.common());
            let now = i64::try_from(self.options.clock.unix_ms() / 1000).unwrap_or(i64::MAX);
            let is_settled = state.seen == Some(signature) && signature.1 + 2 < now;
            state.looks += 1;
            if is_settled && !state.looks.is_multiple_of(LOOK_ANYWAY) && !state.journal.has_news() {
                let head = view.head()?.1.map(|id| sha_of(&id));
                if head.is_none() || head == state.book.head {
                    return Ok(false);
                }
            }
        }
        let mut session = self.session()?;
        self.catch_up(&mut session.state, &view)?;
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes both locks.
    pub(crate) fn session(&self) -> Result<Session<'_>, PromptFault> {
        let state = self.state();
        let held = lock(&inside(self.repository.common(), &format!("{OURS}/lock"))?)?;
        Ok(Session { state, _held: held })
    }

    /// Brings the book up to what the journal, the branch and the labels say, and publishes it.
    pub(crate) fn catch_up(&self, state: &mut State, view: &View<'_>) -> Result<(), PromptFault> {
        // Before the refs are read: what moves meanwhile is seen the next time.
        let signature = labels::signature(self.repository.common());
        self.read_journal(state)?;
        if let Some(head) = view.head()?.1 {
            let head =
                view.peeled(head)?.ok_or_else(|| PromptFault::Conflict("the branch points to no commit".into()))?;
            let last = state.book.head.map(id_of);
            if last != Some(head) {
                let walked = walk(view, head, last)?;
                if let (false, Some(last)) = (walked.follows, last) {
                    self.keep(view, last);
                }
                let records = state.book.follow(&walked, sha_of(&head), state.own);
                state.journal.append(&records)?;
                records.iter().for_each(|record| state.book.apply(record));
            }
        }
        let mut skipped = Vec::new();
        if let Some(head) = state.book.head
            && let Some(step) = view.step(id_of(head))?
        {
            skipped = view.prompts(view.prompts_tree(step.tree)?)?.1;
        }
        let (targets, unread) = labels::read(view)?;
        skipped.extend(unread);
        let labels = self.mean(state, view, targets, &mut skipped)?;
        state.book.set_labels(labels);
        state.book.skipped = skipped.into();
        state.seen = Some(signature);
        self.book.store(Arc::new(state.book.clone()));
        Ok(())
    }

    fn read_journal(&self, state: &mut State) -> Result<(), PromptFault> {
        let records = match state.journal.read()? {
            Some(records) => records,
            None => {
                (state.book, state.meant) = (Book::default(), HashMap::new());
                state.journal.read()?.unwrap_or_default()
            }
        };
        records.iter().for_each(|record| state.book.apply(record));
        Ok(())
    }

    /// Keeps git from throwing the versions of a rewritten history away.
    fn keep(&self, view: &View<'_>, old: ObjectId) {
        if !self.options.is_writable || !matches!(view.step(old), Ok(Some(_))) {
            return;
        }
        let why = "kept: the history of the prompts was rewritten".to_owned();
        let reason = Reason { who: "tidegate <tidegate@localhost>".into(), unix_s: self.unix_s(), why };
        let name = format!("refs/tidegate/kept/{old}");
        if let Err(fault) = shift(view, self.repository.common(), &name, (None, Some(old)), &reason, None) {
            tracing::warn!(%fault, "versions of a rewritten history may be lost at git's next clean-up");
        }
    }

    pub(crate) fn unix_s(&self) -> u64 {
        self.options.clock.unix_ms() / 1000
    }

    /// The numbers that labels mean; versions that no walk found yet are recorded.
    fn mean(
        &self,
        state: &mut State,
        view: &View<'_>,
        targets: labels::Targets,
        skipped: &mut Vec<crate::Skipped>,
    ) -> Result<BTreeMap<PromptName, BTreeMap<PromptLabel, u32>>, PromptFault> {
        let mut labels: BTreeMap<PromptName, BTreeMap<PromptLabel, u32>> = BTreeMap::new();
        for ((name, label), target) in targets {
            let key = (name.clone(), target);
            let n = match state.meant.get(&key) {
                Some(n) => *n,
                None => match self.meant(state, view, &name, target)? {
                    Some(n) => n,
                    None => {
                        let why = "points to no commit that has the prompt's folder";
                        skipped.push(crate::Skipped::new(labels::ref_of(&name, &label), why));
                        continue;
                    }
                },
            };
            state.meant.insert(key, n);
            labels.entry(name).or_default().insert(label, n);
        }
        Ok(labels)
    }

    fn meant(
        &self,
        state: &mut State,
        view: &View<'_>,
        name: &PromptName,
        target: ObjectId,
    ) -> Result<Option<u32>, PromptFault> {
        let known = state.book.entries.get(name);
        if let Some(version) = known.and_then(|e| e.versions.iter().find(|v| id_of(v.sha) == target)) {
            return Ok(Some(version.n));
        }
        let Some(commit) = view.peeled(target)? else { return Ok(None) };
        let Some((commit, tree)) = newest(view, commit, name)? else { return Ok(None) };
        let (n, record) = state.book.aside(name, sha_of(&commit), sha_of(&tree));
        if let Some(record) = record {
            state.journal.append(std::slice::from_ref(&record))?;
            state.book.apply(&record);
        }
        Ok(Some(n))
    }

    /// The files of a version.
    ///
    /// # Errors
    /// When git cannot read them.
    pub fn files(&self, version: &Version) -> Result<Folder, PromptFault> {
        self.repository.view().folder(id_of(version.tree))
    }

    /// The compiled prompt of a version; read from git at its first use.
    ///
    /// # Errors
    /// When git cannot read it, or its files are wrong.
    pub fn prompt(&self, version: &Version) -> Result<Arc<Prompt>, PromptFault> {
        if let Some(compiled) = self.cache.get(version.tree) {
            return Ok(compiled?);
        }
        let folder = self.files(version)?;
        let compiled: Compiled = Prompt::compile(&folder).map(Arc::new);
        self.cache.put(version.tree, compiled.clone());
        Ok(compiled?)
    }

    /// Who made a version, when and why.
    ///
    /// # Errors
    /// When git cannot read its commit.
    pub fn note(&self, sha: CommitSha) -> Result<Option<CommitNote>, PromptFault> {
        self.repository.view().note(sha)
    }

    /// The files that a reference means, `@dev` included.
    pub(crate) fn files_of(&self, reference: &PromptRef) -> Result<Folder, PromptFault> {
        if reference.pick == PromptPick::Dev {
            return self.dev_files(&reference.name);
        }
        self.files(self.book().find(reference)?)
    }
}

#[cfg(test)]
mod tests;
