//! The first-parent history of the folder of prompts. Owns the walk: which commit changed which prompt's folder.

use crate::fault::PromptFault;
use crate::repository::View;
use gix::ObjectId;
use std::collections::BTreeMap;
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
    let mut before = view.prompts(tree)?.0;
    let mut changes = Vec::new();
    for (commit, now) in way.into_iter().rev() {
        if now != tree {
            let after = view.prompts(now)?.0;
            differ(&before, &after, commit, &mut changes);
            (tree, before) = (now, after);
        }
    }
    Ok(Walked { changes, follows })
}

fn differ(
    before: &BTreeMap<PromptName, ObjectId>,
    after: &BTreeMap<PromptName, ObjectId>,
    commit: ObjectId,
    changes: &mut Vec<Change>,
) {
    for (name, tree) in after {
        if before.get(name) != Some(tree) {
            changes.push(Change { name: name.clone(), commit, tree: Some(*tree) });
        }
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        changes.push(Change { name: name.clone(), commit, tree: None });
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
