//! The first-parent history of the folder of prompts. Owns the walk: which commit changed which prompt's folder.

use crate::fault::PromptFault;
use crate::repository::View;
use gix::ObjectId;
use gix::objs::TreeRefIter;
use gix::objs::tree::{EntryKind, EntryRef};
use std::cmp::Ordering;
use tidegate_core::PromptName;

/// What a commit did to a prompt's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) name: PromptName,
    pub(crate) commit: ObjectId,
    /// The folder since then; `None` where it is gone.
    pub(crate) tree: Option<ObjectId>,
}

/// All changes up to a commit.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Oldest first.
    pub(crate) changes: Vec<Change>,
    /// Whether they follow on the commit to stop at; else they are all that there ever were.
    pub(crate) follows: bool,
}

/// Walks from `head` to `stop`, or to the beginning where `stop` is not on the way.
pub(crate) fn walk(view: &View<'_>, head: ObjectId, stop: Option<ObjectId>) -> Result<Walked, PromptFault> {
    let mut way: Vec<(ObjectId, Option<ObjectId>)> = Vec::new();
    let (mut at, mut follows) = (Some(head), false);
    // A tree that repeats needs no second look for the folder in it.
    let mut last: Option<(ObjectId, Option<ObjectId>)> = None;
    while let Some(commit) = at {
        if stop == Some(commit) {
            follows = true;
            break;
        }
        // Missing: the border of a shallow clone.
        let Some(step) = view.step(commit)? else { break };
        let prompts = match last {
            Some((root, prompts)) if root == step.tree => prompts,
            _ => view.prompts_tree(step.tree)?,
        };
        last = Some((step.tree, prompts));
        way.push((commit, prompts));
        at = step.parent;
    }
    let mut tree = None;
    if follows && let Some(step) = stop.map(|stop| view.step(stop)).transpose()?.flatten() {
        tree = view.prompts_tree(step.tree)?;
    }
    let mut before = view.raw_prompts(tree)?;
    let mut changes = Vec::new();
    for (commit, now) in way.into_iter().rev() {
        if now != tree {
            let after = view.raw_prompts(now)?;
            differ(&before, &after, commit, &mut changes)?;
            (tree, before) = (now, after);
        }
    }
    Ok(Walked { changes, follows })
}

/// The folders of a raw tree, as they stand in it.
fn folders(raw: &[u8]) -> Result<Vec<EntryRef<'_>>, PromptFault> {
    let mut found = Vec::new();
    for entry in TreeRefIter::from_bytes(raw, gix::hash::Kind::Sha1) {
        let entry = entry.map_err(PromptFault::git("read a tree"))?;
        if entry.mode.kind() == EntryKind::Tree {
            found.push(entry);
        }
    }
    // Git sorts them; a tree that is not sorted was made to deceive, and is read all the same.
    found.sort();
    found.dedup_by(|a, b| a.filename == b.filename);
    Ok(found)
}

/// Notes the folders that differ. Both trees are walked side by side, and only what differs costs anything.
fn differ(before: &[u8], after: &[u8], commit: ObjectId, changes: &mut Vec<Change>) -> Result<(), PromptFault> {
    let (before, after) = (folders(before)?, folders(after)?);
    let mut note = |entry: &EntryRef<'_>, tree: Option<ObjectId>| {
        let name = std::str::from_utf8(entry.filename).ok().and_then(|name| name.parse().ok());
        changes.extend(name.map(|name| Change { name, commit, tree }));
    };
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.cmp(new),
        };
        let gone = if order.is_le() { old.next() } else { None };
        let here = if order.is_ge() { new.next() } else { None };
        match (gone, here) {
            (Some(gone), None) => note(gone, None),
            (gone, Some(here)) if gone.is_none_or(|gone| gone.oid != here.oid) => note(here, Some(here.oid.to_owned())),
            _ => {}
        }
    }
}

/// The newest first-parent commit up to `from` that changed the folder of `name`, and that folder.
pub(crate) fn newest(
    view: &View<'_>,
    from: ObjectId,
    name: &PromptName,
) -> Result<Option<(ObjectId, ObjectId)>, PromptFault> {
    let Some(mut step) = view.step(from)? else { return Ok(None) };
    let Some(tree) = view.prompt_tree(step.tree, name)? else { return Ok(None) };
    let mut commit = from;
    loop {
        let Some(parent) = step.parent else { return Ok(Some((commit, tree))) };
        let Some(before) = view.step(parent)? else { return Ok(Some((commit, tree))) };
        if before.tree != step.tree && view.prompt_tree(before.tree, name)? != Some(tree) {
            return Ok(Some((commit, tree)));
        }
        (commit, step) = (parent, before);
    }
}
