//! New versions and what is kept beside them. Owns the order that makes a write durable before it is acknowledged:
//! objects, then the branch by compare-and-swap, then the number in the journal.

use crate::author::Author;
use crate::book::Entry;
use crate::draft::Draft;
use crate::fault::PromptFault;
use crate::folder::{Folder, PROMPT_FILE};
use crate::journal::Record;
use crate::objects::Staging;
use crate::once::{is_in_message, with_mark, with_trailer};
use crate::refs::{Moved, Reason, shift};
use crate::repository::{View, sha_of};
use crate::source::PromptSource;
use crate::store::{PromptStore, Session};
use crate::template::Prompt;
use gix::ObjectId;
use gix::objs::Kind;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_core::once::Once;
use tidegate_core::{PromptName, PromptPick, PromptStamp};

/// How often a branch that another program moves meanwhile is tried again, and the first wait.
const TRIES: u32 = 12;
const WAIT: Duration = Duration::from_millis(2);
/// Among how many of the newest versions a request is known again.
const KNOWN: usize = 100;

/// What a commit does to a prompt's folder.
enum Edit<'a> {
    Put(&'a Draft),
    Remove,
}

impl PromptStore {
    fn check_writable(&self) -> Result<(), PromptFault> {
        if self.options.is_writable {
            return Ok(());
        }
        let why =
            "these prompts come from a remote repository, which the gateway does not write to: commit and push there";
        Err(PromptFault::Conflict(why.into()))
    }

