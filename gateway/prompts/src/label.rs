//! Moving labels. Owns setting, deleting and rolling back, each with who and why in the label's reflog.

use crate::author::Author;
use crate::book::Entry;
use crate::fault::PromptFault;
use crate::labels::ref_of;
use crate::once::{done, was_made, without_mark};
use crate::refs::{Move, Moved, Reason, moves, shift};
use crate::repository::{View, id_of, sha_of};
use crate::store::PromptStore;
use serde::Serialize;
use tidegate_core::{CommitSha, PromptLabel, PromptName, PromptPick, PromptStamp};

/// How often a label that another program moves meanwhile is tried again.
const TRIES: usize = 8;

/// One move of a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelMove {
    /// The version before; `None` where there was none, or it is none of this prompt.
    pub from: Option<u32>,
    /// The version since; `None` where the label was deleted.
    pub to: Option<u32>,
    /// Who moved it.
    pub who: String,
    /// Seconds since 1970.
    pub unix_s: u64,
    /// Why.
    pub why: String,
}

impl PromptStore {
    /// Points a label to a version; returns when that is durable. Where the caller says which one it is `expected` to
    /// point to now (0: none), it must.
    ///
    /// # Errors
    /// When there is no such version, its prompt cannot be read, the label points to another than expected, or the
    /// repository is a mirror.
    pub fn set_label(
        &self,
        name: &PromptName,
        label: &PromptLabel,
        to: &PromptPick,
        (by, why): (&Author, &str),
        expected: Option<u32>,
    ) -> Result<PromptStamp, PromptFault> {
        self.write(|session, view| {
            let entry = session.state.book.entry(name)?;
            if let Some(done) = self.done_before(view, entry, label, by)? {
                return Ok(done);
            }
            let version = entry.pick(to)?;
            if let Err(PromptFault::Source(fault)) = self.prompt(version) {
                let says = format!("version {} of `{name}` could not be used: {fault}", version.n);
                return Err(PromptFault::invalid("version", says));
            }
            let now = entry.labels.get(label).copied().unwrap_or_default();
            if expected.is_some_and(|expected| expected != now) {
                return Err(PromptFault::Conflict(format!(
                    "`{label}` of `{name}` points to version {now} (0: none) now, which is not what you expected: look, \
                     and decide again"
                )));
            }
            let stamp = PromptStamp { name: name.clone(), n: version.n, sha: Some(version.sha) };
            let why = if why.is_empty() { format!("set to version {}", version.n) } else { why.to_owned() };
            self.point(view, name, label, version.sha, &self.reason(by, &why))?;
            Ok(stamp)
        })
    }

    /// Takes a label away; returns when that is durable.
    ///
    /// # Errors
    /// When there is none, it is a tag, or the repository is a mirror.
    pub fn delete_label(
        &self,
        name: &PromptName,
        label: &PromptLabel,
        by: &Author,
        why: &str,
    ) -> Result<(), PromptFault> {
        self.write(|session, view| {
            let entry = session.state.book.entry(name)?;
            if self.move_before(view, name, label, by)?.is_some() {
                return Ok(());
            }
            entry.pick_label(label)?;
            if self.remove_label(view, name, label, &self.reason(by, why))? {
                return Ok(());
            }
            Err(PromptFault::Conflict(format!(
                "the label `{label}` of `{name}` is a tag: delete the tag `prompts/{name}/{label}` in git"
            )))
        })
    }

    /// Points a label to the version that it was at before its last move.
    ///
    /// # Errors
    /// When it was at none.
    pub fn rollback(
        &self,
        name: &PromptName,
        label: &PromptLabel,
        by: &Author,
        why: &str,
    ) -> Result<PromptStamp, PromptFault> {
        self.write(|session, view| {
            let entry = session.state.book.entry(name)?;
            if let Some(done) = self.done_before(view, entry, label, by)? {
                return Ok(done);
            }
            let now = entry.pick_label(label)?;
            let sha_now = entry.version(now).map(|version| version.sha);
            let log = moves(self.repository.common(), &ref_of(name, label))?;
            let last = log.iter().rev().find(|m| m.to.is_some() && m.to == sha_now && m.from != m.to);
            let before =
                last.and_then(|m| m.from).and_then(|sha| entry.versions.iter().find(|v| v.sha == sha && !v.is_deleted));
            let Some(before) = before else {
                return Err(PromptFault::Conflict(format!(
                    "the label `{label}` of `{name}` was at no version before: set it to one"
                )));
            };
            let stamp = PromptStamp { name: name.clone(), n: before.n, sha: Some(before.sha) };
            let why = if why.is_empty() { format!("rollback from version {now}") } else { format!("rollback: {why}") };
            self.point(view, name, label, before.sha, &self.reason(by, &why))?;
            Ok(stamp)
        })
    }

