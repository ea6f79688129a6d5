//! Moving labels. Owns setting, deleting and rolling back, each with who and why in the label's reflog.

use crate::author::Author;
use crate::fault::PromptFault;
use crate::labels::ref_of;
use crate::refs::{Moved, Reason, moves, shift};
use crate::repository::{View, id_of};
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
    /// Points a label to a version; returns when that is durable.
    ///
    /// # Errors
    /// When there is no such version, or the repository is a mirror.
    pub fn set_label(
        &self,
        name: &PromptName,
        label: &PromptLabel,
        to: &PromptPick,
        by: &Author,
        why: &str,
    ) -> Result<PromptStamp, PromptFault> {
        self.write(|session, view| {
            let version = session.state.book.entry(name)?.pick(to)?;
            let stamp = PromptStamp { name: name.clone(), n: version.n, sha: Some(version.sha) };
            self.point(view, name, label, version.sha, &self.reason(by, why))?;
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
            session.state.book.entry(name)?.pick_label(label)?;
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

    /// The moves of a label, oldest first.
    ///
    /// # Errors
    /// When there is no such prompt, or the log cannot be read.
    pub fn label_moves(&self, name: &PromptName, label: &PromptLabel) -> Result<Vec<LabelMove>, PromptFault> {
        let book = self.book();
        let entry = book.entry(name)?;
        let n = |sha: Option<CommitSha>| sha.and_then(|sha| entry.versions.iter().find(|v| v.sha == sha).map(|v| v.n));
        let log = moves(self.repository.common(), &ref_of(name, label))?;
        Ok(log
            .into_iter()
            .map(|m| LabelMove { from: n(m.from), to: n(m.to), who: m.who, unix_s: m.unix_s, why: m.why })
            .collect())
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