    /// Takes the locks, catches up, does the work and publishes it.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&mut Session<'_>, &View<'_>) -> Result<T, PromptFault>,
    ) -> Result<T, PromptFault> {
        self.check_writable()?;
        let mut session = self.session()?;
        let view = self.repository.view();
        self.catch_up(&mut session.state, &view)?;
        let done = work(&mut session, &view)?;
        self.catch_up(&mut session.state, &view)?;
        Ok(done)
    }

    /// Writes records that have no place in git, once where the request has a key.
    fn note_down(
        &self,
        once: Option<&Once>,
        check: impl FnOnce(&Session<'_>) -> Result<Vec<Record>, PromptFault>,
    ) -> Result<(), PromptFault> {
        self.write(|session, _| {
            if let Some(once) = once
                && session.state.book.was_done(once)?
            {
                return Ok(());
            }
            let records = check(session)?;
            noted(session, records, once)
        })
    }

    /// Makes a prompt without a version.
    ///
    /// # Errors
    /// When there is one of that name.
    pub fn create(
        &self,
        name: &PromptName,
        description: Option<&str>,
        tags: &BTreeMap<String, String>,
        once: Option<&Once>,
    ) -> Result<(), PromptFault> {
        self.note_down(once, |session| {
            if session.state.book.entries.get(name).is_some_and(|entry| entry.is_live()) {
                return Err(PromptFault::Conflict(format!("there is a prompt `{name}` already")));
            }
            let name = name.clone();
            let tags = tags.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
            let text = description.map(str::to_owned);
            Ok(vec![
                Record::Created { name: name.clone(), unix_ms: self.options.clock.unix_ms() },
                Record::Described { name: name.clone(), n: None, text },
                Record::Tagged { name, n: None, tags },
            ])
        })
    }

    /// Describes a prompt, or a version of it, without a new version.
    ///
    /// # Errors
    /// When there is none.
    pub fn describe(
        &self,
        name: &PromptName,
        n: Option<u32>,
        text: Option<&str>,
        once: Option<&Once>,
    ) -> Result<(), PromptFault> {
        self.note_down(once, |session| {
            check_there(session, name, n)?;
            Ok(vec![Record::Described { name: name.clone(), n, text: text.map(str::to_owned) }])
        })
    }

    /// Sets tags, or takes them away (`None`), of a prompt or of a version of it, without a new version.
    ///
    /// # Errors
    /// When there is none.
    pub fn tag(
        &self,
        name: &PromptName,
        n: Option<u32>,
        tags: &BTreeMap<String, Option<String>>,
        once: Option<&Once>,
    ) -> Result<(), PromptFault> {
        self.note_down(once, |session| {
            check_there(session, name, n)?;
            Ok(vec![Record::Tagged { name: name.clone(), n, tags: tags.clone() }])
        })
    }

    /// Deletes a version: it stays in git, its number is not used again.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete_version(&self, name: &PromptName, n: u32, once: Option<&Once>) -> Result<(), PromptFault> {
        self.note_down(once, |session| {
            check_there(session, name, Some(n))?;
            Ok(vec![Record::DeletedVersion { name: name.clone(), n }])
        })
    }

    /// Deletes a prompt: its folder by a commit, its versions and labels with it.
    ///
    /// # Errors
    /// When there is none, or git cannot be written.
    pub fn delete(&self, name: &PromptName, by: &Author) -> Result<(), PromptFault> {
        self.write(|session, view| {
            if let Some(once) = by.once()
                && session.state.book.was_done(once)?
            {
                return Ok(());
            }
            check_there(session, name, None)?;
            self.commit(session, view, name, &Edit::Remove, (by, "")).map(drop)?;
            let labels: Vec<_> =
                session.state.book.entries.get(name).iter().flat_map(|e| e.labels.keys().cloned()).collect();
            for label in labels {
                self.remove_label(view, name, &label, &self.reason(by, "the prompt was deleted"))?;
            }
            noted(session, vec![Record::DeletedPrompt { name: name.clone() }], by.once())
        })
    }

    /// Writes a version as a commit; returns when it is durable and has its number. A request that was done under its key
    /// before is not done again, and answers as it did.
    ///
    /// # Errors
    /// When the draft is wrong, the repository is a mirror, git cannot be written, or the key was sent with another
    /// content.
    pub fn register(
        &self,
        name: &PromptName,
        draft: &Draft,
        by: &Author,
        message: &str,
    ) -> Result<PromptStamp, PromptFault> {
        check(draft)?;
        self.write(|session, view| {
            let edit = Edit::Put(draft);
            let mut message = said(message, &edit, name);
            if let Some(once) = by.once() {
                if let Some(done) = done_before(session, view, name, once)? {
                    return Ok(done);
                }
                message = with_trailer(&message, once);
            }
            let commit = self.commit(session, view, name, &edit, (by, &message))?;
            let commit = commit.ok_or_else(|| PromptFault::Conflict("the commit changed nothing".into()))?;
            // What another process committed right behind may be the newest by now; this one is asked for by its sha.
            let entry = session.state.book.entry(name)?;
            let version = entry.pick(&PromptPick::Commit(commit.to_string().into()))?;
            Ok(PromptStamp { name: name.clone(), n: version.n, sha: Some(version.sha) })
        })
    }

    /// Commits an edit of one folder; `None` where it changes nothing. The book is caught up after.
    fn commit(
        &self,
        session: &mut Session<'_>,
        view: &View<'_>,
        name: &PromptName,
        edit: &Edit<'_>,
        (by, message): (&Author, &str),
    ) -> Result<Option<ObjectId>, PromptFault> {
        let common = self.repository.common();
        for attempt in 0..TRIES {
            let (branch, head) = view.head()?;
            if !branch.starts_with("refs/heads/") {
                let why = "the repository's HEAD is on no branch: check one out, or name one in `prompts.branch`";
                return Err(PromptFault::Conflict(why.into()));
            }
            let root = head.map(|head| view.step(head)).transpose()?.flatten().map(|step| step.tree);
            let old = root.map(|root| view.prompt_tree(root, name)).transpose()?.flatten();
            let mut staging = Staging::new(view, common)?;
            let new = match edit {
                Edit::Remove if old.is_none() => return Ok(None),
                Edit::Remove => None,
                Edit::Put(draft) => Some(self.put(&mut staging, session, view, name, draft, old)?),
            };
            let mut path: Vec<&str> = self.repository.path().iter().map(String::as_str).collect();
            path.push(name.as_str());
            let tree = staging.with(root, &path, new)?;
            let text = commit_text(tree, head, by, self.unix_s(), &said(message, edit, name));
            let commit = staging.put(Kind::Commit, text.as_bytes())?;
            staging.publish()?;
            let why = format!("commit: {}", said(message, edit, name).lines().next().unwrap_or_default());
            let is_head = view.is_checked_out(&branch);
            let git = is_head.then(|| self.repository.git());
            if shift(view, common, &branch, (head, Some(commit)), &self.reason(by, &why), git)? == Moved::Done {
                if is_head {
                    self.check_out(view, name, (old, new));
                }
                session.state.own = Some((sha_of(&commit), self.options.clock.unix_ms()));
                self.catch_up(&mut session.state, view)?;
                return Ok(Some(commit));
            }
            std::thread::sleep(WAIT * (attempt + 1));
        }
        Err(PromptFault::Conflict("another program keeps moving or locking the branch; try again".into()))
    }

    fn put(
        &self,
        staging: &mut Staging<'_>,
        session: &Session<'_>,
        view: &View<'_>,
        name: &PromptName,
        draft: &Draft,
        old: Option<ObjectId>,
    ) -> Result<ObjectId, PromptFault> {
        let before = old.map(|old| view.folder(old)).transpose()?.and_then(|folder| PromptSource::read(&folder).ok());
        let mut draft = draft.clone();
        if let Some(before) = before {
            draft.description = draft.description.or(before.description);
            draft.tests = draft.tests.or(Some(before.tests));
        }
        let mut files = draft.files();
        let tree = staging.folder(&files)?;
        if old != Some(tree) {
            return Ok(tree);
        }
        // The same again is a version of its own, as who registers it expects; so its folder must differ.
        let next = session.state.book.entries.get(name).map_or(1, |entry| entry.versions.len() + 1);
        if let Some(yaml) = files.get_mut(PROMPT_FILE) {
            yaml.push_str(&format!("# registered again as version {next}\n"));
        }
        staging.folder(&files)
    }

    pub(crate) fn reason(&self, by: &Author, why: &str) -> Reason {
        let why: String = why.chars().take(500).collect();
        let why = by.once().map_or_else(|| why.clone(), |once| with_mark(&why, once));
        Reason { who: by.line(), unix_s: self.unix_s(), why }
    }
}