    /// The moves of a label, oldest first; what a kill kept from taking effect is none.
    ///
    /// # Errors
    /// When there is no such prompt, or the log cannot be read.
    pub fn label_moves(&self, name: &PromptName, label: &PromptLabel) -> Result<Vec<LabelMove>, PromptFault> {
        let book = self.book();
        let entry = book.entry(name)?;
        let n = |sha: Option<CommitSha>| sha.and_then(|sha| entry.versions.iter().find(|v| v.sha == sha).map(|v| v.n));
        let log = moves(self.repository.common(), &ref_of(name, label))?;
        let now = self.repository.view().target(&ref_of(name, label))?.map(|id| sha_of(&id));
        let made = (0..log.len()).filter(|at| was_made(&log, *at, now)).filter_map(|at| log.get(at));
        Ok(made
            .map(|m| LabelMove {
                from: n(m.from),
                to: n(m.to),
                who: m.who.clone(),
                unix_s: m.unix_s,
                why: without_mark(&m.why).to_owned(),
            })
            .collect())
    }

    /// The move that the author's request made before, if it did.
    fn move_before(
        &self,
        view: &View<'_>,
        name: &PromptName,
        label: &PromptLabel,
        by: &Author,
    ) -> Result<Option<Move>, PromptFault> {
        let (Some(once), of) = (by.once(), ref_of(name, label)) else { return Ok(None) };
        let now = view.target(&of)?.map(|id| sha_of(&id));
        Ok(done(once, &moves(self.repository.common(), &of)?, now)?.cloned())
    }

    /// What that led to.
    fn done_before(
        &self,
        view: &View<'_>,
        entry: &Entry,
        label: &PromptLabel,
        by: &Author,
    ) -> Result<Option<PromptStamp>, PromptFault> {
        let sha = self.move_before(view, &entry.name, label, by)?.and_then(|one| one.to);
        let version = sha.and_then(|sha| entry.versions.iter().find(|version| version.sha == sha));
        Ok(version.map(|v| PromptStamp { name: entry.name.clone(), n: v.n, sha: Some(v.sha) }))
    }

    fn point(
        &self,
        view: &View<'_>,
        name: &PromptName,
        label: &PromptLabel,
        to: CommitSha,
        reason: &Reason,
    ) -> Result<(), PromptFault> {
        let of = ref_of(name, label);
        for attempt in 0..TRIES {
            let from = view.target(&of)?;
            if shift(view, self.repository.common(), &of, (from, Some(id_of(to))), reason, None)? == Moved::Done {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(2 << attempt));
        }
        Err(busy(name, label))
    }

    /// Deletes the ref of a label; whether there was one.
    pub(crate) fn remove_label(
        &self,
        view: &View<'_>,
        name: &PromptName,
        label: &PromptLabel,
        reason: &Reason,
    ) -> Result<bool, PromptFault> {
        let of = ref_of(name, label);
        for attempt in 0..TRIES {
            let Some(from) = view.target(&of)? else { return Ok(false) };
            if shift(view, self.repository.common(), &of, (Some(from), None), reason, None)? == Moved::Done {
                return Ok(true);
            }
            std::thread::sleep(std::time::Duration::from_millis(2 << attempt));
        }
        Err(busy(name, label))
    }
}

fn busy(name: &PromptName, label: &PromptLabel) -> PromptFault {
    PromptFault::Conflict(format!("another program keeps moving or locking the label `{label}` of `{name}`; try again"))
}