fn check_there(session: &Session<'_>, name: &PromptName, n: Option<u32>) -> Result<(), PromptFault> {
    let entry: &Entry = session.state.book.entry(name)?;
    n.map_or(Ok(()), |n| entry.pick(&PromptPick::Number(n)).map(drop))
}

/// Writes records down, in one stroke with the request that they are of.
fn noted(session: &mut Session<'_>, mut records: Vec<Record>, once: Option<&Once>) -> Result<(), PromptFault> {
    if let Some(once) = once {
        records.push(Record::Done { key: once.key(), content: once.content() });
        records = vec![Record::Together(records)];
    }
    session.state.journal.append(&records)?;
    records.iter().for_each(|record| session.state.book.apply(record));
    Ok(())
}

/// What is wrong with a draft, by the field that it was given in.
fn check(draft: &Draft) -> Result<(), PromptFault> {
    let folder = Folder::of(draft.files());
    if let Some(skipped) = folder.skipped().first() {
        return Err(PromptFault::invalid("template", format!("{} {}", skipped.path, skipped.why)));
    }
    Prompt::compile(&folder).map(drop).map_err(|fault| PromptFault::invalid("template", fault))
}

/// The version that was written by the same request, among the newest ones.
fn done_before(
    session: &Session<'_>,
    view: &View<'_>,
    name: &PromptName,
    once: &Once,
) -> Result<Option<PromptStamp>, PromptFault> {
    let Ok(entry) = session.state.book.entry(name) else { return Ok(None) };
    for version in entry.versions.iter().rev().take(KNOWN) {
        let Some(message) = view.message(version.sha)? else { continue };
        if is_in_message(once, &message)? {
            return Ok(Some(PromptStamp { name: name.clone(), n: version.n, sha: Some(version.sha) }));
        }
    }
    Ok(None)
}

fn said(message: &str, edit: &Edit<'_>, name: &PromptName) -> String {
    let message: String = message.chars().filter(|c| *c != '\0').take(10_000).collect();
    match edit {
        _ if !message.trim().is_empty() => message,
        Edit::Put(_) => crate::shelf::unsaid(name),
        Edit::Remove => format!("prompt {name}: deleted"),
    }
}

fn commit_text(tree: ObjectId, parent: Option<ObjectId>, by: &Author, unix_s: u64, message: &str) -> String {
    let parent = parent.map(|parent| format!("parent {}\n", sha_of(&parent))).unwrap_or_default();
    let who = by.line();
    let end = if message.ends_with('\n') { "" } else { "\n" };
    format!("tree {tree}\n{parent}author {who} {unix_s} +0000\ncommitter {who} {unix_s} +0000\n\n{message}{end}")
}

#[cfg(test)]
mod tests;
